"""How many questions are enough: curves from random subsets of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import altair as alt

from radar_tasks.analysis.development.stability import SubsetPoint
from radar_tasks.report.charts.figure import (
    ABILITY_NAMES,
    SMALL_HEIGHT,
    Figure,
    Panel,
    color,
    inline,
    metric_title,
    padded,
)
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def stability(points: Sequence[SubsetPoint], metric: str = "sds", axis: TrainingAxis = STEPS) -> Figure:
    """Curves of one training run, a panel an ability and size."""
    low, high = padded(min(p.value for p in points), max(p.value for p in points))
    scale = alt.Scale(domain=[low, high], nice=False)
    panels = []
    for ability, size in dict.fromkeys((point.ability, point.size) for point in points):
        members = [point for point in points if (point.ability, point.size) == (ability, size)]
        data = axis.placed([{**asdict(point), "series": ability.capitalize()} for point in members])
        base = alt.Chart(inline(data)).encode(x=axis.encoding(data, small=True))
        y = alt.Y("value:Q", title=metric.upper(), scale=scale)
        subsets = base.mark_line(style="faint-line").encode(y=y, detail="subset:N")
        whole = base.transform_filter("datum.subset === 0").mark_line().encode(y="whole:Q", color=color(ABILITY_NAMES))
        title = f"{ability.capitalize()}, {size:,} questions"
        panels.append(Panel(title, alt.layer(subsets, whole), data, SMALL_HEIGHT))
    subtitle = (
        f"{metric_title(metric)}. Grey: random subsets of the questions; in colour: all of them. "
        "Where grey lines cross, fewer do not suffice."
    )
    return Figure("stability", f"How many questions of {points[0].run} are enough", subtitle, panels, columns=3)

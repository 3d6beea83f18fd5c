"""Abilities against amounts that describe the runs, with fitted lines on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import altair as alt

from radar_tasks.analysis.development.scaling import ScalingLine, ScalingPoint
from radar_tasks.report.charts.curve_panel import LABEL_PIXELS, end_labels, fit_as_labels, label_marks, push_apart
from radar_tasks.report.charts.figure import (
    ABILITY_NAMES,
    PANEL_HEIGHT,
    Datum,
    Figure,
    Panel,
    color,
    inline,
    metric_title,
    shape,
)


def scaling(points: Sequence[ScalingPoint], lines: Sequence[ScalingLine], metric: str = "sds") -> Figure:
    """Points against each column of the descriptions, with the lines fitted to them.

    Args:
        points: one or several columns.
        lines: fitted to them.
        metric: what `value` is.
    """
    columns = list(dict.fromkeys(point.column for point in points))
    groups = list(dict.fromkeys(point.group for point in points))
    panels = []
    for column in columns:
        mine, fitted = [p for p in points if p.column == column], [line for line in lines if line.column == column]
        if len(groups) == 1:
            data, ends = _data(mine, by_group=False), _ends(fitted, by_group=False)
            panels.append(_panel("", data, ends, ABILITY_NAMES, metric=metric))
            continue
        for ability in dict.fromkeys(point.ability for point in mine):
            data = _data([p for p in mine if p.ability == ability], by_group=True)
            ends = _ends([line for line in fitted if line.ability == ability], by_group=True)
            panels.append(_panel(ability.capitalize(), data, ends, groups, metric=metric))
    several = len({(point.run, point.step) for point in points}) > len({point.run for point in points})
    each = "a checkpoint" if several else "a run at its last checkpoint"
    subtitle = f"Each point is {each}, with its 95 % interval; lines: least squares on the logarithmic axis."
    legend = () if len(groups) == 1 or fit_as_labels(groups) else tuple(groups)
    title = f"Abilities against {' and '.join(columns)}"
    return Figure("scaling", title, subtitle, panels, columns=2, legend=legend)


def _data(points: Sequence[ScalingPoint], *, by_group: bool) -> list[Datum]:
    return [{**asdict(point), "series": point.group if by_group else point.ability.capitalize()} for point in points]


def _ends(lines: Sequence[ScalingLine], *, by_group: bool) -> list[Datum]:
    return [
        {"series": line.group if by_group else line.ability.capitalize(), "x": x, "value": value}
        for line in lines
        for x, value in zip(line.x, line.value, strict=True)
    ]


def _panel(title: str, points: list[Datum], ends: list[Datum], series: list[str], *, metric: str) -> Panel:
    column = points[0]["column"]
    colors = color(series)
    scale = alt.Scale(type="log", nice=False, padding=24)
    axis = alt.Axis(format="~s", tickCount=5)
    x = alt.X("x:Q", title=f"{column} (log scale)", scale=scale, axis=axis)
    y_title = metric_title(metric)
    y_scale = alt.Scale(zero=False, padding=14)
    y = alt.Y("value:Q", title=y_title, scale=y_scale)
    tooltip = [alt.Tooltip("run:N"), alt.Tooltip("step:Q", format=","), alt.Tooltip("x:Q", title=column)]
    tooltip += [alt.Tooltip(f"{field}:Q", format=".4f") for field in ("value", "low", "high")]
    base = alt.Chart(inline(points)).encode(x=x, color=colors)
    whiskers = base.mark_rule(style="whisker").encode(y=alt.Y("low:Q", scale=y_scale, title=y_title), y2="high:Q")
    measured = base.mark_point(size=95).encode(y=y, shape=shape(series), tooltip=tooltip)
    fitted = alt.Chart(inline(ends)).mark_line().encode(x=x, y=y, color=colors)
    labels = end_labels(ends or points, "x", series, named=fit_as_labels(series))
    values = [point[end] for point in points for end in ("low", "high")]
    push_apart(labels, "value", LABEL_PIXELS / PANEL_HEIGHT * ((max(values) - min(values)) or 1.0))
    layers: list[Any] = [fitted, whiskers, measured, *label_marks(labels, colors)]
    return Panel(title, alt.layer(*layers), points)

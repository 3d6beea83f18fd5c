"""What the text alone gives and what looking adds, over training."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.prior_split import PriorSplitPoint
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel
from radar_tasks.report.charts.figure import Datum, Figure
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis

TEXT, SIGHT = "Text alone", "Looking adds"


def prior_split(points: Sequence[PriorSplitPoint], axis: TrainingAxis = STEPS) -> Figure:
    """SDS without the picture, and what the picture adds: two curves a panel, a panel an ability and training run."""
    abilities = [point for point in points if point.of_ability]
    runs = list(dict.fromkeys(point.run for point in abilities))
    style = CurveStyle("SDS, and its part", named=True)
    panels = []
    for run in runs:
        for ability in dict.fromkeys(point.ability for point in abilities if point.run == run):
            members = [point for point in abilities if (point.run, point.ability) == (run, ability)]
            title = ability.capitalize() if len(runs) == 1 else f"{ability.capitalize()}, {run}"
            panels.append(curve_panel(title, _data(members), [TEXT, SIGHT], style, axis))
    subtitle = (
        f"{TEXT}: SDS of the same questions without their pictures, dashed its chance level. {SIGHT}: SDS less that. "
        "Shaded: 95 % cluster-bootstrap intervals."
    )
    return Figure("prior", "What the text gives, and what looking adds", subtitle, panels, 2)


def _data(points: Sequence[PriorSplitPoint]) -> list[Datum]:
    data: list[Datum] = []
    for point in points:
        for series, part, chance in ((TEXT, point.text, point.chance), (SIGHT, point.sight, None)):
            data.append(
                {
                    "run": point.run,
                    "ability": point.ability,
                    "source": point.source,
                    "step": point.step,
                    "series": series,
                    "value": part.estimate,
                    "low": part.low,
                    "high": part.high,
                    "chance": chance,
                }
            )
    return data

"""What the text alone gives and what the picture adds, over training."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.prior_split import PriorSplitPoint
from radar_tasks.analysis.development.tables import FEW_RUNS
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel
from radar_tasks.report.charts.figure import Datum, Figure
from radar_tasks.report.charts.run_curves import run_panels
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis

TEXT, SIGHT = "Text alone", "Looking adds"


def prior_split(
    points: Sequence[PriorSplitPoint], axis: TrainingAxis = STEPS, configurations: Sequence[Configuration] = ()
) -> Figure:
    """SDS without the picture, and what the picture adds: both in a panel for each ability and training run.

    Of many runs a panel for each ability and part, a curve a run.
    """
    abilities = [point for point in points if point.of_ability]
    runs = list(dict.fromkeys(point.run for point in abilities))
    names = list(dict.fromkeys(point.ability for point in abilities))
    title = "What the text gives, and what the picture adds"
    subtitle = (
        f"{TEXT}: SDS of the same questions without their pictures, dashed its chance level. {SIGHT}: SDS less that. "
        "Shaded: 95 % cluster-bootstrap intervals."
    )
    style = CurveStyle("SDS, and its part")
    if len(runs) > FEW_RUNS:
        data = {
            f"{name.capitalize()}: {part.lower()}": [
                datum for datum in _data([p for p in abilities if p.ability == name]) if datum["series"] == part
            ]
            for part in (SIGHT, TEXT)
            for name in names
        }
        made = run_panels(data, style, axis, configurations)
        return Figure("prior", title, subtitle + made.reading, made.panels, 2, made.legend)
    panels = []
    for run in runs:
        for name in names:
            members = [point for point in abilities if (point.run, point.ability) == (run, name)]
            panel_title = name.capitalize() if len(runs) == 1 else f"{name.capitalize()}, {run}"
            if members:
                panels.append(curve_panel(panel_title, _data(members), [TEXT, SIGHT], style, axis))
    return Figure("prior", title, subtitle, panels, 2)


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

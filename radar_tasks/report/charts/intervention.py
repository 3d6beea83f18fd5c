"""What a change of training did: two runs after they part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from radar_tasks.analysis.development.intervention import InterventionPoint
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel
from radar_tasks.report.charts.figure import ABILITY_NAMES, Figure
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def intervention(
    points: Sequence[InterventionPoint],
    changed: str,
    unchanged: str,
    metric: str = "sds",
    axis: TrainingAxis = STEPS,
) -> Figure:
    """Difference of two runs after they part, a panel an ability."""
    style = CurveStyle(f"Difference in {metric}", reference="no difference", signed=True, named=False)
    panels = [
        curve_panel(
            ability.capitalize(),
            [
                {**asdict(p), "run": changed, "series": ability.capitalize(), "chance": 0.0}
                for p in points
                if p.ability == ability
            ],
            ABILITY_NAMES,
            style,
            axis,
        )
        for ability in dict.fromkeys(point.ability for point in points)
    ]
    subtitle = "Bands hold the whole curve at 95 % (simultaneous): where one leaves 0, the change did something."
    return Figure("intervention", f"What changed: {changed} minus {unchanged}", subtitle, panels, columns=2)

"""What differs between runs, and what it does: a panel for each factor and ability, a curve a level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from radar_tasks.analysis.development.curve_points import CurvePoint
from radar_tasks.analysis.development.factor_effects import FactorLevel
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.curve_panel import CurveStyle, domain_of
from radar_tasks.report.charts.figure import Figure, Panel, metric_title
from radar_tasks.report.charts.run_curves import run_panels
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis

_HEIGHT = 240


def factor_curves(
    points: Sequence[CurvePoint], levels: Sequence[FactorLevel], metric: str = "sds", axis: TrainingAxis = STEPS
) -> Figure:
    """Abilities over training by the levels of each factor.

    Args:
        points: of the abilities.
        levels: which runs are at which level of which factor.
        metric: what the points are of.
        axis: of training.
    """
    panels: list[Panel] = []
    for factor in dict.fromkeys(level.factor for level in levels):
        named = [Configuration(level.level, level.runs, factor) for level in levels if level.factor == factor]
        for ability in dict.fromkeys(point.ability for point in points):
            data = [asdict(p) for of in named for p in points if p.ability == ability and p.run in of.runs]
            style = CurveStyle(metric_title(metric), domain_of(data), _HEIGHT, names_alone=True)
            panels += run_panels({f"{ability.capitalize()} by {factor}": data}, style, axis, named).panels
    subtitle = (
        "A curve is a level: of several seeds their mean, shaded from the lowest to the highest; of one run shaded its "
        "95 % interval over questions, which knows nothing of seeds. Dashed: chance."
        + (" Step 0 has no place on a logarithmic axis." if axis.log and any(p.step == 0 for p in points) else "")
    )
    return Figure("factors", "What differs between runs, and what it does", subtitle, panels, columns=2)

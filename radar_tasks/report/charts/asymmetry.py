"""How far perception runs ahead of reasoning over training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from radar_tasks.analysis.development.asymmetry import LeadPoint
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.curve_panel import CurveStyle
from radar_tasks.report.charts.figure import Figure
from radar_tasks.report.charts.run_curves import run_panels
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def asymmetry(
    points: Sequence[LeadPoint], axis: TrainingAxis = STEPS, configurations: Sequence[Configuration] = ()
) -> Figure:
    """Perception's lead over reasoning, chance-centred, a curve a training run."""
    style = CurveStyle("Perception minus reasoning, chance-centred", reference="no lead", signed=True)
    made = run_panels({"": [{**asdict(point), "chance": 0.0} for point in points]}, style, axis, configurations)
    subtitle = "0 is symmetric growth; 1 would be perfect perception with reasoning at chance. Bands: 95 % intervals."
    title = "How far perception runs ahead"
    return Figure("asymmetry", title, subtitle + made.reading, made.panels, legend=made.legend)

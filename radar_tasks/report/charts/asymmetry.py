"""How far perception runs ahead of reasoning over training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from radar_tasks.analysis.development.asymmetry import LeadPoint
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel, fit_as_labels
from radar_tasks.report.charts.figure import Figure
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def asymmetry(points: Sequence[LeadPoint], axis: TrainingAxis = STEPS) -> Figure:
    """Perception's lead over reasoning, chance-centred, a curve a training run."""
    runs = list(dict.fromkeys(point.run for point in points))
    named = fit_as_labels(runs)
    style = CurveStyle("Perception minus reasoning, chance-centred", reference="no lead", signed=True, named=named)
    data = [{**asdict(point), "series": point.run, "chance": 0.0} for point in points]
    panel = curve_panel("", data, runs, style, axis)
    subtitle = "0 is symmetric growth; 1 would be perfect perception with reasoning at chance. Bands: 95 % intervals."
    return Figure("asymmetry", "How far perception runs ahead", subtitle, [panel], legend=() if named else tuple(runs))

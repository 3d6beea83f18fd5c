"""Which metric tells checkpoints apart."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.tables import FEW_RUNS
from radar_tasks.analysis.metric_quality import MetricQuality
from radar_tasks.report.charts.dot_panel import DotAxes, dot_panel
from radar_tasks.report.charts.figure import ABILITY_NAMES, Figure


def metric_comparison(rows: Sequence[MetricQuality]) -> Figure:
    """Growth over noise, and order of training, of each metric on the abilities of each training run."""
    metrics = list(dict.fromkeys(row.metric for row in rows))
    runs = list(dict.fromkeys(row.run for row in rows))
    noise = DotAxes("metric", "growth_to_noise", "Range over training ÷ noise between neighbours")
    order = DotAxes("metric", "monotonicity", "Kendall's τ with the training step", domain=(-1.0, 1.0))
    apart = [(run, [row for row in rows if row.run == run]) for run in runs]
    if len(runs) > FEW_RUNS:
        apart = [("", list(rows))]
    panels = []
    for run, of in apart:
        data = [
            {
                "run": row.run,
                "metric": row.metric,
                "series": row.name.capitalize(),
                "growth_to_noise": row.growth_to_noise,
                "monotonicity": row.monotonicity,
            }
            for row in of
        ]
        whose = f"{run}: " if run and len(runs) > 1 else ""
        panels += [
            dot_panel(f"{whose}signal to noise" if whose else "Signal to noise", data, metrics, noise),
            dot_panel(f"{whose}order of training" if whose else "Order of training", data, metrics, order),
        ]
    subtitle = "Further right is better. Noise: scatter about the line between neighbouring checkpoints."
    if len(runs) > FEW_RUNS:
        subtitle += " A dot is a training run."
    title = "Which metric tells checkpoints apart"
    return Figure("metrics", title, subtitle, panels, columns=2, legend=tuple(ABILITY_NAMES))

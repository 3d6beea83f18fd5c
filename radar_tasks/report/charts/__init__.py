"""Charts as Altair objects, made from the typed rows of `radar_tasks.analysis` and nothing else; one family a file."""

from radar_tasks.report.charts.abilities import abilities_over_steps, sources_over_steps
from radar_tasks.report.charts.figure import Figure, Panel
from radar_tasks.report.charts.training_axis import TrainingAxis

__all__ = ["Figure", "Panel", "TrainingAxis", "abilities_over_steps", "sources_over_steps"]

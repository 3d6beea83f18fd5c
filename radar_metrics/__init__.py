"""Metrics of RADAR as pure functions on arrays: numpy and scipy only, no model, no file, no plot."""

from radar_metrics.errors import MetricError
from radar_metrics.ragged import Ragged
from radar_metrics.soft_discrimination import answer_probability, chance, sds

__all__ = ["MetricError", "Ragged", "answer_probability", "chance", "sds"]

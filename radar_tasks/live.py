"""The path by which `LiveEvaluator` is imported."""

from radar_tasks.follow.live import LiveEvaluator

__all__ = ["LiveEvaluator"]

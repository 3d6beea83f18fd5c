"""The path by which `RadarCallback` has always been imported."""

from radar_tasks.follow.callback import RadarCallback

__all__ = ["RadarCallback"]

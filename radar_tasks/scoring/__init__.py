"""The scoring engine: questions and a loaded checkpoint in, a score an option out; no harness needed."""

from radar_tasks.scoring.engine import Scorer
from radar_tasks.scoring.types import EncodedQuestion, OptionScore

__all__ = ["EncodedQuestion", "OptionScore", "Scorer"]

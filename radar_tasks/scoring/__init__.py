"""The scoring engine: questions and a loaded checkpoint in, a score per option out; no harness needed.

`Scorer` brings torch with it and is imported at first use, so that types and options stay quick to import.
"""

from typing import TYPE_CHECKING, Any

from radar_tasks.scoring.types import EncodedQuestion, OptionScore

if TYPE_CHECKING:
    from radar_tasks.scoring.engine.scorer import Scorer

__all__ = ["EncodedQuestion", "OptionScore", "Scorer"]


def __getattr__(name: str) -> Any:
    if name == "Scorer":
        from radar_tasks.scoring.engine.scorer import Scorer

        return Scorer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

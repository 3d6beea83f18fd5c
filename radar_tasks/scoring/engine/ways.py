"""The ways to score a batch, from the one that shares most to the reference that shares nothing.

`auto` begins with the first and takes the next one where the numbers are not the reference's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from radar_tasks.scoring.engine.image_features import FeatureStore
from radar_tasks.scoring.engine.independent import score_independently
from radar_tasks.scoring.engine.model_runner import RunningModel
from radar_tasks.scoring.engine.shared_prefix import score_shared
from radar_tasks.scoring.types import EncodedQuestion, OptionScore

Scores: TypeAlias = list[tuple[OptionScore, ...]]


@dataclass(frozen=True)
class Way:
    """A way to score a batch.

    Attributes:
        scoring: `shared` or `independent`, for results.
        said: what it does, for messages.
        score: scores of a batch, one tuple a question.
        together: whether questions share forwards.
    """

    scoring: str
    said: str
    score: Callable[[RunningModel, FeatureStore, Sequence[EncodedQuestion]], Scores]
    together: bool


def _with_pixels(running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]) -> Scores:
    features.give_up("scores differ")
    return score_shared(running, features, batch)


def _one_by_one(running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]) -> Scores:
    features.give_up("scores differ")
    return [scores for question in batch for scores in score_shared(running, features, [question])]


def _independently(running: RunningModel, features: FeatureStore, batch: Sequence[EncodedQuestion]) -> Scores:  # noqa: ARG001 (nothing is kept)
    return [score_independently(running, question) for question in batch]


SHARED = Way("shared", "shared", score_shared, together=True)
INDEPENDENT = Way("independent", "independent", _independently, together=False)
WAYS = (
    SHARED,
    Way("shared", "shared with pixels instead of features", _with_pixels, together=True),
    Way("shared", "shared, one question at a time", _one_by_one, together=False),
    INDEPENDENT,
)

"""When and on which questions `auto` looks whether the shared way gives the reference's numbers.

What can go wrong with a family shows in certain batches only: where prompts are padded, where questions have company,
where pictures of several sizes meet. So a batch is checked when a combination of these is met for the first time, on
the questions in which it would show, and ever after a few questions drawn at random.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor

from radar_tasks.scoring.engine.batching import kind_of
from radar_tasks.scoring.types import EncodedQuestion, OptionScore

TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference of a mean, relative to 1 + its size. In half precision the logits themselves are rounded: to
2^-11 (float16) and 2^-8 (bfloat16) of their size, once in every layer."""

FIRST_QUESTIONS = 6
"""Questions of a batch that are checked when something in it is new: each costs a forward per option."""

LATER_SHARE = 1 / 200
"""Share of all other questions that are checked."""


class SelfCheck:
    """Which questions are scored a second time, alone and unpadded.

    Args:
        seed: of the choice of later ones.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seen: set[Hashable] = set()
        self._random = random.Random(seed)  # noqa: S311 (no secret)

    def chosen(self, batch: Sequence[EncodedQuestion]) -> list[int]:
        """Indices of the questions of a batch to check; ascending, often none."""
        if self._seen.issuperset(_traits(batch)):
            return [k for k in range(len(batch)) if self._random.random() < LATER_SHARE]
        return _telling(batch)

    def passed(self, batch: Sequence[EncodedQuestion]) -> None:
        """Batches like this one are known to be right."""
        self._seen |= _traits(batch)


def _traits(batch: Sequence[EncodedQuestion]) -> set[Hashable]:
    """What a batch has that another may not have: its kind, and what its questions do to each other."""
    names = tuple(sorted(batch[0].vision)), tuple(sorted(batch[0].token_inputs))
    together = (
        any(len(tokens) > 1 for question in batch for tokens in question.continuations),
        len({len(tokens) for question in batch for tokens in question.continuations}) > 1,
        len({len(question.prefix_ids) for question in batch}) > 1,
        len(batch) > 1,
        len({_sizes(question) for question in batch}) > 1,
        max(len(question.continuations) for question in batch) > 1,
    )
    return {("kind", kind_of(batch[0])), ("together", names, together)}


def _telling(batch: Sequence[EncodedQuestion]) -> list[int]:
    """Questions in which a fault of a batch would show: the last, the most and the least padded, one of each size."""
    by_length = sorted(range(len(batch)), key=lambda k: len(batch[k].prefix_ids))
    sizes = {_sizes(question): k for k, question in reversed(list(enumerate(batch)))}
    order = [len(batch) - 1, by_length[0], by_length[-1], 0, *sizes.values(), *range(len(batch))]
    return sorted(list(dict.fromkeys(order))[:FIRST_QUESTIONS])


def _sizes(question: EncodedQuestion) -> Hashable:
    """Shapes of a question's pictures, and the numbers beside them that tell their sizes (grids, counts)."""
    told = []
    for name, value in sorted(question.vision.items()):
        if isinstance(value, Tensor):
            small = not value.is_floating_point() and value.numel() <= 64
            told.append((name, tuple(value.shape), tuple(value.flatten().tolist()) if small else ()))
        else:
            told.append((name, (len(value),), ()))
    return tuple(told)


def disagreement(
    batch: Sequence[EncodedQuestion],
    scores: Sequence[Sequence[OptionScore]],
    reference: Mapping[int, Sequence[OptionScore]],
    dtype: torch.dtype,
) -> str | None:
    """The largest difference between two scorings in words, or None if all are within tolerance.

    Args:
        batch: the questions.
        scores: of all of them.
        reference: of some, by their index in the batch.
        dtype: of the weights, which sets the tolerance.
    """
    worst, where = 0.0, ""
    for k, expected in reference.items():
        for option, (a, b) in enumerate(zip(scores[k], expected, strict=True)):
            for name, x, y in (("log-probability", a.logprob, b.logprob), ("logit", a.logit, b.logit)):
                difference = abs(x - y) / (1 + abs(y))
                if difference > worst:
                    worst = difference
                    where = f"question {batch[k].q_id!r}, option {option}: mean {name} {x:.6g}, independent {y:.6g}"
    return where if worst > TOLERANCE[dtype] else None

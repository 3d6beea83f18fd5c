"""Whether two ways of scoring gave the same numbers, up to the rounding of the weights' type."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from radar_tasks.scoring.types import EncodedQuestion, OptionScore

TOLERANCE = {torch.float64: 1e-4, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}
"""Largest difference of a mean, relative to 1 + its size. In half precision the logits themselves are rounded: to
2^-11 (float16) and 2^-8 (bfloat16) of their size, once in every layer."""


def disagreement(
    batch: Sequence[EncodedQuestion],
    scores: Sequence[Sequence[OptionScore]],
    reference: Sequence[Sequence[OptionScore]],
    dtype: torch.dtype,
) -> str | None:
    """The largest difference between two scorings of a batch in words, or None if all are within tolerance."""
    worst, where = 0.0, ""
    for question, got, expected in zip(batch, scores, reference, strict=True):
        for option, (a, b) in enumerate(zip(got, expected, strict=True)):
            for name, x, y in (("log-probability", a.logprob, b.logprob), ("logit", a.logit, b.logit)):
                difference = abs(x - y) / (1 + abs(y))
                if difference > worst:
                    worst = difference
                    where = f"question {question.q_id!r}, option {option}: mean {name} {x:.6g}, independent {y:.6g}"
    return where if worst > TOLERANCE[dtype] else None

"""From logits to scores: only the entries of option tokens are ever looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.engine.batching import OptionRows
from radar_tasks.scoring.types import EncodedQuestion, OptionScore

NOT_FINITE = "logits are not finite"
"""By these words a guardian knows the error: it crosses ranks as a text."""
ROWS_AT_ONCE = 256
"""Rows of the vocabulary that exist in float32 at one time; 256 x 150k entries are 150 MB."""


def token_scores(logits: Tensor, tokens: Tensor, row: Tensor | None = None) -> Tensor:
    """Log-probability and raw logit of tokens under given logits.

    Args:
        logits: (N, V), any float type.
        tokens: (K,) int64 in [0, V).
        row: (K,) int64, which row of `logits` scores each token; by default token k is scored by row k.

    Returns:
        (2, K) float32: natural log-probability from a log-softmax in float32, and the logit.
    """
    row = torch.arange(len(tokens)) if row is None else row
    row, tokens = row.to(logits.device), tokens.to(logits.device)
    top, rest = map(torch.cat, zip(*map(_normaliser, torch.split(logits, ROWS_AT_ONCE)), strict=True))
    logit = logits[row, tokens].float()
    return torch.stack([logit - top[row] - rest[row], logit])


def _normaliser(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Two summands of log sum exp, kept apart: their sum would round away digits where logits are far from 0."""
    logits = logits.float()
    top = logits.amax(-1)
    return top, (logits - top[:, None]).exp().sum(-1).log()


def option_scores(batch: Sequence[EncodedQuestion], rows: OptionRows, table: Tensor) -> list[tuple[OptionScore, ...]]:
    """Means over each option's tokens, in float64.

    Args:
        batch: the questions.
        rows: their continuations.
        table: (2, R, T), log-probability and logit of every token of a continuation.

    Returns:
        For each question one score per option.

    Raises:
        CheckpointError: a score is not finite; the message names the question.
    """
    scored = rows.scored
    table = table.to("cpu", torch.float64).where(scored, 0)
    means = (table.sum(-1) / scored.sum(-1)).tolist()
    pairs = iter(zip(*means, strict=True))
    return [tuple(_option_score(question, j, *next(pairs)) for j in range(len(question.scored))) for question in batch]


def _option_score(question: EncodedQuestion, option: int, logprob: float, logit: float) -> OptionScore:
    if not (math.isfinite(logprob) and math.isfinite(logit)):
        raise CheckpointError(
            f"question {question.q_id!r}, option {option}: the model's {NOT_FINITE} (mean log-probability "
            f"{logprob}, mean logit {logit}). The weights hold NaN or infinite values, or they overflow in this dtype: "
            "check the checkpoint, or try dtype=float32 or bfloat16."
        )
    return OptionScore(logprob, logit, question.scored[option], question.option_bytes[option])

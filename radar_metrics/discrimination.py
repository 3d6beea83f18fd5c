"""Telling the right option from the wrong ones: accuracy, margin, Brier score, calibration, and other score units.

All functions take ragged options as `radar_metrics.soft_discrimination` does: `scores` one 1-D array (M_i,) a question
(higher is better), `answers` (N,) indices, `q_ids` (N,) names for error messages; bad input raises MetricError naming
the question. Each aggregate is the mean over questions of the per-question function before it.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray, check_options, option_counts, positive_counts
from radar_metrics.soft_discrimination import option_probability

Number = TypeVar("Number", float, FloatArray)


def rank_credit(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> FloatArray:
    """(N,) 1 where the right option alone scores highest, 1/(k+1) where k others share the top, else 0.

    The credit is the expected accuracy of breaking ties at random, so that a model that scores all options alike gets
    1/M and not 1 for an answer that is listed first.
    """
    options = check_options(scores, answers, q_ids)
    best = options.padded.max(axis=1)
    tied = (options.padded == best[:, None]).sum(axis=1)
    return np.where(options.of_answer == best, 1.0 / tied, 0.0)


def accuracy(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> float:
    """Answer-ranking accuracy in [0, 1], mean of `rank_credit`: `acc` of log-probabilities, `acc_logit` of logits."""
    return float(rank_credit(scores, answers, q_ids).mean())


def answer_margin(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> FloatArray:
    """(N,) score of the right option minus that of the best distractor, in the unit of the scores (nats a token)."""
    options = check_options(scores, answers, q_ids)
    best_distractor = np.where(options.is_distractor, options.padded, -np.inf).max(axis=1)
    return np.asarray(options.of_answer - best_distractor)


def margin(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> float:
    """Mean of `answer_margin`; 0 at chance, unbounded both ways, dominated by a few sure questions."""
    return float(answer_margin(scores, answers, q_ids).mean())


def quadratic_loss(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> FloatArray:
    """(N,) sum over the options of (p_j - y_j)^2, y being 1 for the right option and 0 for the others; in [0, 2]."""
    options = check_options(scores, answers, q_ids)
    difference = option_probability(options)
    difference[np.arange(len(difference)), options.answers] -= 1.0
    return np.asarray((difference**2).sum(axis=1))


def brier(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> float:
    """Multi-class Brier score as Brier (1950) defined it: mean of `quadratic_loss`, in [0, 2], lower is better.

    It sums over all options; the two-class form found in many libraries looks at one option and is half as large with
    two options. Chance is 1 - 1/M: 0.5 with one distractor.
    """
    return float(quadratic_loss(scores, answers, q_ids).mean())


def expected_calibration_error(
    scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None, bins: int = 15
) -> float:
    """Expected calibration error of the top option's probability (Guo et al., arXiv 1706.04599, Eq. 3).

    ECE = sum over bins b of |B_b| / N * |accuracy(B_b) - confidence(B_b)|, where questions fall into `bins` equal-width
    bins ((b-1)/bins, b/bins] by the probability of their top option, and accuracy is the mean `rank_credit`. In [0, 1],
    lower is better. Confidence is never below 1/M, so that the low bins stay empty.
    """
    if bins < 1:
        raise MetricError(f"{bins} bins: at least one is needed")
    credit = rank_credit(scores, answers, q_ids)
    confidence = option_probability(check_options(scores, answers, q_ids)).max(axis=1)
    bin_of = np.ceil(confidence * bins).astype(np.int64) - 1
    gap_sums = np.bincount(bin_of, weights=credit - confidence)
    return float(np.abs(gap_sums).sum() / len(credit))


def chance_centred(sds: Number, chance: float) -> Number:
    """(SDS - chance) / (1 - chance): 0 at chance, 1 when perfect, negative below chance. Numbers or arrays."""
    if not 0 <= chance < 1:
        raise MetricError(f"chance {chance} is not in [0, 1)")
    return (sds - chance) / (1.0 - chance)


def summed(
    mean_scores: Sequence[ArrayLike], tokens: Sequence[ArrayLike], q_ids: Sequence[str] | None = None
) -> list[FloatArray]:
    """Scores summed over each option's tokens, from their means and the token counts: the scores of `sds_sum`."""
    counts = option_counts(mean_scores, q_ids)
    total = np.concatenate([np.asarray(row, dtype=np.float64) for row in mean_scores])
    total *= positive_counts(tokens, counts, "token", q_ids)
    return np.split(total, np.cumsum(counts)[:-1])


def per_unit(
    mean_scores: Sequence[ArrayLike],
    tokens: Sequence[ArrayLike],
    units: Sequence[ArrayLike],
    q_ids: Sequence[str] | None = None,
) -> list[FloatArray]:
    """Scores a unit of text instead of a token: mean * tokens / units, for each option.

    With UTF-8 bytes as units these are the scores of `sds_bytes`, which do not depend on the tokenizer.

    Args:
        mean_scores: one (M_i,) array a question, means over tokens.
        tokens: one (M_i,) array a question, number of tokens.
        units: one (M_i,) array a question, number of units.
        q_ids: (N,) names for error messages.

    Returns:
        One (M_i,) array a question.
    """
    totals = summed(mean_scores, tokens, q_ids)
    counts = option_counts(mean_scores, q_ids)
    unit_counts = np.split(positive_counts(units, counts, "unit", q_ids), np.cumsum(counts)[:-1])
    return [total / count for total, count in zip(totals, unit_counts, strict=True)]

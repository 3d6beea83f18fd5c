"""Telling the right option from the wrong ones: accuracy, margin, Brier score, calibration, and other score units.

All functions take ragged options as `radar_metrics.soft_discrimination` does: `scores` a `Ragged` or one 1-D array
(M_i,) a question (higher is better), `answers` (N,) indices, `q_ids` (N,) names for error messages; bad input raises
MetricError naming the question. Each aggregate is the mean over questions of the per-question function before it.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import check_options, option_counts, positive_counts
from radar_metrics.ragged import FloatArray, Names, Ragged, Scores

Number = TypeVar("Number", float, FloatArray)


def rank_credit(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> FloatArray:
    """(N,) 1 where the right option alone scores highest, 1/(k+1) where k others share the top, else 0.

    The credit is the expected accuracy of breaking ties at random, so that a model that scores all options alike gets
    1/M and not 1 for an answer that is listed first.
    """
    options = check_options(scores, answers, q_ids)
    best, ragged = options.best, options.scores
    at_top = ragged.with_values((ragged.values == np.repeat(best, ragged.counts)).astype(np.int64))
    return np.where(options.of_answer == best, 1.0 / at_top.sums(), 0.0)


def accuracy(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> float:
    """Answer-ranking accuracy in [0, 1], mean of `rank_credit`: `acc` of log-probabilities, `acc_logit` of logits."""
    return float(rank_credit(scores, answers, q_ids).mean())


def answer_margin(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> FloatArray:
    """(N,) score of the right option minus that of the best distractor, in the unit of the scores (nats per token)."""
    options = check_options(scores, answers, q_ids)
    return options.of_answer - options.best_distractor


def margin(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> float:
    """Mean of `answer_margin`; 0 at chance, unbounded both ways, dominated by a few sure questions."""
    return float(answer_margin(scores, answers, q_ids).mean())


def quadratic_loss(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> FloatArray:
    """(N,) sum over the options of (p_j - y_j)^2, y being 1 for the right option and 0 for the others; in [0, 2]."""
    options = check_options(scores, answers, q_ids)
    difference = options.scores.softmax()
    difference.values[options.answer_places] -= 1.0
    return difference.with_values(difference.values**2).sums()


def brier(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> float:
    """Multi-class Brier score as Brier (1950) defined it: mean of `quadratic_loss`, in [0, 2], lower is better.

    It sums over all options; the two-class form found in many libraries looks at one option and is half as large with
    two options. Chance is 1 - 1/M: 0.5 with one distractor.
    """
    return float(quadratic_loss(scores, answers, q_ids).mean())


def expected_calibration_error(scores: Scores, answers: ArrayLike, q_ids: Names | None = None, bins: int = 15) -> float:
    """Expected calibration error of the top option's probability (Guo et al., arXiv 1706.04599, Eq. 3).

    ECE = sum over bins b of |B_b| / N * |accuracy(B_b) - confidence(B_b)|, where questions fall into `bins` equal-width
    bins ((b-1)/bins, b/bins] by the probability of their top option, and accuracy is the mean `rank_credit`. In [0, 1],
    lower is better. Confidence is never below 1/M, so that the low bins stay empty.
    """
    if bins < 1:
        raise MetricError(f"{bins} bins: at least one is needed")
    credit = rank_credit(scores, answers, q_ids)
    probability = check_options(scores, answers, q_ids).scores.softmax()
    confidence = np.maximum.reduceat(probability.values, probability.offsets[:-1])
    bin_of = np.ceil(confidence * bins).astype(np.int64) - 1
    gap_sums = np.bincount(bin_of, weights=credit - confidence)
    return float(np.abs(gap_sums).sum() / len(credit))


def chance_centred(sds: Number, chance: float) -> Number:
    """(SDS - chance) / (1 - chance): 0 at chance, 1 when perfect, negative below chance. Numbers or arrays."""
    if not 0 <= chance < 1:
        raise MetricError(f"chance {chance} is not in [0, 1)")
    return (sds - chance) / (1.0 - chance)


def summed(mean_scores: Scores, tokens: Scores, q_ids: Names | None = None) -> Ragged:
    """Scores summed over each option's tokens, from their means and the token counts: the scores of `sds_sum`."""
    counts = option_counts(mean_scores, q_ids)
    means = mean_scores if isinstance(mean_scores, Ragged) else Ragged.of(mean_scores, q_ids)
    return means.with_values(means.values * positive_counts(tokens, counts, "token", q_ids))

"""What single questions tell of a whole ability: an item model for soft scores, and an estimate that it assists.

Soft scores are numbers in [0, 1] and not right or wrong, so that the item model is no logistic one but a normal one,
with a spread of its own for every question (as in adaptive testing with continuous scores, arXiv 2601.13885):

    y_ci = mean_i + loading_i . f_c + e_ci,    f_c ~ N(0, 1_K),    e_ci ~ N(0, spread_i^2)

for question i at checkpoint c: a factor analysis over checkpoints (principal factors). A bank that was fitted on other
trainings knows how questions rise together; from the scores of a few it expects those of all others (`expected`). That
expectation alone is wrong where a training is unlike those before; the assisted estimate corrects it by what the asked
questions miss of it, as the difference estimator of survey sampling does (Cassel, Särndal and Wretman, 1976): for
questions drawn at random little is left of a wrong bank's bias, and it is the nearer the better the bank is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.ragged import IntArray

FACTORS = 8
LEAST_SPREAD = 0.03
"""No question's score is known better than this, in the unit of SDS: checkpoints of a new training are others."""


@dataclass(frozen=True)
class ItemBank:
    """An item model of N questions.

    Attributes:
        mean: (N,) expected score over the checkpoints that it was fitted on.
        loading: (N, K) change of the score for a unit of each factor.
        spread: (N,) standard deviation of what the factors leave over, above 0.
    """

    mean: FloatArray
    loading: FloatArray
    spread: FloatArray

    def expected(self, asked: IntArray, scores: ArrayLike) -> FloatArray:
        """(N,) what all questions' scores are expected to be after `asked` (n,) had `scores` (n,)."""
        of = self.loading[asked] / self.spread[asked, None] ** 2
        precision = np.eye(self.loading.shape[1]) + self.loading[asked].T @ of
        factors = np.linalg.solve(precision, of.T @ (np.asarray(scores, dtype=np.float64) - self.mean[asked]))
        return np.asarray(self.mean + self.loading @ factors)


def fit_items(scores: ArrayLike, factors: int = FACTORS) -> ItemBank:
    """Fits a bank to the scores of questions at checkpoints of finished trainings.

    Args:
        scores: (C, N) finite, of C checkpoints, C >= 3.
        factors: at most so many, and no more than half of the checkpoints allow.

    Raises:
        MetricError: another shape, or a score that is not finite.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or len(table) < 3 or not np.isfinite(table).all():
        raise MetricError(f"scores of shape {table.shape}: three or more checkpoints with finite scores are needed")
    mean = table.mean(axis=0)
    count = min(factors, len(table) // 2)
    left, strength, right = np.linalg.svd(table - mean, full_matrices=False)
    kept = (left[:, :count] * strength[:count]) @ right[:count]
    rest = ((table - mean - kept) ** 2).sum(axis=0) / (len(table) - count)
    loading = right[:count].T * strength[:count] / np.sqrt(len(table))
    return ItemBank(mean, loading, np.maximum(np.sqrt(rest), LEAST_SPREAD))


def assisted_mean(bank: ItemBank, asked: IntArray, scores: ArrayLike, strata: IntArray) -> float:
    """Mean over strata of the mean score of each, from the questions asked and what the bank expects of the others.

        mean_k of [ mean over questions of k of expected + mean over asked questions of k of (score - expected) ]

    A stratum of which none was asked is corrected by the mean over all that were.

    Args:
        bank: fitted on other trainings.
        asked: (n,) places of the questions asked, drawn at random within strata.
        scores: (n,) their scores.
        strata: (N,) number of each question's stratum (its source), from 0.
    """
    expected = bank.expected(asked, scores)
    missed = np.asarray(scores, dtype=np.float64) - expected[asked]
    count = int(strata.max()) + 1
    of = strata[asked]
    corrections = [missed[of == k].mean() if (of == k).any() else missed.mean() for k in range(count)]
    return float(np.mean([expected[strata == k].mean() + corrections[k] for k in range(count)]))


def by_information(bank: ItemBank, count: int, strata: IntArray, most: int) -> IntArray:
    """Questions that the bank says tell most of the mean over all: each the next that lowers its variance most.

    The variance after asking does not depend on the answers in a normal model, so that the order is known beforehand.

    Args:
        bank: fitted on other trainings.
        count: how many.
        strata: (N,) number of each question's stratum.
        most: of one stratum.
    """
    towards = bank.loading.mean(axis=0)
    covariance = np.eye(len(towards))
    free = np.ones(len(bank.mean), dtype=bool)
    used = np.zeros(int(strata.max()) + 1, dtype=np.int64)
    chosen: list[int] = []
    for _ in range(count):
        shared = bank.loading @ covariance
        variance = bank.spread**2 + (shared * bank.loading).sum(axis=1)
        gain = np.where(free & (used[strata] < most), (shared @ towards) ** 2 / variance, -1.0)
        next_one = int(gain.argmax())
        covariance = covariance - np.outer(shared[next_one], shared[next_one]) / variance[next_one]
        free[next_one] = False
        used[strata[next_one]] += 1
        chosen.append(next_one)
    return np.array(chosen)


def discrimination(scores: ArrayLike) -> FloatArray:
    """(N,) gain of each question's score for a gain of 1 of the mean over all, by least squares over checkpoints.

    1 on average; 0 for a question that never moves, below 0 for one that falls when the others rise (a wrong key, say).

    Args:
        scores: (C, N) of the questions of one source.
    """
    table = np.asarray(scores, dtype=np.float64)
    whole = table.mean(axis=1) - table.mean()
    if not (whole**2).sum() > 0:
        raise MetricError("the mean over questions is the same at every checkpoint: nothing is told apart")
    return np.asarray(whole @ (table - table.mean(axis=0)) / (whole @ whole))

"""Decision accuracy: of pairs of configurations, how many does an early or cheap score order as the target does.

DataDecide (Magnusson et al., arXiv 2504.11393) and Signal and Noise (Heineman et al., arXiv 2508.13144) ask it of small
models and large ones; here it is also asked of an early checkpoint, or few questions, and the end of training. Two
things are different from `signal.decision_accuracy`:

- A pair whose target cannot be told apart beyond the luck of seeds and questions has no right answer. It is left out
  and counted: to order it right half of the time is all that any score can do.
- The interval resamples runs, never points: configurations are drawn with replacement, and of each drawn one its runs.
  All pairs of a configuration come and go together.

A decision is what one run of each configuration would have led to: a pair of configurations counts with the share of
the pairs of their runs that are ordered right, a tie as a half.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray, IntArray
from radar_metrics.run_contrasts import contrast, numbered, run_spread
from radar_metrics.uncertainty import Interval, tail_probability, widened_tail

FEWEST = 5
"""Configurations below which a resampling of them says nothing of the interval."""


@dataclass(frozen=True)
class Target:
    """How configurations are ordered by what counts.

    Attributes:
        configuration: (R,) which of the C configurations each run is of, from 0.
        signs: (C, C) 1 where the column's configuration is above the row's, -1 where below, 0 where that is not told.
    """

    configuration: IntArray
    signs: FloatArray

    @property
    def told(self) -> int:
        """Pairs of configurations that are told apart."""
        return int(np.count_nonzero(self.signs)) // 2

    @property
    def not_told(self) -> int:
        """Pairs of configurations that are not."""
        count = len(self.signs)
        return count * (count - 1) // 2 - self.told


def target_of(
    values: ArrayLike, configurations: Sequence[Hashable], replicates: ArrayLike | None = None, level: float = 0.95
) -> Target:
    """Which configurations the target tells apart, and which is above.

    A pair is told apart where the interval of its difference (`run_contrasts`) leaves 0 out, each pair for itself. Of a
    target without replicates and without two runs of one configuration no noise is known: ties alone are left out.

    Args:
        values: (R,) the target of each run, higher is better.
        configurations: (R,) runs with equal ones differ in their seed alone.
        replicates: (B, R) of the questions, the same ones for all runs; None where single questions are not known.
        level: of the interval.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or len(scores) != len(configurations) or not np.isfinite(scores).all():
        raise MetricError(f"targets of shape {scores.shape} for {len(configurations)} runs: one finite number per run")
    configuration = numbered(configurations)
    count = len(set(configurations))
    if count < 2:
        raise MetricError("one configuration only: there is nothing to decide between")
    resampled = np.tile(scores, (2, 1)) if replicates is None else np.asarray(replicates, dtype=np.float64)
    spread = run_spread(scores[:, None], configurations)
    share = np.stack([(configuration == k) / np.count_nonzero(configuration == k) for k in range(count)])
    signs = np.zeros((count, count))
    for i in range(count):
        for j in range(i + 1, count):
            found = contrast(share[j] - share[i], scores[:, None], resampled[:, :, None], spread).interval(0, level)
            signs[i, j] = 1.0 if found.low > 0 else -1.0 if found.high < 0 else 0.0
            signs[j, i] = -signs[i, j]
    return Target(configuration, signs)


def decision_accuracies(
    scores: ArrayLike, target: Target, rng: np.random.Generator, *, n_resamples: int = 1_000, level: float = 0.95
) -> list[Interval]:
    """Decision accuracy of K scores against one target, with intervals over runs.

    Percentiles of the resampled accuracies, widened for few configurations as `uncertainty.mean_interval` widens them
    for few clusters. Where less than one pair is ordered wrong (or right), of which resamples know next to nothing, at
    least Wilson's (1927) interval for as many independent decisions as C configurations can make, C // 2. The interval
    is [0, 1] below `FEWEST` configurations, those in a pair that is told apart; of fewer nothing can be said.

    Args:
        scores: (K, M, R) K scores of each run, each from M draws of questions (1 where all are taken) whose decisions
            are averaged; higher is better.
        target: of the same R runs, with at least one pair told apart.
        rng: source of the resamples.
        n_resamples: number of them.
        level: of the intervals.

    Returns:
        K intervals in [0, 1].
    """
    table = np.asarray(scores, dtype=np.float64)
    runs = len(target.configuration)
    if table.ndim != 3 or table.shape[2] != runs or not np.isfinite(table).all():
        raise MetricError(f"scores of shape {table.shape} for {runs} runs: finite (scores, draws, runs)")
    if not target.told:
        raise MetricError("the target tells no two configurations apart: there is no decision to be right about")
    truth = target.signs[np.ix_(target.configuration, target.configuration)]
    counted = (truth != 0).astype(np.float64)
    right = np.stack([_share_right(of_score, truth) for of_score in table]) * counted  # (K, R, R)
    share = 1.0 / np.bincount(target.configuration)[target.configuration]
    weights = np.stack([share, *_resampled(target.configuration, rng, n_resamples)])
    pairs = np.einsum("br,bt->brt", weights, weights).reshape(len(weights), -1)
    all_pairs = pairs @ counted.ravel()
    found = pairs @ right.reshape(len(right), -1).T
    known = all_pairs > 0  # a resample may hold no pair that the target tells apart
    accuracies = np.clip(found[known] / all_pairs[known, None], 0.0, 1.0)
    count = int(target.signs.any(axis=1).sum())  # configurations that are in some pair
    if count < FEWEST:
        return [Interval(float(value), 0.0, 1.0) for value in accuracies[0]]
    tail = widened_tail(count, level)
    low, high = np.quantile(accuracies[1:], [tail, 1.0 - tail], axis=0)
    share = accuracies[0]
    sure = (np.minimum(share, 1.0 - share) * target.told < 1.0) | (high - low < 1e-9)
    wilson = _wilson(share[sure], min(count // 2, target.told), level)
    low[sure], high[sure] = np.minimum(low[sure], wilson[0]), np.maximum(high[sure], wilson[1])
    return [Interval(*map(float, ends)) for ends in zip(accuracies[0], low, high, strict=True)]


def signal_to_seed_noise(values: ArrayLike, configurations: Sequence[Hashable]) -> float | None:
    """Range of the configurations' means divided by the standard deviation between runs of one configuration.

    `signal.signal_to_noise` takes the last checkpoints of a run for its noise, which they are where training has all
    but ended; this takes other seeds for it. None without two runs of one configuration, or without noise.

    Args:
        values: (R,) a score of each run.
        configurations: (R,) runs with equal ones differ in their seed alone.
    """
    scores = np.asarray(values, dtype=np.float64)
    spread = run_spread(scores[:, None], configurations)
    if spread is None or spread.variance[0] <= (1e-12 * np.abs(scores).max()) ** 2:
        return None
    configuration = numbered(configurations)
    means = np.bincount(configuration, weights=scores) / np.bincount(configuration)
    return float(np.ptp(means) / np.sqrt(spread.variance[0]))


def _wilson(share: FloatArray, n: int, level: float) -> tuple[FloatArray, FloatArray]:
    """Ends of Wilson's interval of shares of n independent decisions."""
    z = -float(ndtri(tail_probability(level)))
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)


def _share_right(scores: FloatArray, truth: FloatArray) -> FloatArray:
    """(R, R) whether the scores (M, R) order each pair of runs as the truth does: 1, a tie 1/2, else 0; mean over M."""
    signs = np.sign(scores[:, None, :] - scores[:, :, None])
    return np.asarray((1.0 - np.abs(signs - truth) / 2.0).mean(axis=0))


def _resampled(configuration: IntArray, rng: np.random.Generator, n_resamples: int) -> FloatArray:
    """(B, R) weight of each run where configurations are drawn with replacement, and of each its runs."""
    count = configuration.max() + 1
    drawn = rng.multinomial(count, np.full(count, 1.0 / count), size=n_resamples)
    weights = np.empty((n_resamples, len(configuration)))
    for k in range(count):
        members = np.flatnonzero(configuration == k)
        n = len(members)
        weights[:, members] = drawn[:, [k]] * rng.multinomial(n, np.full(n, 1.0 / n), size=n_resamples) / n
    return weights

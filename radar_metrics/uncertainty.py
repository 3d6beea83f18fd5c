"""Intervals, tests and detectable differences for means over questions.

Values are per-question numbers (N,), `clusters` (N,) labels of questions that belong together (the same image), and
`strata` (N,) labels of sources, whose means are averaged unweighted unless `weights` says otherwise: see
`radar_metrics.clusters`. Random numbers come from the generator that is passed in. Bad input raises MetricError; one
cluster only is an error, not a standard error of 0.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, stdtrit

from radar_metrics.clusters import bootstrap_means, chunks, group, stratified_mean
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray


@dataclass(frozen=True)
class Interval:
    """An estimate and the ends of its confidence interval, all in the unit of the values."""

    estimate: float
    low: float
    high: float


def mean_interval(
    values: ArrayLike,
    clusters: ArrayLike,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    strata: ArrayLike | None = None,
    weights: Mapping[str, float] | None = None,
) -> Interval:
    """Mean over questions with a cluster bootstrap interval.

    Percentiles of the resampled means, widened for few clusters as Hesterberg (2015, "What Teachers Should Know about
    the Bootstrap", section 5.2) proposes: with C clusters in L strata and n = C - L + 1, the tail is
    Phi(-sqrt(n/(n-1)) * t_{n-1}), which goes to (1 - level)/2 for many clusters.

    Args:
        values: (N,) numbers, such as the probability of the right answer.
        clusters: (N,) labels.
        rng: source of the resamples.
        n_resamples: number of resamples.
        level: coverage, between 0 and 1.
        strata: (N,) labels.
        weights: weight of each stratum by label.
    """
    grouped = group(_vector(values), clusters, strata, weights)
    replicates = bootstrap_means(grouped, rng, n_resamples)[:, 0]
    tail = widened_tail(sum(len(s.sizes) for s in grouped) - len(grouped) + 1, level)
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    return Interval(float(stratified_mean(grouped)[0]), float(low), float(high))


def clustered_standard_error(
    values: ArrayLike,
    clusters: ArrayLike,
    strata: ArrayLike | None = None,
    weights: Mapping[str, float] | None = None,
) -> float:
    """Standard error of the mean by the central limit theorem over clusters, with C/(C-1).

    SE^2 = sum_s w_s^2 * C_s/(C_s - 1) * sum_c (S_c - n_c mean_s)^2 / N_s^2 (Miller, "Adding Error Bars to Evals",
    arXiv 2411.00640, Eq. 4, there without the small-sample factor).
    """
    return float(clustered_standard_errors(_vector(values), clusters, strata, weights)[0])


def clustered_standard_errors(
    values: ArrayLike,
    clusters: ArrayLike,
    strata: ArrayLike | None = None,
    weights: Mapping[str, float] | None = None,
) -> FloatArray:
    """(K,) the same for (K, N) values: several metrics of the same questions, which are put into clusters once."""
    grouped = group(values, clusters, strata, weights)
    return np.sqrt(sum((s.weight**2 * s.residual_variance for s in grouped), np.zeros(len(grouped[0].sums))))


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike,
    strata: ArrayLike | None,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    level: float = 0.95,
    weights: Mapping[str, float] | None = None,
) -> Interval:
    """Difference of means, a minus b, of two runs on the same questions: `mean_interval` of the (N,) differences.

    Pairing removes what the questions share and makes the interval much narrower than that of two separate runs.
    """
    return mean_interval(
        _difference(a, b), clusters, rng, n_resamples=n_resamples, level=level, strata=strata, weights=weights
    )


def permutation_p_value(
    a: ArrayLike,
    b: ArrayLike,
    clusters: ArrayLike,
    rng: np.random.Generator,
    *,
    n_resamples: int = 10_000,
    strata: ArrayLike | None = None,
    weights: Mapping[str, float] | None = None,
) -> float:
    """Two-sided p-value of "a and b are exchangeable on every cluster", by flipping the signs of whole clusters.

    The statistic is |sum_s w_s sum_c S_c / N_s| with S_c the cluster's summed differences. The observed labelling
    counts as one of the draws, p = (1 + #{as extreme}) / (1 + n_resamples), so that p is valid and never 0 (Phipson
    and Smyth, 2010).

    Returns:
        p in [1/(n_resamples + 1), 1]; 1 when nothing differs.
    """
    grouped = group(_difference(a, b), clusters, strata, weights)
    terms = np.concatenate([s.weight * s.sums[0] / s.sizes.sum() for s in grouped])
    # Sums of the same terms in another order differ by rounding; they must still count as equally extreme.
    observed = abs(float(terms.sum())) - 1e-12 * float(np.abs(terms).sum())
    extreme = 0
    for rows in chunks(n_resamples, len(terms)):
        flips = rng.integers(0, 2, size=(rows.stop - rows.start, len(terms)), dtype=np.int8)
        statistics = 2.0 * (flips @ terms) - terms.sum()
        extreme += int((np.abs(statistics) >= observed).sum())
    return (1 + extreme) / (1 + n_resamples)


def holm(p_values: ArrayLike) -> FloatArray:
    """P-values (m,) adjusted for m tests by Holm's step-down method, in the given order, capped at 1.

    The i-th smallest becomes max_{k <= i} (m - k + 1) p_(k); rejecting those below alpha keeps the chance of any false
    rejection below alpha, whatever the dependence (Holm, 1979).
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise MetricError(f"p-values must be a list of numbers in [0, 1]: {p_values!r}")
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(np.arange(len(p), 0, -1) * p[order]), 1.0)
    return adjusted


def smallest_detectable_difference(standard_error: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """The true difference that a two-sided test at alpha finds with this power: (z_{1-alpha/2} + z_power) * SE.

    Args:
        standard_error: of the paired difference, from `clustered_standard_error` of the per-question differences.
        power: probability of finding it, between 0.5 and 1.
        alpha: significance level, between 0 and 1.

    Returns:
        A difference >= 0 in the unit of the standard error; 2.80 standard errors by default.
    """
    if not (0 < alpha < 1 and 0.5 <= power < 1 and 0 <= standard_error < math.inf):
        raise MetricError(f"no detectable difference for standard error {standard_error}, power {power}, alpha {alpha}")
    return float((ndtri(1.0 - alpha / 2.0) + ndtri(power)) * standard_error)


def tail_probability(level: float) -> float:
    """(1 - level) / 2, the probability outside each end of an interval; MetricError unless 0 < level < 1."""
    if not 0 < level < 1:
        raise MetricError(f"level {level} is not between 0 and 1")
    return (1.0 - level) / 2.0


def widened_tail(n: int, level: float) -> float:
    """The probability outside each end of a percentile interval of n >= 2 resampled clusters, see `mean_interval`."""
    return float(ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, tail_probability(level))))


def _vector(values: ArrayLike) -> FloatArray:
    vector = np.asarray(values, dtype=np.float64)
    if vector.ndim != 1:
        raise MetricError(f"values of shape {vector.shape}: one number per question is needed")
    return vector


def _difference(a: ArrayLike, b: ArrayLike) -> FloatArray:
    first, second = _vector(a), _vector(b)
    if first.shape != second.shape:
        raise MetricError(f"{len(first)} values against {len(second)}: pairs need the same questions on both sides")
    return first - second

"""Which metric tells checkpoints apart: order over training, noise between neighbours, ranking of runs, correlation.

Signal-to-noise ratio and decision accuracy follow "Signal and Noise" (Heineman et al., arXiv 2508.13144; code
allenai/signal-and-noise). Higher is better for every score passed in: negate losses and MIR before. Scores are finite
numbers, else MetricError.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from radar_metrics.errors import MetricError
from radar_metrics.jackknife import jackknife
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import Interval, tail_probability


@dataclass(frozen=True)
class Correlation:
    """Pearson's r and Spearman's rho of n pairs, in [-1, 1], with intervals."""

    pearson: Interval
    spearman: Interval
    n: int


def monotonicity(values: ArrayLike) -> float:
    """Kendall's tau (tau-a) of a metric with the order of its checkpoints, in [-1, 1].

    tau = sum_{i<j} sign(m_j - m_i) / (S choose 2): 1 when every later checkpoint is better, 0 for a constant metric. A
    tie counts neither way, so that a coarse metric does not gain by its ties.

    Args:
        values: (S,) in order of training, S >= 2.
    """
    return order_agreement(np.arange(np.size(values)), values)


def order_agreement(a: ArrayLike, b: ArrayLike) -> float:
    """Kendall's tau-a between two scores (R,) of the same things: mean over pairs of the product of their signs."""
    first, second = _pair_signs(a), _pair_signs(b)
    if first.shape != second.shape:
        raise MetricError(f"{np.size(a)} scores against {np.size(b)}: both must score the same things")
    return float((first * second).mean())


def neighbour_noise(steps: ArrayLike, values: ArrayLike) -> float:
    """Standard deviation of a metric around the line between its neighbouring checkpoints; >= 0, unit of the metric.

    sigma^2 = mean over inner checkpoints i of e_i^2 / (1 + a_i^2 + b_i^2), e_i = a_i m_{i-1} + b_i m_{i+1} - m_i, with
    the weights a_i, b_i that interpolate at step i (Gasser, Sroka and Jennen-Steinmetz, 1986). Linear growth between
    neighbours is not noise; only curvature between them is mistaken for it.

    Args:
        steps: (S,) increasing, S >= 3.
        values: (S,) the metric.
    """
    t, m = _finite(steps), _finite(values)
    if t.shape != m.shape or len(t) < 3 or (np.diff(t) <= 0).any():
        raise MetricError(
            f"noise between neighbours needs three or more increasing steps with a value each: {t.tolist()}"
        )
    after = (t[1:-1] - t[:-2]) / (t[2:] - t[:-2])
    before = 1.0 - after
    error = before * m[:-2] + after * m[2:] - m[1:-1]
    return float(np.sqrt((error**2 / (1.0 + before**2 + after**2)).mean()))


def curve_signal_to_noise(steps: ArrayLike, values: ArrayLike) -> float | None:
    """Range of a metric over one run divided by its `neighbour_noise`: how many noise widths its growth spans.

    For one run, where `signal_to_noise` between models has nothing to compare. Free of the metric's unit. None when the
    noise is 0 to rounding and the ratio has no value.
    """
    noise = neighbour_noise(steps, values)
    spread = float(np.ptp(_finite(values)))
    return spread / noise if noise > 1e-12 * np.abs(_finite(values)).max() else None


def signal_to_noise(scores: ArrayLike) -> float | None:
    """Signal-to-noise ratio of a benchmark over several models, each with its last few checkpoints.

        signal = max_{j,k} |m_j - m_k| / |mean m|      m_j = mean over the checkpoints of model j (relative dispersion)
        noise  = mean_j sd_j / |mean m|                sd_j over the checkpoints of model j (relative deviation)
        ratio  = signal / noise

    As Signal and Noise defines it, with deviations within each model (divisor L, as there).

    Args:
        scores: (R, L) R models, their last L checkpoints; both >= 2.

    Returns:
        The ratio, >= 0; None when there is no noise beyond rounding.
    """
    table = _finite(scores)
    if table.ndim != 2 or min(table.shape) < 2:
        raise MetricError(f"scores of shape {table.shape}: at least two models with two checkpoints each")
    noise = float(table.std(axis=1).mean())
    # Both sides are divided by the same mean: it cancels, and a metric with mean 0 is no trouble.
    return float(np.ptp(table.mean(axis=1))) / noise if noise > 1e-12 * np.abs(table).max() else None


def decision_accuracy(small: ArrayLike, target: ArrayLike) -> float:
    """Share of pairs that a cheap score ranks as the target score does, in [0, 1]; 0.5 for a coin.

    Signal and Noise (and DataDecide) compare small models with large ones; here it is also an early checkpoint with the
    last. A tie on one side counts a half, on both sides 1; the authors' code lets the order of listing decide.

    Args:
        small: (R,) scores of R >= 2 models, data mixes or sources by the cheap measure.
        target: (R,) their scores by the measure that counts.
    """
    first, second = _pair_signs(small), _pair_signs(target)
    if first.shape != second.shape:
        raise MetricError(f"{np.size(small)} scores against {np.size(target)}: both must score the same things")
    return float((1.0 - np.abs(first - second) / 2.0).mean())


def prefix_prediction(scores: ArrayLike) -> FloatArray:
    """How well each prefix of training predicts the final ranking: `decision_accuracy` of step s with the last step.

    Args:
        scores: (R, S) R >= 2 runs (or sources of one run) at the same S steps.

    Returns:
        (S,) in [0, 1], the last one 1.
    """
    table = _finite(scores)
    if table.ndim != 2:
        raise MetricError(f"scores of shape {table.shape}: (runs, checkpoints) is needed")
    return np.array([decision_accuracy(column, table[:, -1]) for column in table.T])


def correlation(
    x: ArrayLike,
    y: ArrayLike,
    level: float = 0.95,
    *,
    runs: ArrayLike | None = None,
    sources: ArrayLike | None = None,
) -> Correlation:
    """Pearson's and Spearman's correlation of n >= 4 pairs, with intervals on Fisher's scale: tanh(atanh(r) +- h).

    Checkpoints of one run are not independent, nor are runs on one source: with `runs` or `sources`, h is that of the
    two-way `jackknife` of atanh(r) over them. (`benchmarks/correlation_coverage.py`, studies of four and five runs like
    `studies/tiny`: an interval that takes the pairs as independent holds the truth 28 to 41 times in a hundred, this
    one 92 to 94.) Where there is but one run and one source, nothing tells how far another one would differ, and the
    interval is [-1, 1].

    Without either, pairs must be independent, and h = z * se with se = 1/sqrt(n - 3) for Pearson and
    sqrt((1 + rho^2/2) / (n - 3)) for Spearman (Bonett and Wright, 2000).

    Args:
        x, y: (n,) numbers.
        level: coverage, between 0 and 1.
        runs, sources: (n,) labels of the training run and of the source of each pair.

    Raises:
        MetricError: fewer than four pairs, or one side is constant and correlates with nothing.
    """
    first, second = _finite(x), _finite(y)
    if first.ndim != 1 or first.shape != second.shape or len(first) < 4:
        raise MetricError(f"correlation needs four or more pairs: shapes {first.shape} and {second.shape}")
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        raise MetricError("one side of the correlation is constant")
    n = len(first)
    r = pearson(first, second)
    rho = pearson(_ranks(first), _ranks(second))
    ways = [way for way in (runs, sources) if way is not None]
    if ways:
        of_r = jackknife(lambda kept: to_fisher(pearson(first[kept], second[kept])), ways)
        of_rho = jackknife(lambda kept: to_fisher(pearson(_ranks(first[kept]), _ranks(second[kept]))), ways)
        half_widths = (of_r.half_width(level), of_rho.half_width(level))
    else:
        z = -float(ndtri(tail_probability(level)))
        half_widths = (z / math.sqrt(n - 3), z * math.sqrt((1.0 + rho**2 / 2.0) / (n - 3)))
    return Correlation(fisher_interval(r, half_widths[0]), fisher_interval(rho, half_widths[1]), n)


def pearson(x: FloatArray, y: FloatArray) -> float:
    """Pearson's r of (n,) and (n,), in [-1, 1]; NaN where one side is constant to rounding or there is no pair."""
    if len(x) == 0:
        return math.nan
    first, second = x - x.mean(), y - y.mean()
    a, b = float(first @ first), float(second @ second)
    # Differences of equal numbers are zero to rounding only, and the correlation of two roundings is anything.
    if a <= 1e-24 * float(x @ x) or b <= 1e-24 * float(y @ y):
        return math.nan
    return min(max(float(first @ second) / math.sqrt(a * b), -1.0), 1.0)


def to_fisher(r: float) -> float:
    """atanh(r); r = 1 to rounding has an infinite transform, and is taken as just below."""
    return math.atanh(min(max(r, -1.0 + 1e-15), 1.0 - 1e-15))


def fisher_interval(r: float, half_width: float) -> Interval:
    """tanh(atanh(r) +- half_width), which holds r; [-1, 1] for an infinite one."""
    low, high = math.tanh(to_fisher(r) - half_width), math.tanh(to_fisher(r) + half_width)
    return Interval(r, min(low, r), max(high, r))  # r = 1 has no transform of its own


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, ties sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2.0)[inverse])


def _pair_signs(values: ArrayLike) -> FloatArray:
    array = _finite(values)
    if array.ndim != 1 or len(array) < 2:
        raise MetricError(f"scores of shape {array.shape}: two or more are needed to compare")
    i, j = np.triu_indices(len(array), k=1)
    return np.sign(array[j] - array[i])


def _finite(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if not np.isfinite(array).all():
        raise MetricError(f"scores hold NaN or infinite values: {array.tolist()}")
    return array

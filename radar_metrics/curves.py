"""A metric over checkpoints with its bootstrap replicates, and the bands they give."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.clusters import bootstrap_means, group, stratified_mean
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import Interval, tail_probability

ROUNDING = 1e-12
"""What lies closer together may differ by rounding alone: a mean of many halves is one half but for 1e-16 or so."""


@dataclass(frozen=True)
class Curve:
    """One metric over checkpoints.

    Attributes:
        steps: (S,) training steps (or samples, or tokens), >= 0, increasing.
        values: (S,) the metric.
        replicates: (B, S) bootstrap replicates of the curve, B >= 2.
    """

    steps: FloatArray
    values: FloatArray
    replicates: FloatArray

    def __post_init__(self) -> None:
        s = len(self.steps)
        if s == 0 or self.values.shape != (s,) or self.replicates.ndim != 2 or self.replicates.shape[1] != s:
            raise MetricError(
                f"a curve needs as many values and replicate columns as steps: {self.steps.shape}, "
                f"{self.values.shape}, {self.replicates.shape}"
            )
        if len(self.replicates) < 2:
            raise MetricError(f"{len(self.replicates)} replicate(s): at least two are needed")
        if self.steps[0] < 0 or (np.diff(self.steps) <= 0).any() or not np.isfinite(self.steps).all():
            raise MetricError(f"steps must be finite, at least 0 and increasing: {self.steps.tolist()}")
        if not (np.isfinite(self.values).all() and np.isfinite(self.replicates).all()):
            raise MetricError("a curve holds NaN or infinite values")

    @property
    def standard_errors(self) -> FloatArray:
        """(S,) standard deviation of the replicates at each step."""
        return np.asarray(self.replicates.std(axis=0, ddof=1))

    def between(self, start: float, end: float) -> "Curve":
        """The part with start <= step <= end; MetricError when that is empty."""
        inside = (self.steps >= start) & (self.steps <= end)
        if not inside.any():
            raise MetricError(f"no checkpoint between steps {start:g} and {end:g}")
        return Curve(self.steps[inside], self.values[inside], self.replicates[:, inside])


@dataclass(frozen=True)
class Band:
    """Lower and upper ends (S,) at each step."""

    low: FloatArray
    high: FloatArray


def bootstrap_curve(
    steps: ArrayLike,
    scores: ArrayLike,
    clusters: ArrayLike,
    rng: np.random.Generator,
    *,
    strata: ArrayLike | None = None,
    n_resamples: int = 10_000,
    weights: Mapping[str, float] | None = None,
) -> Curve:
    """Curve of the mean over questions, with replicates from a cluster bootstrap that all steps share.

    Args:
        steps: (S,) increasing.
        scores: (S, N) per-question numbers of each checkpoint, the same questions in the same order.
        clusters: (N,) labels of questions on the same image.
        rng: source of the resamples.
        strata: (N,) sources to be averaged unweighted (an ability); none for a single source.
        n_resamples: number of replicates.
        weights: weight of each stratum by label.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2:
        raise MetricError(f"scores of shape {table.shape}: (checkpoints, questions) is needed")
    strata_of = group(table, clusters, strata, weights)
    return Curve(
        np.asarray(steps, dtype=np.float64),
        stratified_mean(strata_of),
        bootstrap_means(strata_of, rng, n_resamples),
    )


def pointwise_band(curve: Curve, level: float = 0.95) -> Band:
    """Percentiles of the replicates at each step; each step alone is covered at `level`."""
    tail = tail_probability(level)
    low, high = np.quantile(curve.replicates, [tail, 1.0 - tail], axis=0)
    return Band(low, high)


def simultaneous_band(curve: Curve, level: float = 0.95) -> Band:
    """Band that holds the whole curve at `level`: value +- q * SE, q the quantile of max_s |replicate - value| / SE."""
    tail_probability(level)
    half = critical_value(np.abs(standardised(curve)), level) * curve.standard_errors
    return Band(curve.values - half, curve.values + half)


def percentile_interval(estimate: float, replicates: FloatArray, level: float) -> Interval:
    """Estimate with percentiles of its replicates (B,)."""
    tail = tail_probability(level)
    low, high = np.quantile(replicates, [tail, 1.0 - tail])
    return Interval(estimate, float(low), float(high))


def standardised(curve: Curve) -> FloatArray:
    """(B, S) deviations of the replicates in standard errors; 0 where a step has no spread beyond rounding."""
    errors = curve.standard_errors
    spread = errors > ROUNDING * np.maximum(np.abs(curve.values), 1.0)
    deviation = curve.replicates - curve.values
    return np.divide(deviation, errors, out=np.zeros_like(deviation), where=spread)


def critical_value(deviations: FloatArray, level: float) -> float:
    """Quantile at `level` of the largest deviation over the steps, at least 0."""
    return max(float(np.quantile(deviations.max(axis=1), level)), 0.0)

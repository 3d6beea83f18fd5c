"""Means over questions that come in clusters and strata, and their bootstrap.

Questions on one image are not independent: they are one cluster, drawn together. Sources (or categories) are strata:
each is resampled within itself, and the mean reported is the weighted mean of the strata's means, unweighted by default
as the RADAR paper averages the sources of an ability.

    mean = sum_s w_s * (sum over clusters c of s of S_c) / (sum over c of n_c)

S_c sums the values of cluster c and n_c counts its questions. In a resample both sums run over the drawn clusters, so
that clusters of very unequal size give a ratio of sums, not a mean of cluster means.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray, IntArray

# Numbers held at once while resampling: 4 million of 8 bytes are 32 MB an array.
_CHUNK_NUMBERS = 4_000_000


@dataclass(frozen=True)
class Stratum:
    """Clusters of one stratum: `sums` (K, C) of K values a question, `sizes` (C,), `weight` of its mean, its `name`."""

    name: str
    weight: float
    sums: FloatArray
    sizes: FloatArray

    @property
    def mean(self) -> FloatArray:
        """(K,) mean over the questions."""
        return np.asarray(self.sums.sum(axis=1) / self.sizes.sum())

    @property
    def residual_variance(self) -> FloatArray:
        """(K,) variance of the mean, C/(C-1) sum_c (S_c - n_c mean)^2 / N^2: the cluster-robust central limit one."""
        clusters = len(self.sizes)
        residuals = self.sums - self.mean[:, None] * self.sizes
        return np.asarray(clusters / (clusters - 1) * (residuals**2).sum(axis=1) / self.sizes.sum() ** 2)


def group(
    values: ArrayLike,
    clusters: ArrayLike,
    strata: ArrayLike | None = None,
    weights: Mapping[str, float] | None = None,
) -> list[Stratum]:
    """Sums values over clusters, stratum by stratum.

    Args:
        values: (N,) or (K, N) finite numbers, one column per question.
        clusters: (N,) labels. The same label in two strata means two clusters.
        strata: (N,) labels; one stratum without them.
        weights: weight of each stratum's mean by label; equal without them. Scaled to sum to 1.

    Raises:
        MetricError: shapes differ, no questions, a value is not finite, weights do not fit the strata, or a stratum
            with one cluster, whose spread cannot be known.
    """
    table = np.atleast_2d(np.asarray(values, dtype=np.float64))
    n = table.shape[-1]
    cluster_of = _labels(clusters, n, "clusters")
    stratum_of = np.zeros(n, dtype=np.int64) if strata is None else _labels(strata, n, "strata")
    if table.ndim != 2 or n == 0:
        raise MetricError(f"values of shape {table.shape}: at least one question is needed")
    if not np.isfinite(table).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(table))[0])
        raise MetricError(f"value of question at position {column} (row {row}) is {table[row, column]}, not finite")
    names = ["all questions"] if strata is None else [str(name) for name in np.unique(np.asarray(strata))]
    share = _shares(names, weights)
    members = [np.flatnonzero(stratum_of == k) for k in range(len(names))]
    return [_stratum(names[k], share[k], table[:, m], cluster_of[m]) for k, m in enumerate(members)]


def stratified_mean(strata: Sequence[Stratum]) -> FloatArray:
    """(K,) weighted mean of the strata's means."""
    return np.asarray(sum((s.weight * s.mean for s in strata), np.zeros(len(strata[0].sums))))


def bootstrap_means(strata: Sequence[Stratum], rng: np.random.Generator, n_resamples: int) -> FloatArray:
    """Means of resamples that draw as many clusters as there are, with replacement, within each stratum.

    All K values of a resample use the same draw, so that replicates of checkpoints or of two models stay paired.

    Returns:
        (n_resamples, K) float64.
    """
    if n_resamples < 1:
        raise MetricError(f"{n_resamples} resamples: at least one is needed")
    means = np.zeros((n_resamples, len(strata[0].sums)))
    for stratum in strata:
        for rows, counts in _draws(len(stratum.sizes), rng, n_resamples):
            size = counts @ stratum.sizes
            means[rows] += stratum.weight * (counts @ stratum.sums.T) / size[:, None]
    return means


def chunks(n_resamples: int, width: int) -> Iterator[slice]:
    """Slices of the resamples, few enough each that arrays of (slice, width) stay small."""
    step = max(1, _CHUNK_NUMBERS // width)
    for start in range(0, n_resamples, step):
        yield slice(start, min(start + step, n_resamples))


def _draws(clusters: int, rng: np.random.Generator, n_resamples: int) -> Iterator[tuple[slice, FloatArray]]:
    """How often each cluster is drawn in each resample of a chunk, (chunk, clusters): multinomial counts."""
    for rows in chunks(n_resamples, clusters):
        n = rows.stop - rows.start
        drawn = rng.integers(clusters, size=(n, clusters))
        drawn += np.arange(n)[:, None] * clusters
        yield rows, np.bincount(drawn.ravel(), minlength=n * clusters).reshape(n, clusters).astype(np.float64)


def _labels(labels: ArrayLike, n: int, what: str) -> IntArray:
    array = np.asarray(labels)
    if array.shape != (n,):
        raise MetricError(f"{what} of shape {array.shape} for {n} questions: one label per question")
    return np.unique(array, return_inverse=True)[1].astype(np.int64)


def _shares(names: Sequence[str], weights: Mapping[str, float] | None) -> list[float]:
    if weights is None:
        return [1.0 / len(names)] * len(names)
    if set(weights) != set(names):
        raise MetricError(f"weights for {sorted(weights)}, but the strata are {sorted(names)}")
    total = sum(weights.values())
    if not all(weight >= 0 for weight in weights.values()) or not 0 < total < np.inf:
        raise MetricError(f"weights {dict(weights)}: each must be at least 0, and one above")
    return [weights[name] / total for name in names]


def _stratum(name: str, weight: float, table: FloatArray, cluster_of: IntArray) -> Stratum:
    _, cluster = np.unique(cluster_of, return_inverse=True)
    sizes = np.bincount(cluster).astype(np.float64)
    if len(sizes) < 2:
        raise MetricError(f"{name}: one cluster only, its spread cannot be known; at least two are needed")
    sums = np.stack([np.bincount(cluster, weights=row) for row in table]).astype(np.float64)
    return Stratum(name, weight, sums, sizes)

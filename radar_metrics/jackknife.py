"""The spread of any number made from points that come in two kinds of clusters at once, such as runs and sources.

Checkpoints of one run share its seed and its data, and points of one source share its questions and its difficulty: a
thousand points may be no more than four runs and twenty sources.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import tail_probability

Kept = NDArray[np.bool_]
"""(n,) which points a statistic is made from."""


@dataclass(frozen=True)
class Spread:
    """Variance of a statistic (>= 0, in its unit squared), and the degrees of freedom of Student's t that goes with it.

    An infinite variance says that nothing is known: there is one cluster only, or the statistic has no value without
    some cluster.
    """

    variance: float
    degrees_of_freedom: float

    def half_width(self, level: float = 0.95) -> float:
        """Half of the interval's width, in the unit of the statistic; infinite where nothing is known."""
        if not math.isfinite(self.variance):
            return math.inf
        return -float(stdtrit(self.degrees_of_freedom, tail_probability(level))) * math.sqrt(self.variance)


def jackknife(statistic: Callable[[Kept], float], ways: Sequence[ArrayLike]) -> Spread:
    """Delete-a-cluster jackknife in one way or in two.

    With t_g the statistic without cluster g, V = sum_g (t_g - mean t)^2. In two ways it is
    V = max(V_1 + V_2 - V_12, V_1, V_2), where the clusters of V_12 are the cells of both (Cameron, Gelbach and Miller,
    2011; with the jackknife: MacKinnon, Nielsen and Webb, arXiv 2406.08880). Two things differ from the latter, as
    `benchmarks/correlation_coverage.py` asks for. The factor (G - 1)/G is left out, since for four runs it was too
    narrow. Degrees of freedom are Satterthwaite's, (V_1 + V_2)^2 / (V_1^2/(G_1 - 1) + V_2^2/(G_2 - 1)), instead of
    min(G_1, G_2) - 1, which was far too wide where the runs hardly differ. A way with one cluster tells nothing and is
    left out: the interval then holds for that run (that source) alone.

    Args:
        statistic: of the points that a mask (n,) keeps; NaN where they do not allow it.
        ways: one or two arrays (n,) of labels.
    """
    labels = [np.unique(np.asarray(way), return_inverse=True)[1] for way in ways]
    if not 1 <= len(labels) <= 2 or any(way.shape != labels[0].shape or way.ndim != 1 for way in labels):
        raise MetricError(
            f"labels of shapes {[np.shape(way) for way in ways]}: one or two arrays of one label per point"
        )
    told = [way for way in labels if way.max(initial=0) > 0]
    if not told:
        return Spread(math.inf, 1.0)
    variances = [_variance(statistic, way) for way in told]
    variance = max(variances)
    if len(told) == 2:
        cells = np.unique(told[0] * (told[1].max() + 1) + told[1], return_inverse=True)[1]
        variance = max(sum(variances) - _variance(statistic, cells), variance)
    if not variance < math.inf:
        return Spread(math.inf, 1.0)
    if variance == 0:
        return Spread(0.0, 1.0)
    weighted = sum(part**2 / way.max() for part, way in zip(variances, told, strict=True))
    return Spread(variance, float(sum(variances) ** 2 / weighted))


def _variance(statistic: Callable[[Kept], float], clusters: NDArray[np.int64]) -> float:
    without: FloatArray = np.array([statistic(clusters != k) for k in range(int(clusters.max()) + 1)])
    if not np.isfinite(without).all():
        return math.inf
    return float(((without - without.mean()) ** 2).sum())

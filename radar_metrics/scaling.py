"""Growth against data volume, trainable parameters or another amount: lines on a log axis, and are they parallel.

The line is y = intercept + slope * log10(x): slope is the gain when x is ten times as large. For log-log axes pass
log10 of y. Fits are ordinary least squares; points are taken as independent.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import fdtrc, stdtrit

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import Interval, tail_probability


@dataclass(frozen=True)
class Line:
    """y = intercept + slope * log10(x).

    Attributes:
        intercept: y at x = 1.
        slope: gain for ten times x, with its interval (Student's t, n - 2 degrees of freedom).
        r_squared: share of the variance of y that the line explains, in [0, 1]; None where y is constant.
        n: number of points.
    """

    intercept: float
    slope: Interval
    r_squared: float | None
    n: int


@dataclass(frozen=True)
class SlopeTest:
    """Test of equal slopes: F statistic, its degrees of freedom, p-value in [0, 1], and the common slope."""

    f: float
    df_between: int
    df_residual: int
    p_value: float
    common_slope: float


@dataclass(frozen=True)
class _Sums:
    """Sums of squares and products of deviations of u = log10(x) and y."""

    n: int
    uu: float
    uy: float
    yy: float

    @property
    def slope(self) -> float:
        return self.uy / self.uu

    @property
    def residual(self) -> float:
        return max(self.yy - self.uy**2 / self.uu, 0.0)


def fit_line(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> Line:
    """Fits one line.

    Args:
        x: (n,) amounts, > 0, at least two different.
        y: (n,) metric, n >= 3.
        level: of the slope's interval.
    """
    u, v = _points(x, y, "points")
    sums = _sums(u, v)
    error = math.sqrt(sums.residual / (sums.n - 2) / sums.uu)
    half = -float(stdtrit(sums.n - 2, tail_probability(level))) * error
    slope = Interval(sums.slope, sums.slope - half, sums.slope + half)
    r_squared = 1.0 - sums.residual / sums.yy if sums.yy > 0 else None
    return Line(float(v.mean() - sums.slope * u.mean()), slope, r_squared, sums.n)


def equal_slopes(groups: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> SlopeTest:
    """Tests whether the lines of several groups (sources, abilities, model sizes) are parallel: analysis of covariance.

        F = [(RSS_common - RSS_separate) / (G - 1)] / [RSS_separate / (n - 2G)]

    RSS_separate has a slope for each of the G groups, RSS_common one for all; each group keeps its own intercept. A
    small p-value says that the slopes differ.

    Args:
        groups: (x, y) of each group, at least two groups, at least three points in each.

    Raises:
        MetricError: as `fit_line`, naming the group; or the points lie exactly on their lines, which leaves no noise to
            compare with.
    """
    if len(groups) < 2:
        raise MetricError(f"{len(groups)} group(s): at least two are needed to compare slopes")
    sums = [_sums(*_points(x, y, f"group {name!r}")) for name, (x, y) in groups.items()]
    separate = sum(s.residual for s in sums)
    pooled = _Sums(sum(s.n for s in sums), sum(s.uu for s in sums), sum(s.uy for s in sums), sum(s.yy for s in sums))
    if separate <= 1e-20 * pooled.yy or separate == 0:
        raise MetricError("the points lie exactly on their lines: no noise to compare the slopes with")
    between, residual = len(sums) - 1, pooled.n - 2 * len(sums)
    f = max(pooled.residual - separate, 0.0) / between / (separate / residual)
    return SlopeTest(f, between, residual, float(fdtrc(between, residual, f)), pooled.slope)


def _points(x: ArrayLike, y: ArrayLike, what: str) -> tuple[FloatArray, FloatArray]:
    amount, value = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if amount.ndim != 1 or amount.shape != value.shape or len(amount) < 3:
        raise MetricError(f"{what}: shapes {amount.shape} and {value.shape}, three or more pairs are needed for a line")
    if not (np.isfinite(amount).all() and np.isfinite(value).all() and (amount > 0).all()):
        raise MetricError(f"{what}: amounts must be finite and above 0, values finite")
    if np.ptp(np.log10(amount)) == 0:
        raise MetricError(f"{what}: all at the same amount {amount[0]:g}, no slope")
    return np.log10(amount), value


def _sums(u: FloatArray, y: FloatArray) -> _Sums:
    du, dy = u - u.mean(), y - y.mean()
    return _Sums(len(u), float(du @ du), float(du @ dy), float(dy @ dy))

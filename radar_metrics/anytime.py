"""Confidence sequences: intervals that hold however often one looks, for a mean over finitely many questions.

An ordinary 95 % interval is for a number of questions fixed beforehand; who looks after every batch and stops at the
first one without 0 in it is wrong far more often than in 5 %. The intervals here hold after every draw at once, so that
any rule may say when to stop.

**What is estimated.** theta = sum_c w_c v_c over all units of a finite population: `v_c` in [low, high] is a unit's
value (the mean over the questions of one picture), `w_c` its share (they sum to 1). An ability is the mean of
its sources: a picture with n of the N questions of one of S sources has the share n / (N S).

**How units are drawn.** One by one, without replacement, each with a chance in proportion to its share among those left
(`draw_order`). Sources then come in turn as they count, and every draw says the same about theta: with S the weighted
sum of what was drawn before and r = 1 - sum of its shares, E[v of the next unit | the past] = (theta - S) / r.

**How it is tested.** By betting (Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting",
JRSS-B 86, 2024; without replacement: section 5 there and NeurIPS 2020; weighted, and with what is known of a unit
beside its value: Shekhar, Xu, Lipton, Liang and Ramdas, "Risk-limiting financial audits via weighted sampling without
replacement", UAI 2023). Values mapped onto [0, 1], who bets the share b of their wealth against "theta <= m" has after
each draw

    W_b(m) <- W_b(m) * (1 - b' + b' * (v + h_s) / (m' + h)),    m' = (m - S) / r,    b' = min(b / r, 0.95),

where m' is what the next draw is expected to be at most. It is a martingale if theta = m, which ever reaches 1/a with a
chance of at most a (Ville, 1939).

- *Strata* (sources). h_s lifts the values of stratum s to those of the highest, as far as the draws before tell:
  h_s = max_t c_t - c_s, with c_s the mean of s so far, shrunk towards that of all. h is what the next draw will be
  lifted by on average; that is known, for the strata's shares of those left are. Strata that change by different
  amounts then add nothing to the spread.
- *Bets* grow as fewer are left, for what a true change adds to the next draw does so, too.
- *Wealth* W(m) is the mean of W_b(m) over `BETS`, weighted by `PURSES`. The bets are not learnt from the data, so that
  the same draws can serve in every measurement of a training.

W falls in m; the lower end of the interval is the smallest m with W(m) < 2/a at all draws so far, the upper end the
same for the values mirrored.

**What it costs.** Nothing is assumed but that values lie in [low, high], so that a loss that hits one unit in 50 has to
be excluded: a mean of differences that is t above m cannot be told from m before some log(1/a) / t draws, even where
all draws are alike. Asymptotic confidence sequences (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform
central limit theory and asymptotic confidence sequences", Annals of Statistics 52, 2024) end sooner there, and are
wrong where such a loss is. `benchmarks/anytime.py` compares with what any test could reach.

`confseq` on PyPI has the unweighted case; it must be compiled and has had no release since January 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray, IntArray
from radar_metrics.uncertainty import Interval

Verdict = Literal["rose", "fell", "no change", "undecided"]

BETS: FloatArray = 0.95 * 0.5 ** np.arange(6.0)
"""Shares of the wealth: large ones find what is frequent in few draws, small ones what is hidden by a large spread."""

PURSES: FloatArray = 0.5 ** np.arange(6.0) / np.sum(0.5 ** np.arange(6.0))
"""The part of the wealth that each bet begins with, most with the largest.

A change that `until=` looks for is told soonest by the first two. A bet that begins with a part p has to win log(1/p)
beside a threshold of log(2/a) = 9.0 (a = 0.05 over 100 measurements of two abilities)."""

LARGEST = 0.95
"""The largest share of the wealth that is ever bet: one draw cannot take all of it."""

SHRINKAGE = 20.0
"""A stratum's mean so far is that of its own draws and of so many of the mean of all."""

MEASUREMENTS = 100
"""Measurements over which the chance of any wrong verdict is held."""

_ROUNDING = 1e-9
"""By so much sums of shares and means of values may miss 1."""


@dataclass(frozen=True)
class Strata:
    """Which kind each draw is of, where kinds may have means of their own.

    Attributes:
        of: (n,) the stratum of each draw, 0 to S - 1.
        shares: (S,) of each stratum in the population, of its 1.
    """

    of: IntArray
    shares: FloatArray

    def checked(self, weights: FloatArray) -> tuple[IntArray, FloatArray]:
        """Both as arrays. Raises `MetricError` where they do not fit draws of these shares."""
        of, shares = np.asarray(self.of), np.asarray(self.shares, dtype=np.float64)
        if of.shape != weights.shape or of.dtype.kind not in "iu" or not ((of >= 0) & (of < len(shares))).all():
            raise MetricError(f"strata must be a number from 0 to {len(shares) - 1} for each of {len(weights)} draws")
        drawn = np.bincount(of, weights=weights, minlength=len(shares))
        if abs(shares.sum() - 1.0) > _ROUNDING or (drawn > shares + _ROUNDING).any():
            raise MetricError("the strata's shares must sum to 1, and none can have less than what was drawn of it")
        return of, shares


@dataclass(frozen=True)
class Decision:
    """What was decided about a change.

    Attributes:
        verdict: `rose` or `fell` (no such change is refuted), `no change` (one of more than delta is refuted in both
            directions; it is said even where 0 is refuted, too), or `undecided`.
        draws: draws after which that was decided; all that there are where it was not.
    """

    verdict: Verdict
    draws: int


def draw_order(shares: ArrayLike, uniforms: ArrayLike) -> IntArray:
    """(N,) the order in which units are drawn, each in proportion to its share among those left.

    Sorted by -log(u) / share, the arrival times of exponential clocks (Efraimidis and Spirakis, "Weighted random
    sampling with a reservoir", 2006).

    Args:
        shares: (N,) above 0.
        uniforms: (N,) independent random numbers in (0, 1).
    """
    weights, u = np.asarray(shares, dtype=np.float64), np.asarray(uniforms, dtype=np.float64)
    if weights.ndim != 1 or weights.shape != u.shape or not (weights > 0).all() or not ((u > 0) & (u < 1)).all():
        raise MetricError("an order needs for each unit a share above 0 and a random number between 0 and 1")
    return np.argsort(-np.log(u) / weights, kind="stable")


def shared_level(level: float, tests: int) -> float:
    """The level of each of so many intervals at which all hold together with `level`, however they depend:
    1 - (1 - level) / tests (Bonferroni)."""
    if not 0 < level < 1 or tests < 1:
        raise MetricError(f"level {level} of {tests} tests: it must be between 0 and 1, of at least one")
    return 1.0 - (1.0 - level) / tests


def anytime_interval(
    values: ArrayLike,
    shares: ArrayLike,
    *,
    strata: Strata | None = None,
    low: float = -1.0,
    high: float = 1.0,
    level: float = 0.95,
) -> Interval:
    """The interval for the population's mean after these draws; with `level` it holds after all of them at once.

    Args:
        values: (n,) of the units drawn so far, in their order, each in [low, high].
        shares: (n,) of the same units, of the whole population's 1.
        strata: of the same units; None for a single one.
        low, high: what a value can be.
        level: between 0 and 1.

    Returns:
        In the unit of the values; the estimate is the mean over the strata, as they count, of what was drawn of each.
        It and both ends are the population's mean once all units are drawn. Draws that refute every mean (which is
        rarer than 1 - level) leave the interval between the two refutations.

    Raises:
        MetricError: no draws, or such as cannot be.
    """
    draws = _Draws(values, shares, strata, low, high)
    threshold = 2.0 / (1.0 - shared_level(level, 1))
    if draws.are_all:
        return Interval(draws.estimate, draws.estimate, draws.estimate)
    return Interval(draws.estimate, *(low + (high - low) * end for end in draws.ends(threshold)))


def decide_change(
    differences: ArrayLike,
    shares: ArrayLike,
    delta: float,
    *,
    strata: Strata | None = None,
    level: float = 0.95,
) -> Decision:
    """Whether a mean rose, fell, or changed by no more than delta, and from which draw on that could be told.

    With a = 1 - level, "at most 0" and "at least 0" are each refuted by a wealth of 2/a, since both may hold; for
    `no change` it takes a wealth of 1/a against "at most -delta" and against "at least delta", of which one can hold at
    most (and who refutes a direction wrongly has refuted that as well, by more).

    Args:
        differences: (n,) of the units drawn so far, in their order: now minus before, each in [-1, 1].
        shares: (n,) of the same units, of the whole population's 1.
        delta: what counts as no change, above 0 and below 1.
        strata: of the same units; None for a single one.
        level: the chance that the verdict is right is at least this, whatever rule says when to stop; of a hundred
            measurements together with `shared_level`. After the draw that decides, `anytime_interval` of the level
            1 - 2a lies within +-delta (`no change`), or does not hold 0.

    Raises:
        MetricError: no draws, such as cannot be, or an impossible delta or level.
    """
    if not 0 < delta < 1:
        raise MetricError(f"delta {delta} is not between 0 and 1")
    up = _Draws(differences, shares, strata, -1.0, 1.0)
    down, n = up.mirrored, len(up.values)
    error = 1.0 - shared_level(level, 1)

    def refuted(draws: _Draws, difference: float, error: float) -> int:
        """The number of draws that refute "at most this difference", one more than there are where they do not."""
        reached = draws.wealth((1.0 + difference) / 2.0) >= 1.0 / error
        return int(np.argmax(reached)) + 1 if reached.any() else n + 1

    told: list[tuple[Verdict, int]] = [
        ("no change", max(refuted(up, -delta, error), refuted(down, -delta, error))),
        ("rose", refuted(up, 0.0, error / 2)),
        ("fell", refuted(down, 0.0, error / 2)),
    ]
    verdict, draws = min(told, key=lambda one: one[1])
    if draws > n and up.are_all:  # nothing is left to be uncertain of
        verdict = "no change" if abs(up.estimate) <= delta else "rose" if up.estimate > 0 else "fell"
        draws = n
    return Decision(verdict, draws) if draws <= n else Decision("undecided", n)


class _Draws:
    """Draws of a population, mapped onto [0, 1]."""

    def __init__(self, values: ArrayLike, shares: ArrayLike, strata: Strata | None, low: float, high: float) -> None:
        given, weights = np.asarray(values, dtype=np.float64), np.asarray(shares, dtype=np.float64)
        if given.ndim != 1 or given.shape != weights.shape or not len(given):
            raise MetricError(f"{given.shape} values and {weights.shape} shares: one each a draw, of at least one draw")
        inside = (given >= low - _ROUNDING) & (given <= high + _ROUNDING)
        if not inside.all():
            raise MetricError(f"a value is {given[~inside][0]}, not between {low:g} and {high:g}")
        if not (weights > 0).all() or weights.sum() > 1 + _ROUNDING:
            raise MetricError(f"shares must be above 0 and sum to at most 1; they sum to {weights.sum()}")
        self.values = np.clip((given - low) / (high - low), 0.0, 1.0)
        self._weights, self._strata = weights, strata
        self._before = _sum_before(weights * self.values)
        self._left = 1.0 - _sum_before(weights)
        self.are_all = abs(weights.sum() - 1.0) <= _ROUNDING
        self.estimate = float(given @ weights / weights.sum())
        self._lift = self._mean_lift = np.zeros_like(weights)
        if strata is not None:
            of, wholes = strata.checked(weights)
            self._lift, self._mean_lift = self._lifts(of, wholes)
            drawn = np.bincount(of, weights, len(wholes))
            sums = np.bincount(of, weights * given, len(wholes))
            self.estimate = float(wholes @ np.where(drawn > 0, sums / np.where(drawn > 0, drawn, 1.0), self.estimate))

    @property
    def mirrored(self) -> _Draws:
        """The same with low and high changed about."""
        return _Draws(1.0 - self.values, self._weights, self._strata, 0.0, 1.0)

    def _lifts(self, of: IntArray, wholes: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n,) what each draw is lifted by, and (n,) what it was to be lifted by on average, given the draws before."""
        drawn = np.arange(len(wholes))[:, None] == of
        all_before = _sum_before(self.values) / np.maximum(np.arange(len(of)), 1)
        sums, counts = _sum_before(drawn * self.values), _sum_before(drawn)
        means = (sums + SHRINKAGE * all_before) / (counts + SHRINKAGE)
        lifts = means.max(axis=0) - means
        chances = np.maximum(wholes[:, None] - _sum_before(drawn * self._weights), 0.0) / self._left
        return lifts[of, np.arange(len(of))], (lifts * chances).sum(axis=0)

    def wealth(self, mean: float) -> FloatArray:
        """(n,) the wealth after each draw of who bets against a population's mean of at most `mean`, from 1 on."""
        left = mean - self._before
        # Once the draws alone have given more than `mean`, it is refuted for certain, by this draw at the latest.
        certain = left - self._weights * self.values < -_ROUNDING
        expected = left / self._left + self._mean_lift
        gain = np.divide(self.values + self._lift, expected, out=np.ones_like(left), where=expected > _ROUNDING)
        gain[certain] = 1.0
        bets = np.minimum(BETS[:, None] / self._left, LARGEST)
        with np.errstate(over="ignore", under="ignore"):  # who has lost all but 1e-308 may lose the rest, too
            grown = np.cumprod(1.0 + bets * (gain - 1.0), axis=1)
        return np.where(certain, np.inf, PURSES @ grown)

    def ends(self, threshold: float) -> tuple[float, float]:
        """The means that are refuted neither from below nor from above, the ends by bisection and a hair too wide."""
        ends = self._lower_end(threshold), 1.0 - self.mirrored._lower_end(threshold)
        return min(ends), max(ends)

    def _lower_end(self, threshold: float) -> float:
        refuted, open_ = 0.0, 1.0
        while open_ - refuted > 1e-9:
            middle = (refuted + open_) / 2.0
            if (self.wealth(middle) >= threshold).any():
                refuted = middle
            else:
                open_ = middle
        return refuted


def _sum_before(values: FloatArray) -> FloatArray:
    """(..., n) for each draw the sum over those before it."""
    return np.cumsum(values, axis=-1) - values

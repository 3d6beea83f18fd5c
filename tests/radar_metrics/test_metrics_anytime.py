"""Confidence sequences: exact on small populations, by simulation on larger ones, against a slow second writing."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from numpy.testing import assert_allclose

from radar_metrics.anytime import (
    BETS,
    PURSES,
    SHRINKAGE,
    Strata,
    anytime_interval,
    decide_change,
    draw_order,
    shared_level,
)
from radar_metrics.errors import MetricError

SHARES = np.array([0.05, 0.1, 0.15, 0.3, 0.4])
VALUES = np.array([0.9, -0.4, 0.3, -0.8, 0.35])


STRATA = Strata(np.array([0, 1, 0, 1, 1]), np.array([0.2, 0.8]))


def slow_wealth(values, shares, mean, low=-1.0, strata=None):
    """The wealth after each draw, a draw and a bet at a time, as the docstring has it, in the unit of the values."""
    of = [0] * len(values) if strata is None else strata.of
    left = [1.0] if strata is None else list(strata.shares)  # of each stratum
    path, wealth = [], list(PURSES)
    seen = 0.0
    before = [[] for _ in left]
    for value, share, stratum in zip(values, shares, of, strict=True):
        rest = 1 - sum(shares[: len(path)])
        flat = [one for of_it in before for one in of_it]
        overall = sum(flat) / len(flat) if flat else 0.0
        means = [(sum(of_it) + SHRINKAGE * overall) / (len(of_it) + SHRINKAGE) for of_it in before]
        lifts = [max(means) - one for one in means]
        expected = (mean - seen) / rest + sum(part / rest * lift for part, lift in zip(left, lifts, strict=True))
        ratio = (value + lifts[stratum] - low) / (expected - low)
        wealth = [w * (1 + min(bet / rest, 0.95) * (ratio - 1)) for w, bet in zip(wealth, BETS, strict=True)]
        path.append(sum(wealth))
        seen += share * value
        left[stratum] -= share
        before[stratum].append(value)
    return path


def orders_with_chances(shares):
    """Every order in which the units can be drawn, and how likely it is."""
    for order in itertools.permutations(range(len(shares))):
        chance, left = 1.0, 1.0
        for unit in order:
            chance *= shares[unit] / left
            left -= shares[unit]
        yield list(order), chance


def drawn(strata, order):
    """The strata of draws."""
    return None if strata is None else Strata(strata.of[order], strata.shares)


@pytest.mark.parametrize("strata", [None, STRATA])
def test_wealth_is_a_fair_game_at_the_true_mean_whatever_the_shares_and_strata(strata):
    mean = float(SHARES @ VALUES)
    for sign in (1, -1):
        expected = np.zeros(len(SHARES))
        for order, chance in orders_with_chances(SHARES):
            path = slow_wealth(sign * VALUES[order], SHARES[order], sign * mean, strata=drawn(strata, order))
            expected += chance * np.array(path)
        assert_allclose(expected, 1.0, rtol=1e-12)


@pytest.mark.parametrize("strata", [None, STRATA])
@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_interval_covers_after_every_draw_at_once_exactly(level, strata):
    mean = float(SHARES @ VALUES)
    missed = 0.0
    for order, chance in orders_with_chances(SHARES):
        intervals = [
            anytime_interval(VALUES[order][:n], SHARES[order][:n], strata=drawn(strata, order[:n]), level=level)
            for n in range(1, 6)
        ]
        missed += chance * any(not i.low - 1e-9 <= mean <= i.high + 1e-9 for i in intervals)
        assert intervals[-1].low == intervals[-1].high == pytest.approx(mean)
        assert all(a.low <= b.low + 1e-8 and b.high <= a.high + 1e-8 for a, b in itertools.pairwise(intervals[:-1]))
    assert missed <= 1 - level


@pytest.mark.parametrize("kinds", [1, 2, 5])
def test_ends_are_where_the_slow_wealth_reaches_the_threshold(kinds):
    rng = np.random.default_rng(kinds)
    values, of = rng.uniform(-0.6, 0.6, 60), rng.integers(kinds, size=60)
    values += np.array([0.4, -0.3, 0.0, 0.1, -0.1])[of]
    shares = rng.uniform(0.5, 1.5, 60) / 200
    wholes = np.bincount(of, weights=shares, minlength=kinds) * rng.uniform(1.5, 3, kinds)
    strata = None if kinds == 1 else Strata(of, wholes / wholes.sum())
    interval = anytime_interval(values, shares, strata=strata, level=0.9)
    for mean, side in ((interval.low, 1), (interval.high, -1)):
        assert max(slow_wealth(side * values, shares, side * mean, strata=strata)) == pytest.approx(2 / 0.1, rel=1e-5)
    of_kinds = [np.average(values[of == kind], weights=shares[of == kind]) for kind in range(kinds)]
    assert interval.estimate == pytest.approx(wholes @ of_kinds / wholes.sum())
    shifted = anytime_interval((values + 1) / 2, shares, strata=strata, low=0, high=1, level=0.9)
    assert_allclose([shifted.low, shifted.high], [(interval.low + 1) / 2, (interval.high + 1) / 2], atol=1e-8)


def test_order_draws_each_unit_in_proportion_to_its_share_among_those_left():
    rng = np.random.default_rng(1)
    counts, pairs = np.zeros(5), np.zeros((5, 5))
    for _ in range(20_000):
        first, second = draw_order(SHARES, rng.uniform(size=5))[:2]
        counts[first] += 1
        pairs[first, second] += 1
    assert_allclose(counts / 20_000, SHARES, atol=0.01)
    for first in range(5):
        assert_allclose(pairs[first] / counts[first], np.where(np.arange(5) == first, 0, SHARES / (1 - SHARES[first])),
                        atol=4 * math.sqrt(0.25 / counts[first]))  # fmt: skip


def population(rng, size, change, spread=0.12):
    values = np.clip(rng.standard_t(4, size=size) * spread / math.sqrt(2), -0.9, 0.9)
    return values - values.mean() + change


@pytest.mark.parametrize(
    ("change", "expected"), [(0.06, "rose"), (-0.06, "fell"), (0.0, "no change"), (0.005, "no change")]
)
def test_three_verdicts_are_right_and_the_first_look_that_could_tell_is_named(change, expected):
    rng = np.random.default_rng(4)
    values, shares = population(rng, 2000, change), np.full(2000, 1 / 2000)
    decided = decide_change(values, shares, 0.02, level=0.999)
    assert decided.verdict == expected
    assert 50 < decided.draws < 1500
    n = decided.draws
    assert decide_change(values[:n], shares[:n], 0.02, level=0.999).draws == n
    assert decide_change(values[: n - 1], shares[: n - 1], 0.02, level=0.999).verdict == "undecided"
    # The ends of twice the error, each of which holds with the level, say the same.
    there = anytime_interval(values[:n], shares[:n], level=0.998)
    if expected == "no change":
        assert -0.02 <= there.low < there.high <= 0.02
    else:
        assert there.low * there.high >= 0


@pytest.mark.parametrize("change", [0.05, -0.05, 0.0])
def test_the_draw_that_decides_is_where_the_slow_wealth_says(change):
    rng = np.random.default_rng(11)
    values, shares, of = population(rng, 600, 0.0), np.full(600, 1 / 600), np.arange(600) % 3
    values += np.array([0.1, -0.1, 0.0])[of] + change
    strata = Strata(of, np.full(3, 1 / 3))
    decided = decide_change(values, shares, 0.05, strata=strata, level=0.9)
    n = decided.draws
    rows = slice(n), slice(n - 1)
    for at, reached in zip(rows, (True, False), strict=True):
        part = Strata(of[at], strata.shares)
        told = {
            "rose": max(slow_wealth(values[at], shares[at], 0.0, strata=part)) >= 20,
            "fell": max(slow_wealth(-values[at], shares[at], 0.0, strata=part)) >= 20,
            "no change": all(
                max(slow_wealth(sign * values[at], shares[at], -0.05, strata=part)) >= 10 for sign in (1, -1)
            ),
        }
        assert [verdict for verdict, is_told in told.items() if is_told] == [decided.verdict] * reached


def test_looking_at_every_draw_of_a_hundred_measurements_raises_few_false_alarms():
    # The full simulation is benchmarks/anytime.py. Ordinary intervals at the same looks are wrong in most runs.
    rng = np.random.default_rng(3)
    runs, alarms, ordinary = 20, 0, 0
    level = shared_level(0.95, 100)
    for _ in range(runs):
        order = rng.permutation(300)
        alarm = naive = False
        for _ in range(100):
            values = population(rng, 300, 0.0)[order]
            alarm |= decide_change(values, np.full(300, 1 / 300), 0.02, level=level).verdict != "no change"
            n = np.arange(30, 200)
            means, squares = np.cumsum(values)[n - 1] / n, np.cumsum(values**2)[n - 1] / n
            naive |= bool((np.abs(means) > 1.96 * np.sqrt((squares - means**2) / n)).any())
        alarms += alarm
        ordinary += naive
    assert alarms <= 2
    assert ordinary == runs


def test_what_may_go_wrong_is_nearly_used_up():
    # An interval that is wrong far more rarely than it may be asks for more than it needs.
    rng = np.random.default_rng(12)
    shares, missed = np.full(1500, 1 / 1500), 0
    for _ in range(250):
        of = rng.permutation(1500) % 4
        strata = Strata(of[:-1], np.full(4, 0.25))
        values = population(rng, 1500, 0.0).clip(-0.8, 0.8) + np.array([0.1, -0.1, 0.05, -0.05])[of]
        interval = anytime_interval(values[:-1] - values.mean(), shares[:-1], strata=strata, level=0.9)
        missed += not interval.low <= 0 <= interval.high
    assert 0.06 <= missed / 250 <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / 250)


def test_a_change_is_found_on_part_of_the_units_that_a_fixed_test_as_sure_takes():
    # A sequential test that may draw all is right with the level. No test whatever finds half of the changes before the
    # best one of a fixed number has a power of a half. (benchmarks/anytime.py has measured differences and quartiles.)
    rng = np.random.default_rng(13)
    size, change, spread, level = 4000, 0.03, 0.16, shared_level(0.95, 200)
    shares = np.full(size, 1 / size)

    def fixed(power):
        z = NormalDist().inv_cdf(1 - (1 - level) / 2) + NormalDist().inv_cdf(power)
        return 1 / ((change / spread / z) ** 2 + 1 / size)

    taken = []
    for _ in range(40):
        of = rng.permutation(size) % 10
        values = rng.normal(0, spread, size) + rng.normal(0, 0.1, 10)[of]
        values = np.clip(values - values.mean() + change, -1, 1)
        strata = Strata(of, np.full(10, 0.1))
        decided = decide_change(values, shares, 0.02, strata=strata, level=level)
        assert decided.verdict == "rose"
        taken.append(decided.draws)
    ratio = np.median(taken) / fixed(level)
    assert fixed(0.5) / fixed(level) < ratio < 0.5


def test_all_units_drawn_leave_no_doubt():
    shares = np.full(4, 0.25)
    for values, verdict in (
        ([0.3, 0.1, 0.0, 0.0], "rose"),
        ([0.0, 0.01, 0.0, 0.0], "no change"),
        ([-0.1] * 4, "fell"),
    ):
        decided = decide_change(values, shares, 0.02)
        assert (decided.verdict, decided.draws) == (verdict, 4)
        interval = anytime_interval(values, shares)
        assert interval.low == interval.high == pytest.approx(np.mean(values))
    assert decide_change([0.3, 0.1], shares[:2], 0.02).verdict == "undecided"


def test_extreme_values_are_no_trouble():
    shares = np.full(50, 0.02)
    assert anytime_interval(np.full(49, 1.0), shares[:49]).high == pytest.approx(1.0)
    ones = anytime_interval(np.full(49, 1.0), shares[:49])
    assert 0.9 < ones.low <= 1.0
    zeros = anytime_interval(np.zeros(10), shares[:10], low=0, high=1)
    assert zeros.low == 0.0
    assert zeros.high < 0.9
    half = anytime_interval(([0.0, 1.0] * 25)[:49], shares[:49], low=0, high=1)
    assert half.low == pytest.approx(0.48, abs=0.01)
    assert half.high == pytest.approx(0.5, abs=0.01)
    # What was drawn bounds the mean for certain, even where all that was bet on it is lost but for less than 1e-308.
    late = anytime_interval([0.0] * 400 + [1.0] * 199, np.full(599, 1 / 600), low=0, high=1)
    assert late.high >= 199 / 600 - 1e-6
    # One order in 10^14 refutes every mean; the ends still stand the right way round.
    impossible = anytime_interval([0.0] * 25 + [1.0] * 24, shares[:49], low=0, high=1)
    assert impossible.low < impossible.high


def test_what_is_no_draw_is_refused():
    for values, shares in (([1.5], [0.1]), ([math.nan], [0.1]), ([0.5], [0.0]), ([0.1] * 3, [0.5] * 3), ([], []),
                           ([[0.1]], [[0.1]]), ([0.1, 0.2], [0.1])):  # fmt: skip
        with pytest.raises(MetricError):
            anytime_interval(values, shares)
    two = np.full(2, 0.1), Strata(np.array([0, 1]), np.array([0.4, 0.6]))
    for strata in (Strata(np.array([0, 2]), two[1].shares), Strata(np.array([0, -1]), two[1].shares),
                   Strata(np.array([0]), two[1].shares), Strata(np.array([0.0, 1.0]), two[1].shares),
                   Strata(two[1].of, np.array([0.4, 0.5])), Strata(two[1].of, np.array([0.05, 0.95]))):  # fmt: skip
        with pytest.raises(MetricError, match="strata"):
            anytime_interval([0.1, 0.2], two[0], strata=strata)
    assert anytime_interval([0.1, 0.2], two[0], strata=two[1]).low < 0.1
    for delta in (0, 1, -0.02, math.nan):
        with pytest.raises(MetricError, match="delta"):
            decide_change([0.1], [0.1], delta)
    for level in (0, 1):
        with pytest.raises(MetricError, match="level"):
            anytime_interval([0.1], [0.1], level=level)
    with pytest.raises(MetricError):
        shared_level(0.95, 0)
    with pytest.raises(MetricError):
        draw_order([0.5, 0.5], [0.0, 0.5])
    assert shared_level(0.95, 200) == pytest.approx(0.99975)

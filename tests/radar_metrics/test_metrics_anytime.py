"""Confidence sequences: exact on small populations, by simulation on larger ones, against a slow second writing."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from radar_metrics.anytime import BETS, anytime_interval, decide_change, draw_order, shared_level
from radar_metrics.errors import MetricError

SHARES = np.array([0.05, 0.1, 0.15, 0.3, 0.4])
VALUES = np.array([0.9, -0.4, 0.3, -0.8, 0.35])


def slow_wealth(values, shares, mean, low=-1.0, high=1.0):
    """The wealth after each draw, a draw and a bet at a time, as the docstring has it."""
    path, wealth = [], [1.0] * len(BETS)
    seen = gone = 0.0
    for value, share in zip(values, shares, strict=True):
        expected = (mean - seen) / (1 - gone)
        ratio = (value - low) / (expected - low)
        wealth = [w * (1 - b + b * ratio) for w, b in zip(wealth, BETS, strict=True)]
        path.append(sum(wealth) / len(wealth))
        seen, gone = seen + share * value, gone + share
    return path


def orders_with_chances(shares):
    """Every order in which the units can be drawn, and how likely it is."""
    for order in itertools.permutations(range(len(shares))):
        chance, left = 1.0, 1.0
        for unit in order:
            chance *= shares[unit] / left
            left -= shares[unit]
        yield list(order), chance


def test_wealth_is_a_fair_game_at_the_true_mean_whatever_the_shares():
    mean = float(SHARES @ VALUES)
    for sign in (1, -1):
        expected = np.zeros(len(SHARES))
        for order, chance in orders_with_chances(SHARES):
            expected += chance * np.array(slow_wealth(sign * VALUES[order], SHARES[order], sign * mean))
        assert_allclose(expected, 1.0, rtol=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_interval_covers_after_every_draw_at_once_exactly(level):
    mean = float(SHARES @ VALUES)
    missed = 0.0
    for order, chance in orders_with_chances(SHARES):
        intervals = [anytime_interval(VALUES[order][:n], SHARES[order][:n], level=level) for n in range(1, 6)]
        missed += chance * any(not i.low - 1e-9 <= mean <= i.high + 1e-9 for i in intervals)
        assert intervals[-1].low == intervals[-1].high == pytest.approx(mean)
        assert all(a.low <= b.low + 1e-8 and b.high <= a.high + 1e-8 for a, b in itertools.pairwise(intervals[:-1]))
    assert missed <= 1 - level


def test_ends_are_where_the_slow_wealth_reaches_the_threshold():
    rng = np.random.default_rng(0)
    values, shares = rng.uniform(-1, 1, 60), np.full(60, 1 / 200)
    interval = anytime_interval(values, shares, level=0.9)
    for mean, side in ((interval.low, 1), (interval.high, -1)):
        assert max(slow_wealth(side * values, shares, side * mean)) == pytest.approx(2 / 0.1, rel=1e-5)
    assert interval.estimate == pytest.approx(values.mean())
    shifted = anytime_interval((values + 1) / 2, shares, low=0, high=1, level=0.9)
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
    rng = np.random.default_rng(2)
    values, shares = population(rng, 2000, change), np.full(2000, 1 / 2000)
    decided = decide_change(values, shares, 0.02, level=0.999)
    assert decided.verdict == expected
    assert 50 < decided.draws < 1500
    n = decided.draws
    assert decide_change(values[:n], shares[:n], 0.02, level=0.999).draws == n
    assert decide_change(values[: n - 1], shares[: n - 1], 0.02, level=0.999).verdict == "undecided"
    there = anytime_interval(values[:n], shares[:n], level=0.999)
    if expected == "no change":
        assert -0.02 <= there.low < there.high <= 0.02
    else:
        assert there.low * there.high >= 0


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
    # One order in 10^14 refutes every mean; the ends still stand the right way round.
    impossible = anytime_interval([0.0] * 25 + [1.0] * 24, shares[:49], low=0, high=1)
    assert impossible.low < impossible.high


def test_what_is_no_draw_is_refused():
    for values, shares in (([1.5], [0.1]), ([math.nan], [0.1]), ([0.5], [0.0]), ([0.1] * 3, [0.5] * 3), ([], []),
                           ([[0.1]], [[0.1]]), ([0.1, 0.2], [0.1])):  # fmt: skip
        with pytest.raises(MetricError):
            anytime_interval(values, shares)
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

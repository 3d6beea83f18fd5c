"""Differences between trainings: against textbook tests, and whether intervals and bands cover at their level."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from radar_metrics.curves import Curve, simultaneous_band
from radar_metrics.errors import MetricError
from radar_metrics.run_contrasts import RunSpread, contrast, difference_weights, run_spread

SIDES = [True, True, True, False, False]


def without_question_noise(values):
    return np.stack([values, values])


def test_without_question_noise_it_is_students_test_of_two_samples():
    values = np.random.default_rng(0).normal(size=(5, 4))
    made = contrast(difference_weights(SIDES), values, without_question_noise(values), run_spread(values, SIDES))
    expected = stats.ttest_ind(values[3:], values[:3])
    assert_allclose(made.values, values[3:].mean(axis=0) - values[:3].mean(axis=0))
    assert_allclose([made.p_value(s) for s in range(4)], expected.pvalue)
    ends = expected.confidence_interval(0.95)
    for s in range(4):
        interval = made.interval(s)
        assert_allclose([interval.low, interval.high], [ends.low[s], ends.high[s]])


def test_the_band_over_steps_is_bonferronis():
    values = np.random.default_rng(1).normal(size=(5, 4))
    made = contrast(difference_weights(SIDES), values, without_question_noise(values), run_spread(values, SIDES))
    ends = stats.ttest_ind(values[3:], values[:3]).confidence_interval(1 - 0.05 / 4)
    band = made.band()
    assert_allclose(band.low, ends.low)
    assert_allclose(band.high, ends.high)


def test_both_parts_add_up_as_squares_each_with_its_own_quantile():
    rng = np.random.default_rng(2)
    values, replicates = rng.normal(size=(5, 3)), rng.normal(size=(200, 5, 3))
    weights = [-0.5, -0.5, 0.2, 0.3, 0.5]
    made = contrast(weights, values, replicates, RunSpread(np.array([0.0, 0.5, 4.0]), 3))
    for s, variance in enumerate([0.0, 0.5, 4.0]):
        questions = np.std([sum(w * draw[r, s] for r, w in enumerate(weights)) for draw in replicates], ddof=1)
        runs = np.sqrt(variance * sum(w * w for w in weights))
        half = np.sqrt((stats.t.ppf(0.975, 3) * runs) ** 2 + (stats.norm.ppf(0.975) * questions) ** 2)
        interval = made.interval(s)
        assert interval.high - interval.estimate == pytest.approx(half)
        touching = made.interval(s, 1 - made.p_value(s))
        assert min(abs(touching.low), abs(touching.high)) == pytest.approx(0, abs=1e-9)


def test_with_questions_alone_the_band_is_that_of_the_largest_deviation():
    rng = np.random.default_rng(3)
    values, replicates = rng.normal(size=(2, 6)), rng.normal(size=(300, 2, 6))
    made = contrast([-1.0, 1.0], values, replicates + values, None)
    difference = Curve(np.arange(6.0), values[1] - values[0], (replicates + values)[:, 1] - (replicates + values)[:, 0])
    expected = simultaneous_band(difference)
    assert made.degrees is None
    assert_allclose(made.band().low, expected.low)
    assert_allclose(made.band().high, expected.high)


def test_the_spread_is_pooled_within_configurations():
    values = np.array([[1.0], [3.0], [10.0], [16.0], [5.0]])
    spread = run_spread(values, ["a", "a", "b", "b", "alone"])
    assert spread.degrees == 2
    assert_allclose(spread.variance, [(2.0 + 18.0) / 2])
    assert run_spread(values, "abcde") is None


@pytest.mark.parametrize(("first", "second"), [(3, 2), (2, 2), (3, 1)])
def test_intervals_and_bands_cover_new_seeds_and_new_questions(first, second):
    """400 studies of two trainings that differ by nothing: luck of seeds and of questions, alike in size."""
    rng = np.random.default_rng([first, second])
    sides = [True] * first + [False] * second
    runs, steps, held, within = first + second, 6, 0, 0
    for _ in range(400):
        # Seeds drift along their steps, questions move both sides: what the sides share cancels.
        seeds = rng.normal(scale=0.02, size=(runs, steps)).cumsum(axis=1) / np.sqrt(np.arange(1, steps + 1))
        side = np.where(sides, -1.0, 1.0)[:, None]
        questions = rng.normal(scale=0.01, size=(201, 1, steps)) * side / 2 + rng.normal(scale=0.05, size=(201, 1, 1))
        values = seeds + questions[0]
        made = contrast(difference_weights(sides), values, questions[1:] + seeds, run_spread(values, sides))
        band, last = made.band(), made.interval(-1)
        held += bool(((band.low <= 0) & (band.high >= 0)).all())
        within += last.low <= 0 <= last.high
    assert held / 400 >= 0.94
    assert 0.92 <= within / 400 <= 0.98


def test_bad_input_is_refused():
    with pytest.raises(MetricError, match="at least one run on each side"):
        difference_weights([True, True])
    with pytest.raises(MetricError, match="do not fit"):
        contrast([1.0], np.zeros((2, 3)), np.zeros((9, 2, 3)), None)
    with pytest.raises(MetricError, match=r"finite \(runs, steps\)"):
        run_spread([[np.nan]], "a")

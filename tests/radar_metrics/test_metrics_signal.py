"""Metric comparison against scipy, hand-worked values and simulated noise of known size."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from radar_metrics.errors import MetricError
from radar_metrics.signal import (
    correlation,
    curve_signal_to_noise,
    decision_accuracy,
    monotonicity,
    neighbour_noise,
    order_agreement,
    prefix_prediction,
    signal_to_noise,
)


def test_monotonicity_is_kendalls_tau_without_ties():
    values = np.random.default_rng(0).normal(size=25)
    assert monotonicity(values) == pytest.approx(stats.kendalltau(np.arange(25), values).statistic)
    assert monotonicity([1, 2, 3]) == 1.0
    assert monotonicity([3, 2, 1]) == -1.0
    assert monotonicity([5, 5, 5]) == 0.0
    assert monotonicity([1, 1, 2]) == pytest.approx(2 / 3)


@pytest.mark.parametrize("steps", [np.arange(400.0), np.cumsum(np.random.default_rng(1).integers(1, 20, 400))])
def test_neighbour_noise_finds_the_noise_under_linear_growth(steps):
    values = 0.3 + 0.001 * steps + np.random.default_rng(2).normal(scale=0.02, size=len(steps))
    assert neighbour_noise(steps, values) == pytest.approx(0.02, rel=0.15)
    assert neighbour_noise(steps, 0.3 + 0.001 * steps) == pytest.approx(0.0, abs=1e-12)


def test_curve_signal_to_noise_is_free_of_units():
    steps = np.arange(10.0)
    values = np.array([0.5, 0.52, 0.51, 0.56, 0.6, 0.58, 0.66, 0.7, 0.73, 0.72])
    ratio = curve_signal_to_noise(steps, values)
    assert ratio == pytest.approx(0.23 / neighbour_noise(steps, values))
    assert curve_signal_to_noise(steps, 3 - 7 * values) == pytest.approx(ratio)
    assert curve_signal_to_noise(steps, steps) is None


def test_signal_to_noise_by_hand():
    scores = np.array([[0.4, 0.6], [0.7, 0.7], [0.8, 1.0]])
    mean = scores.mean()
    relative_dispersion = (0.9 - 0.5) / mean
    relative_noise = np.mean([0.1, 0.0, 0.1]) / mean
    assert signal_to_noise(scores) == pytest.approx(relative_dispersion / relative_noise)
    assert signal_to_noise([[0.5, 0.5], [0.7, 0.7]]) is None


def test_decision_accuracy_by_hand():
    assert decision_accuracy([1, 2, 3], [10, 20, 30]) == 1.0
    assert decision_accuracy([1, 2, 3], [3, 2, 1]) == 0.0
    assert decision_accuracy([1, 2, 3], [1, 3, 2]) == pytest.approx(2 / 3)
    assert decision_accuracy([1, 1], [1, 2]) == 0.5
    assert decision_accuracy([1, 1], [2, 2]) == 1.0


def test_decision_accuracy_agrees_with_a_loop():
    small, target = np.random.default_rng(3).normal(size=(2, 20))
    pairs = [(i, j) for i in range(20) for j in range(i)]
    expected = np.mean([(small[i] > small[j]) == (target[i] > target[j]) for i, j in pairs])
    assert decision_accuracy(small, target) == pytest.approx(expected)
    assert order_agreement(small, target) == pytest.approx(2 * expected - 1)


def test_prefix_prediction_grows_as_runs_part():
    scores = [[0.5, 0.52, 0.6], [0.5, 0.51, 0.7], [0.5, 0.55, 0.8]]
    assert_allclose(prefix_prediction(scores), [0.5, 2 / 3, 1.0])


def test_correlation_agrees_with_scipy():
    rng = np.random.default_rng(4)
    x = rng.integers(0, 8, size=60).astype(float)
    y = x + rng.normal(scale=3, size=60)
    result = correlation(x, y)
    reference = stats.pearsonr(x, y)
    interval = reference.confidence_interval(0.95)
    assert_allclose(
        [result.pearson.estimate, result.pearson.low, result.pearson.high],
        [reference.statistic, interval.low, interval.high],
    )
    assert result.spearman.estimate == pytest.approx(stats.spearmanr(x, y).statistic)
    assert result.n == 60


def test_spearman_interval_by_hand():
    result = correlation([1, 2, 3, 4, 5, 6, 7], [2, 1, 3, 4, 5, 7, 6]).spearman
    rho = 1 - 6 * 4 / (7 * 48)
    half = 1.959964 * np.sqrt((1 + rho**2 / 2) / 4)
    assert_allclose([result.low, result.high], np.tanh(np.arctanh(rho) + np.array([-half, half])), rtol=1e-6)


def test_correlation_intervals_cover_the_truth():
    rng = np.random.default_rng(5)
    rho = 6 / np.pi * np.arcsin(0.6 / 2)  # Spearman's of a bivariate normal with r = 0.6
    hits = np.zeros(2)
    for _ in range(1000):
        x, z = rng.normal(size=(2, 50))
        result = correlation(x, 0.6 * x + 0.8 * z)
        hits += [result.pearson.low <= 0.6 <= result.pearson.high, result.spearman.low <= rho <= result.spearman.high]
    assert ((hits >= 930) & (hits <= 970)).all()


def test_perfect_correlation_has_a_finite_interval():
    result = correlation([1, 2, 3, 4], [2, 4, 6, 8])
    assert result.pearson.low == pytest.approx(1.0, abs=1e-9)
    assert result.spearman.high == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: monotonicity([1.0]), "two or more"),
        (lambda: monotonicity([1.0, float("nan")]), "NaN"),
        (lambda: neighbour_noise([0, 1], [0, 1]), "three or more"),
        (lambda: neighbour_noise([0, 2, 1], [0, 1, 2]), "increasing"),
        (lambda: signal_to_noise([[0.5, 0.5]]), "at least two models"),
        (lambda: decision_accuracy([1, 2], [1, 2, 3]), "2 scores against 3"),
        (lambda: order_agreement([1, 2], [1, 2, 3]), "2 scores against 3"),
        (lambda: correlation([1, 2, 3], [1, 2, 3]), "four or more"),
        (lambda: correlation([1, 2, 3, 4], [1, 1, 1, 1]), "constant"),
        (lambda: prefix_prediction([1.0, 2.0]), r"\(runs, checkpoints\)"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(MetricError, match=message):
        call()


@pytest.mark.parametrize("sign", [1, -1])
def test_the_interval_of_a_perfect_correlation_holds_it(sign):
    found = correlation([1, 2, 3, 4], [sign * 2, sign * 4, sign * 6, sign * 8], runs=[0, 0, 1, 1])
    for interval in (found.pearson, found.spearman):
        assert interval.low <= interval.estimate <= interval.high
        assert interval.estimate == sign

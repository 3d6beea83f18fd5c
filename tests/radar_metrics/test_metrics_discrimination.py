"""Accuracy, margin, Brier, calibration and units against hand-worked values and plain loops."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from radar_metrics.discrimination import (
    accuracy,
    answer_margin,
    brier,
    chance_centred,
    expected_calibration_error,
    margin,
    quadratic_loss,
    rank_credit,
    summed,
)
from radar_metrics.errors import MetricError


@pytest.fixture
def ragged():
    rng = np.random.default_rng(0)
    scores = [rng.normal(size=rng.integers(2, 6)) for _ in range(200)]
    return scores, np.array([rng.integers(len(row)) for row in scores])


def slow_probabilities(row):
    weights = [math.exp(s) for s in row]
    return [w / sum(weights) for w in weights]


def test_ties_share_the_credit():
    scores = [[1, 1, 0], [2, 2, 2, 2], [0, 3], [3, 0], [1, 1, 5]]
    assert_allclose(rank_credit(scores, [0, 0, 0, 0, 1]), [1 / 2, 1 / 4, 0, 1, 0])
    assert accuracy(scores, [0, 0, 0, 0, 1]) == pytest.approx(1.75 / 5)


def test_margin_is_to_the_best_distractor():
    scores = [[3.0, 1.0, 2.0], [-1.0, -0.5]]
    assert_allclose(answer_margin(scores, [0, 0]), [1.0, -0.5])
    assert margin(scores, [0, 0]) == pytest.approx(0.25)


def test_margin_does_not_see_padding_of_a_negative_answer():
    assert_allclose(answer_margin([[-5.0, -7.0], [0.0, 0.0, 0.0]], [1, 0]), [-2.0, 0.0])


def test_brier_agrees_with_a_loop(ragged):
    scores, answers = ragged
    expected = []
    for row, answer in zip(scores, answers, strict=True):
        expected.append(sum((p - (j == answer)) ** 2 for j, p in enumerate(slow_probabilities(row))))
    assert_allclose(quadratic_loss(scores, answers), expected, atol=1e-12)
    assert brier(scores, answers) == pytest.approx(np.mean(expected), abs=1e-12)


def test_brier_range():
    assert brier([[800.0, 0.0]], [0]) == 0.0
    assert brier([[800.0, 0.0]], [1]) == 2.0
    assert brier([[0.0, 0.0]], [1]) == 0.5


def test_calibration_error_agrees_with_a_loop(ragged):
    scores, answers = ragged
    credit = rank_credit(scores, answers)
    confidence = [max(slow_probabilities(row)) for row in scores]
    expected = 0.0
    for b in range(15):
        members = [i for i, c in enumerate(confidence) if b / 15 < c <= (b + 1) / 15]
        if members:
            gap = sum(credit[i] for i in members) / len(members) - sum(confidence[i] for i in members) / len(members)
            expected += len(members) / len(scores) * abs(gap)
    assert expected_calibration_error(scores, answers) == pytest.approx(expected, abs=1e-12)


def test_a_confidence_on_the_edge_belongs_to_the_bin_below():
    scores = [np.log([2.0, 1.0, 1.0]), np.log([3.0, 2.0])]  # confidence 0.5, wrong; confidence 0.6, right
    assert expected_calibration_error(scores, [1, 0], bins=2) == pytest.approx((0.5 + 0.4) / 2)


def test_calibrated_scores_have_a_small_calibration_error():
    rng = np.random.default_rng(1)
    logit = rng.normal(scale=2, size=20_000)
    right = rng.random(20_000) < 1 / (1 + np.exp(-logit))
    scores = np.stack([logit, np.zeros_like(logit)], axis=1)
    answers = np.where(right, 0, 1)
    assert expected_calibration_error(list(scores), answers) < 0.02
    assert expected_calibration_error(list(5 * scores), answers) > 0.1


def test_chance_centred():
    assert chance_centred(0.5, 0.5) == 0.0
    assert chance_centred(1.0, 0.25) == 1.0
    assert_allclose(chance_centred(np.array([0.25, 0.75]), 0.5), [-0.5, 0.5])
    with pytest.raises(MetricError, match="chance 1"):
        chance_centred(0.5, 1.0)


def test_sums_over_an_options_tokens():
    mean, tokens = [[-1.0, -2.0], [-3.0, -1.0, -1.0]], [[2, 1], [1, 4, 2]]
    assert_allclose(np.concatenate(summed(mean, tokens)), [-2, -2, -3, -4, -2])


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([[1, 1], [1, 0]], "'b': token counts .* must be positive"),
        ([[1, 1], [1]], "'b': 1 token counts for 2 options"),
        ([[1, 1]], "token counts of 1 questions"),
    ],
)
def test_bad_counts_are_named(tokens, message):
    with pytest.raises(MetricError, match=message):
        summed([[0.0, 1.0], [0.0, 1.0]], tokens, ["a", "b"])


@pytest.mark.parametrize("metric", [accuracy, margin, brier, expected_calibration_error])
def test_bad_scores_are_named(metric):
    with pytest.raises(MetricError, match="'q', option 1"):
        metric([[0.0, float("nan")]], [0], ["q"])

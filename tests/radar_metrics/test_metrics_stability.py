"""Subset curves against the theory of sampling without replacement."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from radar_metrics.errors import MetricError
from radar_metrics.stability import SubsetCurves, enough_questions, subset_curves


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    return np.linspace(0.5, 0.7, 6)[:, None] + rng.normal(scale=0.3, size=(6, 2000))


def test_spread_follows_sampling_without_replacement(scores):
    subsets = subset_curves(scores, [50, 200, 800], np.random.default_rng(1), n_subsets=400)
    for subset in subsets:
        expected = 0.3 / np.sqrt(subset.size) * np.sqrt(1 - subset.size / 2000)
        assert subset.spread == pytest.approx(expected, rel=0.1)
        assert subset.curves.shape == (400, 6)
        assert_allclose(subset.curves.mean(axis=0), scores.mean(axis=1), atol=5 * expected / np.sqrt(400))


def test_more_questions_agree_more(scores):
    agreement = [s.agreement for s in subset_curves(scores, [20, 100, 500, 2000], np.random.default_rng(2))]
    assert agreement == sorted(agreement)
    assert agreement[0] < 0.7
    assert agreement[-1] == 1.0


def test_enough_questions_must_stay_enough():
    def of(size, agreement):
        return SubsetCurves(size, np.zeros((2, 2)), 0.0, agreement)

    assert enough_questions([of(100, 0.95), of(200, 0.8), of(400, 0.92), of(800, 0.99)]) == 400
    assert enough_questions([of(100, 0.95), of(200, 0.8)]) is None
    assert enough_questions([of(100, 0.9), of(200, 0.95)], agreement=0.8) == 100


@pytest.mark.parametrize("sizes", [[0], [2001], []])
def test_impossible_sizes_are_refused(scores, sizes):
    with pytest.raises(MetricError, match="sizes 1 to 2000"):
        subset_curves(scores, sizes, np.random.default_rng(0))


def test_one_checkpoint_has_no_order():
    with pytest.raises(MetricError, match="at least two checkpoints"):
        subset_curves([[0.5, 0.6]], [1], np.random.default_rng(0))


def test_subsets_are_the_means_of_the_first_questions_of_each_shuffle():
    scores = np.random.default_rng(1).random((3, 40))
    made = subset_curves(scores, [5, 40], np.random.default_rng(7), 4)
    rng = np.random.default_rng(7)
    for r in range(4):
        shuffle = rng.permutation(40)
        for subset in made:
            np.testing.assert_allclose(subset.curves[r], scores[:, shuffle[: subset.size]].mean(axis=1), rtol=1e-12)

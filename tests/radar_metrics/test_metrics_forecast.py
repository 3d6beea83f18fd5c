"""The laws and the composition that forecasts are made of, against references written without them."""

import numpy as np
import pytest

from radar_metrics.errors import MetricError
from radar_metrics.forecast import Margins, accuracy_ahead, growth, likeness, line_ahead, present_slope
from radar_metrics.soft_discrimination import sds


def options(rng, n=40):
    scores = [-rng.gamma(2.0, 1.0, size=rng.integers(2, 6)) for _ in range(n)]
    return scores, np.array([rng.integers(len(row)) for row in scores])


def equal(n):
    return np.full(n, 1.0 / n)


def test_with_their_own_means_margins_give_the_measured_sds():
    scores, answers = options(np.random.default_rng(0))
    margins = Margins.of(scores, answers, equal(40))
    assert margins.sds(margins.means) == pytest.approx(sds(scores, answers), abs=1e-12)


def test_the_means_by_hand():
    # Margins log .8 - log(.1 + .1) = log 4 and log .2 - log .8 = -log 4: mean 0, standard deviation log 4.
    scores = [np.log([0.8, 0.1, 0.1]), np.log([0.8, 0.2])]
    margins = Margins.of(scores, [0, 1], equal(2))
    expected = [(np.log(0.8) + np.log(0.2)) / 2, (np.log(0.2) + np.log(0.8)) / 2, np.log(4)]
    np.testing.assert_allclose(margins.means, expected)
    np.testing.assert_allclose(margins.place, [1, -1])
    # Twice the spread about a mean of log 2: margins 5 log 2 and -3 log 2, so that p is 32/33 and 1/9.
    assert margins.sds([np.log(2), 0.0, 2 * np.log(4)]) == pytest.approx((32 / 33 + 1 / 9) / 2)


def test_weights_and_many_means_at_once():
    rng = np.random.default_rng(1)
    scores, answers = options(rng)
    weights = rng.dirichlet(np.ones(40))
    margins = Margins.of(scores, answers, weights)
    asked = margins.means + rng.normal(size=(3, 2, 3)) * [0.5, 0.5, 0.1]
    soft = margins.sds(asked)
    for place in np.ndindex(3, 2):
        answer, wrong, spread = asked[place]
        by_question = [answer - wrong + spread * z for z in margins.place]
        assert soft[place] == pytest.approx(
            sum(w / (1 + np.exp(-m)) for w, m in zip(weights, by_question, strict=True))
        )


def test_margins_that_are_all_alike_have_no_spread():
    margins = Margins.of([[-1.0, -1.0]] * 3, [0, 1, 0], equal(3))
    assert margins.means[2] == 0
    assert margins.sds(margins.means) == pytest.approx(0.5)


def test_accuracy_goes_with_sds_as_it_did_where_sds_was_so_high():
    seen = np.array([[0.5, 0.5], [0.7, 0.9], [0.7, 0.8]])
    # At .7 the two gaps there (.2, .1) and the last one (0) count once each; at .95 the last one counts alone.
    made = accuracy_ahead([0.7, 0.95, np.nan], seen, [0.5, 0.5])
    np.testing.assert_allclose(made, [0.7 + 0.3 / 3, 0.95, np.nan], atol=1e-3)
    # By hand, one neighbour a width away.
    near = np.sin(np.arcsin(np.sqrt(0.7)) + 0.03) ** 2
    weight = np.exp(-0.5)
    assert accuracy_ahead([near], seen[1:2], [0.6, 0.5])[0] == pytest.approx(near + (0.2 * weight - 0.1) / (weight + 1))
    assert accuracy_ahead([0.99], [[0.9, 1.0]], [0.9, 1.0])[0] == 1.0


def test_bad_options_are_named():
    with pytest.raises(MetricError, match="'q7'"):
        Margins.of([[-1.0, np.nan]], [0], equal(1), ["q7"])


@pytest.mark.parametrize("decay", [-1.0, -0.3, 0.0, 0.5, 2.0])
@pytest.mark.parametrize("memory", [0.2, 3.0, np.inf])
def test_a_curve_that_is_the_law_is_continued_exactly(decay, memory):
    x = np.array([50.0, 71, 100, 141, 200, 283])
    law = (lambda at: 3.0 - 0.7 * np.log(at)) if decay == 0 else (lambda at: 3.0 - 40.0 * at**-decay)
    slope = present_slope(x, np.stack([law(x), -2 * law(x)], axis=1), decay, memory)
    reached = law(x[-1]) + slope[0] * growth(800 / 283, decay)
    assert reached == pytest.approx(law(800.0), rel=1e-9)
    assert slope[1] == pytest.approx(-2 * slope[0], rel=1e-9)


def test_growth_has_a_slope_of_one_and_ends_at_one_over_the_exponent():
    np.testing.assert_allclose(growth([2.0, 4.0, 0.5], 1.0), [0.5, 0.75, -1.0])
    np.testing.assert_allclose(growth([2.0, 4.0], -1.0), [1.0, 3.0])
    assert growth(np.e, 0.0) == pytest.approx(1.0)
    assert growth(1e12, 2.0) == pytest.approx(0.5)


def test_a_slope_forgets_what_is_long_ago():
    x = np.geomspace(10, 1000, 12)
    bent = np.maximum(np.log(x / 300), 0.0)  # flat, then rising by 1 for a factor e
    assert present_slope(x, bent, 0.0, 0.1) == pytest.approx(1.0, abs=0.05)
    assert present_slope(x, bent, 0.0, np.inf) < 0.5


@pytest.mark.parametrize("x", [[100.0], [200.0, 100.0], [0.0, 100.0]])
def test_a_slope_needs_increasing_amounts_above_0(x):
    with pytest.raises(MetricError, match="two or more increasing amounts"):
        present_slope(x, np.zeros(len(x)), 0.0, 0.4)


def test_likeness_prefers_the_nearest_run_and_counts_it_always():
    own = np.array([0.0, 1.0])
    others = np.array([[0.0, 1.0], [3.0, 4.0], [0.0, 1.5]])
    weights = likeness(own, others, 1.0)
    # Mean squares 0, 9 and .125.
    expected = np.exp(-np.array([0, 9, 0.125]) / 2)
    np.testing.assert_allclose(weights, expected / expected.sum())
    np.testing.assert_allclose(likeness(own, others, np.inf), 1 / 3)
    np.testing.assert_allclose(likeness(own, others + 1000.0, 0.1).sum(), 1.0)


def test_the_line_is_least_squares_in_the_logarithm():
    rng = np.random.default_rng(2)
    x, y = np.array([50.0, 100, 400, 800]), rng.normal(size=(4, 2))
    reference = [np.polyval(np.polyfit(np.log(x), column, 1), np.log(1600)) for column in y.T]
    np.testing.assert_allclose(line_ahead(x, y, 1600.0), reference)

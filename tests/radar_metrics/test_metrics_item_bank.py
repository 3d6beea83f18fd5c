"""The item model and the assisted estimate, against full covariances and against what chance alone does."""

import numpy as np
import pytest

from radar_metrics.errors import MetricError
from radar_metrics.item_bank import ItemBank, assisted_mean, by_information, discrimination, fit_items


def made_bank(seed=0, questions=12, factors=2):
    rng = np.random.default_rng(seed)
    return ItemBank(
        rng.uniform(0.2, 0.8, questions), rng.normal(0, 0.2, (questions, factors)), rng.uniform(0.05, 0.2, questions)
    )


def covariance(bank):
    return bank.loading @ bank.loading.T + np.diag(bank.spread**2)


def test_what_is_expected_is_the_conditional_mean_of_the_normal_model():
    bank, asked, scores = made_bank(), np.array([1, 5, 7]), np.array([0.9, 0.1, 0.4])
    # Of the factor part: a question that was asked keeps its own noise to itself.
    shared = bank.loading @ bank.loading.T
    weights = np.linalg.inv(covariance(bank)[np.ix_(asked, asked)])
    reference = bank.mean + shared[:, asked] @ weights @ (scores - bank.mean[asked])
    np.testing.assert_allclose(bank.expected(asked, scores), reference)


def test_fitting_finds_the_planted_factors():
    rng = np.random.default_rng(1)
    planted = made_bank(2, questions=60, factors=2)
    factors = rng.normal(size=(400, 2))
    scores = planted.mean + factors @ planted.loading.T + rng.normal(size=(400, 60)) * planted.spread
    bank = fit_items(scores, factors=2)
    drawn = np.cov(factors.T, bias=True)  # that of the checkpoints that there are
    np.testing.assert_allclose(bank.mean, planted.mean + planted.loading @ factors.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(bank.loading @ bank.loading.T, planted.loading @ drawn @ planted.loading.T, atol=0.015)
    assert np.median(bank.spread / planted.spread) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("scores", [np.zeros((2, 5)), np.zeros(5), np.full((4, 5), np.nan)])
def test_fitting_needs_finite_scores_of_several_checkpoints(scores):
    with pytest.raises(MetricError, match="three or more checkpoints"):
        fit_items(scores)


def test_the_assisted_estimate_is_not_misled_by_a_wrong_bank():
    rng = np.random.default_rng(3)
    strata = np.repeat([0, 1], 100)
    bank = made_bank(4, questions=200)
    truth = rng.uniform(0, 1, 200) * np.where(strata == 0, 0.4, 1.0)  # nothing that the bank knows of
    target = (truth[:100].mean() + truth[100:].mean()) / 2
    estimates, expectations = [], []
    for _ in range(2000):
        asked = np.concatenate([rng.choice(100, 10, replace=False), 100 + rng.choice(100, 10, replace=False)])
        estimates.append(assisted_mean(bank, asked, truth[asked], strata))
        expectations.append(bank.expected(asked, truth[asked]).mean())
    error = np.std(estimates) / np.sqrt(2000)
    assert abs(np.mean(expectations) - target) > 10 * error
    assert abs(np.mean(estimates) - target) < 0.2 * abs(np.mean(expectations) - target)


def test_with_a_right_bank_the_assisted_estimate_needs_fewer_questions():
    rng = np.random.default_rng(5)
    strata = np.repeat([0, 1, 2], 80)
    bank = made_bank(6, questions=240, factors=3)
    plain, assisted = [], []
    for _ in range(300):
        scores = bank.mean + bank.loading @ rng.normal(size=3) + rng.normal(size=240) * bank.spread
        asked = np.concatenate([80 * k + rng.choice(80, 5, replace=False) for k in range(3)])
        plain.append(scores[asked].mean() - scores.mean())
        assisted.append(assisted_mean(bank, asked, scores[asked], strata) - scores.mean())
    assert np.std(assisted) < 0.75 * np.std(plain)


def test_every_question_asked_gives_the_mean_itself():
    bank, scores = made_bank(), np.linspace(0, 1, 12)
    strata = np.repeat([0, 1], [4, 8])
    made = assisted_mean(bank, np.arange(12), scores, strata)
    assert made == pytest.approx((scores[:4].mean() + scores[4:].mean()) / 2)


def test_a_stratum_of_which_none_was_asked_is_corrected_by_the_others():
    bank, asked, scores = made_bank(), np.array([0, 1]), np.array([0.9, 0.8])
    expected = bank.expected(asked, scores)
    missed = (scores - expected[:2]).mean()
    made = assisted_mean(bank, asked, scores, np.repeat([0, 1], 6))
    assert made == pytest.approx((expected[:6].mean() + expected[6:].mean()) / 2 + missed)


def test_the_next_question_lowers_the_variance_of_the_mean_most():
    bank, strata = made_bank(7), np.repeat([0, 1, 2], 4)
    towards = bank.loading.mean(axis=0)
    chosen = []
    for _ in range(5):
        left = [i for i in range(12) if i not in chosen and (strata[chosen] == strata[i]).sum() < 2]

        def variance_after(i, asked=tuple(chosen)):
            of = [*asked, i]
            precision = np.eye(2) + (bank.loading[of].T / bank.spread[of] ** 2) @ bank.loading[of]
            return towards @ np.linalg.inv(precision) @ towards

        chosen.append(min(left, key=variance_after))
    assert by_information(bank, 5, strata, most=2).tolist() == chosen


def test_discrimination_is_the_slope_on_the_mean_over_all():
    rng = np.random.default_rng(8)
    scores = rng.uniform(size=(9, 6))
    reference = [np.polyfit(scores.mean(axis=1), column, 1)[0] for column in scores.T]
    np.testing.assert_allclose(discrimination(scores), reference)
    assert discrimination(scores).mean() == pytest.approx(1.0)
    with pytest.raises(MetricError, match="nothing is told apart"):
        discrimination(np.full((4, 3), 0.5))

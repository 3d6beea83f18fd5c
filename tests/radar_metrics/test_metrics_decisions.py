"""Decision accuracy against loops over pairs, and whether its intervals cover."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from radar_metrics.decisions import Target, decision_accuracies, signal_to_seed_noise, target_of
from radar_metrics.errors import MetricError
from radar_metrics.signal import decision_accuracy


def ordered(early, late, configurations, told):
    """Slowly: pairs of configurations, and of each all pairs of their runs."""
    kinds, shares = list(dict.fromkeys(configurations)), []
    for a, b in combinations(kinds, 2):
        if (a, b) not in told:
            continue
        right = []
        for r, of_a in enumerate(configurations):
            for t, of_b in enumerate(configurations):
                if (of_a, of_b) == (a, b):
                    guess, truth = early[t] - early[r], late[b] - late[a]
                    right.append(0.5 if guess == 0 else float((guess > 0) == (truth > 0)))
        shares.append(np.mean(right))
    return np.mean(shares)


def test_single_runs_that_are_all_told_apart_give_the_known_number():
    rng = np.random.default_rng(0)
    early, late = rng.integers(0, 5, size=8), rng.permutation(8)
    (made,) = decision_accuracies(early[None, None], target_of(late, range(8)), np.random.default_rng(1))
    assert made.estimate == pytest.approx(decision_accuracy(early, late))


def test_runs_of_one_configuration_share_its_decisions():
    rng = np.random.default_rng(1)
    configurations = ["a", "a", "a", "b", "c", "c", "d", "e"]
    late = {kind: k for k, kind in enumerate("abcde")}
    target = target_of([late[of] + 0.001 * k for k, of in enumerate(configurations)], configurations)
    told = set(combinations("abcde", 2))
    assert target.told == 10
    scores = rng.normal(size=(4, 3, 8))
    made = decision_accuracies(scores, target, np.random.default_rng(1))
    for k in range(4):
        assert made[k].estimate == pytest.approx(
            np.mean([ordered(draw, late, configurations, told) for draw in scores[k]])
        )


def test_pairs_within_the_noise_of_the_target_are_left_out_and_counted():
    # Seeds of a scatter by .1 about their mean: b is not told from a, c and d are told from both and from each other.
    configurations = ["a", "a", "a", "b", "b", "b", "c", "d"]
    target = target_of([0.0, 0.1, -0.1, 0.05, 0.15, -0.05, 3.0, 6.0], configurations)
    assert (target.told, target.not_told) == (5, 1)
    assert target.signs[0, 1] == 0
    assert target.signs[0, 2] == 1
    assert target.signs[2, 0] == -1
    # Whatever the early score says of a and b does not count.
    early = np.array([[[5.0, 5.0, 5.0, 0.0, 0.0, 0.0, 8.0, 9.0]], [[0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 8.0, 9.0]]])
    made = decision_accuracies(early, target, np.random.default_rng(0))
    assert [one.estimate for one in made] == pytest.approx([1.0, 1.0])


def test_the_noise_of_the_questions_leaves_pairs_out_too():
    rng = np.random.default_rng(2)
    values = np.array([0.0, 0.05, 1.0])
    target = target_of(values, "abc", values + rng.normal(scale=0.1, size=(500, 3)))
    assert target.signs[0].tolist() == [0.0, 0.0, 1.0]
    shared = values + rng.normal(scale=0.1, size=(500, 1))  # a luck that all runs share moves no pair
    assert target_of(values, "abc", shared).told == 3


@pytest.mark.parametrize(("noise", "seeds", "count"), [(0.6, 0.3, 12), (0.08, 0.05, 12), (0.2, 0.1, 6)])
def test_intervals_cover_new_configurations_and_seeds(noise, seeds, count):
    """200 studies of few configurations, two of them with three seeds, against the truth of very many."""
    rng = np.random.default_rng(4)

    def study(count):
        configurations = np.repeat(np.arange(count), [3, 3, *[1] * (count - 2)])
        end = rng.normal(size=count)
        early = (0.9 * end + rng.normal(scale=noise, size=count))[configurations]
        return early + rng.normal(scale=seeds, size=len(configurations)), end[configurations], configurations.tolist()

    def accuracy(early, late, configurations, resamples):
        target = target_of(late, configurations)
        return decision_accuracies(early[None, None], target, rng, n_resamples=resamples)[0]

    truth = np.mean([accuracy(*study(40), 1).estimate for _ in range(30)])
    found = [accuracy(*study(count), 200) for _ in range(200)]
    assert np.mean([made.low <= truth <= made.high for made in found]) >= 0.92


def test_where_all_pairs_are_ordered_right_the_interval_knows_how_few_they_are():
    """Five of ten configurations can decide independently: Wilson's interval of 5 of 5."""
    (made,) = decision_accuracies(
        np.arange(10.0)[None, None], target_of(range(10), range(10)), np.random.default_rng(0)
    )
    assert (made.estimate, made.high) == (1.0, 1.0)
    assert made.low == pytest.approx(stats.binomtest(5, 5).proportion_ci(method="wilson").low)


def test_few_configurations_have_no_interval_and_one_no_decision():
    target = target_of([1.0, 2.0, 3.0], "abc")
    (made,) = decision_accuracies(np.array([[[1.0, 2.0, 0.0]]]), target, np.random.default_rng(0))
    assert (made.estimate, made.low, made.high) == (pytest.approx(1 / 3), 0.0, 1.0)
    with pytest.raises(MetricError, match="nothing to decide"):
        target_of([1.0, 2.0], "aa")
    with pytest.raises(MetricError, match="tells no two configurations apart"):
        decision_accuracies(np.zeros((1, 1, 2)), Target(np.array([0, 1]), np.zeros((2, 2))), np.random.default_rng(0))
    with pytest.raises(MetricError, match="one finite number per run"):
        target_of([1.0, np.nan], "ab")


def test_signal_to_seed_noise_is_range_over_pooled_spread():
    values, configurations = [1.0, 3.0, 10.0, 16.0, 5.0], ["a", "a", "b", "b", "c"]
    assert signal_to_seed_noise(values, configurations) == pytest.approx((13.0 - 2.0) / np.sqrt((2.0 + 18.0) / 2))
    assert signal_to_seed_noise(values, "abcde") is None
    assert signal_to_seed_noise([1.0, 1.0, 2.0], "aab") is None

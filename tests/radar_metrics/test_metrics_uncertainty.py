"""Intervals and tests against simulations with known truth, and against plain loops."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from radar_metrics.clusters import bootstrap_means, group, stratified_mean
from radar_metrics.errors import MetricError
from radar_metrics.uncertainty import (
    clustered_standard_error,
    holm,
    mean_interval,
    paired_bootstrap,
    permutation_p_value,
    smallest_detectable_difference,
)


def clustered_data(rng, n_clusters, spread=0.5, mean=0.6):
    """Questions in clusters of 1 to 12 with a common effect each: standard errors that ignore it are far too small."""
    clusters = np.repeat(np.arange(n_clusters), rng.integers(1, 13, n_clusters))
    effect = rng.normal(scale=spread, size=n_clusters)
    return mean + effect[clusters] + rng.normal(scale=0.3, size=len(clusters)), clusters


def test_intervals_cover_the_truth():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(1000):
        interval = mean_interval(*clustered_data(rng, 60), rng, n_resamples=800)
        hits += interval.low <= 0.6 <= interval.high
    assert 930 <= hits <= 970


def test_intervals_of_few_clusters_are_widened():
    rng = np.random.default_rng(11)
    clusters = np.repeat(np.arange(8), 3)
    hits = 0
    for _ in range(1000):
        values = rng.normal(size=8)[clusters] + rng.normal(scale=0.2, size=24)
        interval = mean_interval(values, clusters, rng, n_resamples=1000)
        hits += interval.low <= 0 <= interval.high
    assert 930 <= hits <= 970


def test_interval_of_many_clusters_is_as_wide_as_the_normal_one():
    rng = np.random.default_rng(12)
    values = rng.normal(size=2000)
    interval = mean_interval(values, np.arange(2000), rng, n_resamples=20_000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * stats.sem(values), rel=0.03)


def test_intervals_over_strata_cover_the_truth():
    """Paired differences, averaged unweighted over two sources of unequal size."""
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(1000):
        a, clusters_a = clustered_data(rng, 25, mean=0.1)
        b, clusters_b = clustered_data(rng, 90, mean=0.3)
        strata = np.repeat(["x", "y"], [len(a), len(b)])
        values = np.concatenate([a, b])
        interval = paired_bootstrap(
            values, np.zeros_like(values), np.concatenate([clusters_a, clusters_b]), strata, rng, n_resamples=800
        )
        hits += interval.low <= 0.2 <= interval.high
    assert 930 <= hits <= 970


def test_permutation_p_values_are_uniform_under_the_null():
    rng = np.random.default_rng(3)
    p_values = []
    for _ in range(1000):
        difference, clusters = clustered_data(rng, 40, mean=0.0)
        p_values.append(permutation_p_value(difference, np.zeros_like(difference), clusters, rng, n_resamples=999))
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_permutation_p_value_agrees_with_all_sign_flips():
    a, b = np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.9]), np.array([0.5, 0.6, 0.6, 0.4, 0.1, 0.8])
    clusters = [0, 0, 1, 2, 3, 4]
    sums = [0.6, 0.1, -0.2, 0.5, 0.1]
    flips = [
        abs(sum(s * t for s, t in zip(sums, signs, strict=True))) for signs in itertools.product([1, -1], repeat=5)
    ]
    exact = np.mean([flip >= sum(sums) - 1e-9 for flip in flips])
    p = permutation_p_value(a, b, clusters, np.random.default_rng(0), n_resamples=50_000)
    assert p == pytest.approx(exact, abs=0.01)


def test_permutation_p_value_limits():
    rng = np.random.default_rng(0)
    same = np.linspace(0, 1, 50)
    assert permutation_p_value(same, same, np.arange(50), rng, n_resamples=99) == 1.0
    assert permutation_p_value(same + 1, same, np.arange(50), rng, n_resamples=99) == 0.01


def test_standard_error_agrees_with_a_loop_and_with_the_bootstrap():
    rng = np.random.default_rng(4)
    values, clusters = clustered_data(rng, 300)
    mean, total = values.mean(), 0.0
    for label in set(clusters):
        members = values[clusters == label]
        total += (members.sum() - len(members) * mean) ** 2
    expected = np.sqrt(300 / 299 * total) / len(values)
    assert clustered_standard_error(values, clusters) == pytest.approx(expected, rel=1e-12)
    replicates = bootstrap_means(group(values, clusters), rng, 4000)
    assert replicates.std() == pytest.approx(expected, rel=0.06)
    assert expected > 2 * values.std() / np.sqrt(len(values))


def test_single_question_clusters_give_the_textbook_standard_error():
    values = np.random.default_rng(5).normal(size=100)
    assert clustered_standard_error(values, np.arange(100)) == pytest.approx(stats.sem(values), rel=1e-12)


def test_strata_are_averaged_unweighted_or_by_weight():
    values, strata = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0], ["a"] * 4 + ["b"] * 2
    clusters = [0, 1, 2, 3, 0, 1]
    assert stratified_mean(group(values, clusters, strata))[0] == 0.5
    assert stratified_mean(group(values, clusters, strata, {"a": 3, "b": 1}))[0] == 0.75
    interval = mean_interval(values, clusters, np.random.default_rng(0), n_resamples=100, strata=strata)
    assert (interval.low, interval.estimate, interval.high) == (0.5, 0.5, 0.5)


def test_standard_error_of_strata_adds_in_squares():
    rng = np.random.default_rng(6)
    values, clusters, strata = rng.normal(size=90), np.arange(90), np.repeat(["a", "b"], [30, 60])
    expected = np.hypot(stats.sem(values[:30]), stats.sem(values[30:])) / 2
    assert clustered_standard_error(values, clusters, strata) == pytest.approx(expected, rel=1e-12)


def test_rows_share_their_resamples():
    rng = np.random.default_rng(7)
    row = rng.normal(size=50)
    replicates = bootstrap_means(group(np.stack([row, row + 2]), np.arange(50)), rng, 200)
    assert_allclose(replicates[:, 1] - replicates[:, 0], 2.0)


def test_the_same_seed_gives_the_same_interval():
    values, clusters = clustered_data(np.random.default_rng(8), 30)
    first, second, other = (
        mean_interval(values, clusters, np.random.default_rng(s), n_resamples=500) for s in (1, 1, 2)
    )
    assert first == second != other


def test_holm_against_the_step_down_by_hand():
    assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])
    assert_allclose(holm([0.5, 0.9]), [1.0, 1.0])
    assert len(holm([])) == 0
    with pytest.raises(MetricError):
        holm([0.5, float("nan")])


def test_detectable_difference_is_found_with_the_promised_power():
    assert smallest_detectable_difference(1.0) == pytest.approx(2.8016, abs=1e-4)
    draws = np.random.default_rng(9).normal(loc=smallest_detectable_difference(0.02), scale=0.02, size=100_000)
    assert np.mean(np.abs(draws) > 1.96 * 0.02) == pytest.approx(0.8, abs=0.005)


@pytest.mark.parametrize(
    ("values", "clusters", "strata", "message"),
    [
        ([1.0, 2.0], [0, 0], None, "one cluster only"),
        ([1.0, 2.0, 3.0], [0, 1, 0], ["a", "a", "b"], "b: one cluster only"),
        ([1.0, float("nan")], [0, 1], None, "position 1 .* is nan"),
        ([1.0, 2.0], [0], None, r"clusters of shape \(1,\) for 2 questions"),
        ([], [], None, "at least one question"),
        ([[1.0, 2.0]], [0, 1], None, "one number per question"),
    ],
)
def test_bad_input_is_named(values, clusters, strata, message):
    with pytest.raises(MetricError, match=message):
        mean_interval(values, clusters, np.random.default_rng(0), n_resamples=10, strata=strata)


def test_bad_arguments_are_named():
    rng = np.random.default_rng(0)
    with pytest.raises(MetricError, match="3 values against 2"):
        permutation_p_value([1.0, 2.0, 3.0], [1.0, 2.0], [0, 1, 2], rng)
    with pytest.raises(MetricError, match="level 95"):
        mean_interval([1.0, 2.0], [0, 1], rng, level=95)
    with pytest.raises(MetricError, match="0 resamples"):
        mean_interval([1.0, 2.0], [0, 1], rng, n_resamples=0)
    with pytest.raises(MetricError, match="weights for"):
        group([1.0, 2.0], [0, 1], ["a", "a"], {"b": 1.0})
    with pytest.raises(MetricError, match="no detectable difference"):
        smallest_detectable_difference(-1.0)

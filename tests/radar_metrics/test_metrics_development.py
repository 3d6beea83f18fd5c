"""Curve analyses on simulated runs whose truth is known."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from radar_metrics.curves import Curve, bootstrap_curve, pointwise_band, simultaneous_band
from radar_metrics.development import (
    asymmetry,
    bottleneck,
    changes_of,
    emergence,
    fall,
    growth_rate,
    intervention,
    log_growth_rate,
    saturation,
)
from radar_metrics.errors import MetricError

STEPS = np.array([0.0, 100, 200, 400, 800, 1600, 3200, 6400])


def simulate(truth, rng, *, n=1500, noise=0.15, steps=STEPS, n_resamples=1000, chance_spread=0.1):
    """Scores (S, n) around the true curve: each question has its own level, and each checkpoint its own noise."""
    level = rng.normal(scale=chance_spread, size=n)
    scores = np.asarray(truth)[:, None] + level + rng.normal(scale=noise, size=(len(truth), n))
    return bootstrap_curve(steps, scores, np.arange(n), rng, n_resamples=n_resamples)


def exact(values, steps=STEPS):
    """A curve without any noise."""
    values = np.asarray(values, dtype=float)
    return Curve(steps, values, np.tile(values, (2, 1)))


def test_emergence_is_the_step_where_the_true_curve_leaves_chance():
    curve = simulate([0.5, 0.5, 0.5, 0.56, 0.7, 0.8, 0.85, 0.85], np.random.default_rng(0))
    assert emergence(curve, 0.5) == 400.0


def test_emergence_must_last():
    truth = [0.5, 0.7, 0.7, 0.5, 0.5, 0.6, 0.7, 0.8]
    assert emergence(simulate(truth, np.random.default_rng(1)), 0.5) == 1600.0
    assert emergence(simulate([*truth[:-1], 0.5], np.random.default_rng(1)), 0.5) is None


def test_a_metric_at_chance_rarely_emerges():
    rng = np.random.default_rng(2)
    false = sum(emergence(simulate([0.5] * 8, rng, n=300, n_resamples=300), 0.5) is not None for _ in range(300))
    assert false <= 0.05 * 300


def test_rounding_is_no_evidence():
    """Pairs of questions on one picture with opposite answers, which a model answers alike: one half without spread."""
    scores, pictures = np.tile([0.0, 1.0], (8, 100)), np.repeat(np.arange(100), 2)
    pairs = bootstrap_curve(STEPS, scores, pictures, np.random.default_rng(0))
    beside = [0.5 + 1e-16 * k for k in range(8)]
    assert beside[-1] > 0.5
    for curve in (pairs, exact(beside)):
        assert emergence(curve, 0.5) is None
    perfect = [0.25, 0.5, *(1.0 - 1e-15 * k for k in (3, 0, 4, 1, 2, 0))]
    assert saturation(exact(perfect)) == 200.0
    assert fall(exact(perfect), 0.25) is None


def test_saturation_is_where_the_true_curve_goes_flat():
    curve = simulate([0.5, 0.5, 0.55, 0.65, 0.75, 0.85, 0.85, 0.85], np.random.default_rng(3))
    assert saturation(curve) == 1600.0


def test_saturation_of_a_flat_and_of_a_growing_curve():
    rng = np.random.default_rng(4)
    assert saturation(simulate([0.6] * 8, rng)) == 0.0
    assert saturation(simulate(np.linspace(0.5, 0.9, 8), rng)) is None


def test_a_flat_curve_rarely_shows_a_gain():
    rng = np.random.default_rng(5)
    false = sum(saturation(simulate([0.6] * 8, rng, n=300, n_resamples=300)) != 0.0 for _ in range(200))
    assert false <= 0.09 * 200


def test_shared_questions_cancel_in_gains():
    """Questions of very different difficulty: the curve is uncertain, its gain is not."""
    curve = simulate(np.linspace(0.5, 0.53, 8), np.random.default_rng(6), noise=0.01, chance_spread=0.5)
    assert curve.standard_errors[0] > 0.01
    assert saturation(curve) is None


def test_growth_rates_of_known_lines():
    linear = exact(0.5 + 1e-5 * STEPS)
    assert growth_rate(linear, 0, 6400).estimate == pytest.approx(1e-5)
    assert growth_rate(linear, 100, 800).low == pytest.approx(1e-5)
    logarithmic = exact(0.1 + 0.07 * np.log(STEPS[1:]), STEPS[1:])
    assert log_growth_rate(logarithmic, 100, 6400).estimate == pytest.approx(0.07)


def test_growth_interval_covers_the_true_slope():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(300):
        rate = growth_rate(simulate(0.5 + 5e-5 * STEPS, rng, n=200, n_resamples=400), 0, 6400)
        hits += rate.low <= 5e-5 <= rate.high
    assert 0.91 * 300 <= hits <= 0.98 * 300


def test_simultaneous_band_covers_the_whole_curve():
    rng = np.random.default_rng(8)
    truth = np.linspace(0.5, 0.8, 8)
    together = alone = 0
    for _ in range(400):
        curve = simulate(truth, rng, n=200, n_resamples=400)
        for band, name in ((simultaneous_band(curve), "together"), (pointwise_band(curve), "alone")):
            inside = ((band.low <= truth) & (truth <= band.high)).all()
            together += inside and name == "together"
            alone += inside and name == "alone"
    assert 0.92 * 400 <= together <= 0.98 * 400
    assert alone < 0.9 * 400


def test_asymmetry_area_and_lag_of_known_curves():
    rng = np.random.default_rng(9)
    perception = simulate([0.5, 0.6, 0.7, 0.8, 0.9, 0.9, 0.9, 0.9], rng)
    reasoning = simulate([0.25, 0.25, 0.25, 0.25, 0.4, 0.4, 0.4, 0.4], rng)
    result = asymmetry(perception, reasoning, 0.5, 0.25)
    lead = [0, 0.2, 0.4, 0.6, 0.6, 0.6, 0.6, 0.6]
    area = sum((lead[i] + lead[i + 1]) / 2 * (STEPS[i + 1] - STEPS[i]) for i in range(7)) / 6400
    assert_allclose(result.curve.values, lead, atol=0.03)
    assert result.area.estimate == pytest.approx(area, abs=0.02)
    assert result.area.low < result.area.estimate < result.area.high
    assert (result.perception_emergence, result.reasoning_emergence, result.lag) == (100.0, 800.0, 700.0)


def test_lag_is_unknown_when_reasoning_never_emerges():
    rng = np.random.default_rng(10)
    result = asymmetry(simulate(np.linspace(0.5, 0.9, 8), rng), simulate([0.5] * 8, rng), 0.5, 0.5)
    assert result.reasoning_emergence is None
    assert result.lag is None


def test_bottleneck_ranks_by_what_a_source_lacks():
    rng = np.random.default_rng(11)
    last = {"spatial": 0.5, "math": 0.625, "physics": 0.9}
    curves = {name: simulate(np.linspace(0.5, value, 8), rng) for name, value in last.items()}
    gaps = bottleneck(curves, {"spatial": 0.5, "math": 0.25, "physics": 0.5}, {"math": 0.1})
    assert [gap.source for gap in gaps] == ["spatial", "math", "physics"]
    assert_allclose([gap.centred.estimate for gap in gaps], [0.0, 0.5, 0.8], atol=0.03)
    assert_allclose([gap.share for gap in gaps], [1 / 1.7, 0.5 / 1.7, 0.2 / 1.7], atol=0.02)
    assert [gap.probability_lowest for gap in gaps] == [1.0, 0.0, 0.0]
    assert [gap.visual_gain for gap in gaps] == [None, 0.1, None]
    assert gaps[2].gain.estimate == pytest.approx(0.8, abs=0.03)


def test_equal_sources_are_equally_often_the_lowest():
    gaps = bottleneck({"a": exact([0.5] * 8), "b": exact([0.5] * 8)}, {"a": 0.5, "b": 0.5})
    assert [gap.probability_lowest for gap in gaps] == [0.5, 0.5]


def test_intervention_shows_from_its_onset():
    rng = np.random.default_rng(12)
    truth = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.05, 0.1, 0.1])
    result = intervention(simulate(truth, rng), parting=400)
    assert_allclose(result.steps, [800, 1600, 3200, 6400])
    assert_allclose(result.difference, truth[4:], atol=0.02)
    assert result.onset == 1600.0
    assert intervention(simulate(-truth, rng), parting=400).onset == 1600.0
    assert intervention(simulate(0 * truth, rng), parting=400).onset is None


def test_abilities_average_their_sources():
    scores = np.concatenate([np.full((2, 30), 0.9), np.full((2, 10), 0.5)], axis=1)
    curve = bootstrap_curve(
        [1, 2], scores, np.arange(40), np.random.default_rng(0), strata=["a"] * 30 + ["b"] * 10, n_resamples=20
    )
    assert_allclose(curve.values, 0.7)
    assert_allclose(curve.replicates, 0.7)


def test_bad_input_is_named():
    flat = exact([0.5] * 8)
    one = exact([0.5], STEPS[:1])
    with pytest.raises(MetricError, match="increasing"):
        exact([0.5, 0.5], np.array([2.0, 1.0]))
    with pytest.raises(MetricError, match="as many values"):
        Curve(STEPS, np.zeros(3), np.zeros((2, 8)))
    with pytest.raises(MetricError, match="replicate"):
        Curve(STEPS, np.zeros(8), np.zeros((1, 8)))
    with pytest.raises(MetricError, match="NaN"):
        exact([np.nan] * 8)
    with pytest.raises(MetricError, match="two checkpoints"):
        saturation(one)
    with pytest.raises(MetricError, match="step 0 has no logarithm"):
        log_growth_rate(flat, 0, 800)
    with pytest.raises(MetricError, match="no checkpoint between"):
        growth_rate(flat, 7000, 8000)
    with pytest.raises(MetricError, match="two checkpoints"):
        growth_rate(flat, 0, 50)
    with pytest.raises(MetricError, match="no checkpoint"):
        intervention(flat, parting=6400)
    with pytest.raises(MetricError, match="other steps"):
        asymmetry(flat, exact([0.5] * 8, STEPS + 1), 0.5, 0.5)
    with pytest.raises(MetricError, match="its chance"):
        bottleneck({"a": flat, "b": flat}, {"a": 0.5})
    with pytest.raises(MetricError, match="all sources are perfect"):
        bottleneck({"a": exact([1.0] * 8), "b": exact([1.0] * 8)}, {"a": 0.5, "b": 0.5})
    with pytest.raises(MetricError, match=r"level 1\.5"):
        emergence(flat, 0.5, level=1.5)


def test_the_largest_fall_is_found_with_its_size_also_where_the_curve_recovers():
    rng = np.random.default_rng(0)
    means = np.array([0.5, 0.8, 0.9, 0.6, 0.7, 0.9])
    scores = np.clip(means[:, None] + rng.normal(0, 0.1, (6, 400)), 0, 1)
    curve = bootstrap_curve(range(6), scores, np.arange(400), rng, n_resamples=500)
    found = fall(curve, chance=0.5)
    assert (found.start, found.end) == (2, 3)
    assert found.change.estimate == pytest.approx(scores[3].mean() - scores[2].mean())
    assert found.change.low < found.change.estimate < found.change.high < 0


def test_noise_is_no_fall_and_what_was_never_above_chance_cannot_fall():
    wrong = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores = 0.8 + rng.normal(0, 0.2, (5, 100))
        curve = bootstrap_curve(range(5), scores, np.arange(100), rng, n_resamples=300)
        wrong += fall(curve, chance=0.5) is not None
    assert wrong <= 8  # 5 % of 60 are expected; more than 8 has a probability of 0.002
    sinking = 0.5 - 0.05 * np.arange(5)[:, None] + np.random.default_rng(1).normal(0, 0.05, (5, 100))
    curve = bootstrap_curve(range(5), sinking, np.arange(100), np.random.default_rng(2), n_resamples=300)
    assert fall(curve, chance=0.5) is None
    assert fall(curve, chance=0.2) is not None
    assert fall(curve.between(0, 0), chance=0.2) is None


def test_changes_between_all_pairs_are_those_of_a_loop_over_them():
    curve = simulate(np.linspace(0.5, 0.7, 6), np.random.default_rng(3), n=200, steps=np.arange(6), n_resamples=200)
    twice = Curve(np.arange(7.0), *(np.insert(a, 2, a[..., 2], axis=-1) for a in (curve.values, curve.replicates)))
    made = changes_of(twice)  # two checkpoints are identical: nothing between them
    gains, falls = [np.zeros(200)], [np.zeros(200)]
    for i in range(7):
        for j in range(i + 1, 7):
            differences = twice.replicates[:, j] - twice.replicates[:, i]
            error = differences.std(ddof=1)
            assert made.errors[i, j] == pytest.approx(error, rel=1e-6, abs=1e-8)
            assert made.values[i, j] == twice.values[j] - twice.values[i]
            if (i, j) != (2, 3):
                gains.append((differences - made.values[i, j]) / error)
                falls.append(-gains[-1])
    assert_allclose(made.largest_gain, np.max(gains, axis=0), rtol=1e-6)
    assert_allclose(made.largest_fall, np.max(falls, axis=0), rtol=1e-6)

"""The noisy-label posterior against a slow one written out by hand, and what pooling must and must not do."""

import math

import numpy as np
import pytest

from radar_metrics.errors import MetricError
from radar_metrics.label_noise import key_doubt, pooled_scores
from radar_metrics.ragged import Ragged


def questions(n, seed=0, swapped=0, lead=4.0):
    rng = np.random.default_rng(seed)
    rows, answers = [], []
    for i in range(n):
        row = rng.normal(0, 0.5, 2 + i % 3)
        truth = int(rng.integers(len(row)))
        row[truth] += lead
        rows.append(row)
        answers.append((truth + 1) % len(row) if i < swapped else truth)
    return Ragged.of(rows), np.array(answers)


def by_hand(scores, answers):
    """A grid over sharpness and share, every question one by one."""
    best = None
    for share in (0.0005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.1, 0.15, 0.2):
        for sharpness in np.exp(np.linspace(-3, 4, 281)):
            total, wrong = 10 * math.log(1 - share), []
            for row, answer in zip(scores, answers, strict=True):
                weights = [math.exp(sharpness * (value - max(row))) for value in row]
                q = weights[answer] / sum(weights)
                good, bad = (1 - share) * q, share * (1 - q) / (len(row) - 1)
                total += math.log(good + bad)
                wrong.append(bad / (good + bad))
            if best is None or total > best[0]:
                best = (total, share, wrong)
    return best


def test_the_posterior_is_that_of_a_slow_grid():
    scores, answers = questions(40, swapped=3)
    made = key_doubt(scores, answers)
    _, share, wrong = by_hand(scores, answers)
    assert abs(made.share - share) <= 0.03  # the grids of shares differ
    assert np.argsort(-made.wrong)[:3].tolist() == np.argsort(-np.array(wrong))[:3].tolist()
    assert np.abs(made.wrong - wrong).max() < 0.1


def test_swapped_keys_are_doubted_and_sound_ones_are_not():
    scores, answers = questions(200, swapped=10)
    made = key_doubt(scores, answers)
    assert (made.wrong[:10] > 0.5).all()
    assert (made.wrong[10:] < 0.5).all()
    assert (key_doubt(*questions(200)).wrong < 0.5).all()


def test_a_checkpoint_that_knows_nothing_has_no_say_however_sure_it_is():
    scores, answers = questions(100)
    rng = np.random.default_rng(3)
    noise = scores.with_values(rng.normal(0, 50, len(scores.values)))
    alone, both = pooled_scores([scores], answers), pooled_scores([noise, scores], answers)
    assert np.allclose(alone.values, both.values)
    assert pooled_scores([noise], answers) is None


def test_pooling_does_not_depend_on_the_scale_or_level_of_scores():
    scores, answers = questions(100)
    other = scores.with_values(7.0 * scores.values - 3.0)
    a, b = pooled_scores([scores], answers), pooled_scores([other], answers)
    assert np.allclose(a.values, b.values, rtol=0.02, atol=0.02)


def test_bad_input_is_told():
    scores, answers = questions(10)
    with pytest.raises(MetricError, match="no scores"):
        pooled_scores([], answers)
    other = Ragged.of([[0.0, 1.0]] * 10)
    with pytest.raises(MetricError, match="same options"):
        pooled_scores([scores, other], np.zeros(10, dtype=int))

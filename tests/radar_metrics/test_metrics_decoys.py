"""Competition with decoys: luck is named seldom, what gives itself away is found, and equal strengths stay together."""

import numpy as np
import pytest

from radar_metrics.decoys import more_than_luck
from radar_metrics.errors import MetricError


@pytest.mark.parametrize("options", [2, 3, 5])
def test_luck_is_seldom_named(options):
    rng = np.random.default_rng(options)
    named = 0
    for _ in range(400):
        strength = rng.exponential(1.0, 100)
        hits = rng.random(100) < 1 / options
        named += more_than_luck(strength, hits, np.full(100, options)).any()
    assert named / 400 < 0.12


def test_what_stands_out_and_is_always_right_is_named():
    rng = np.random.default_rng(0)
    strength, hits = rng.uniform(0, 1, 100), rng.random(100) < 0.25
    strength[:6], hits[:6] = 5.0, True
    assert np.flatnonzero(more_than_luck(strength, hits, np.full(100, 4))).tolist() == [0, 1, 2, 3, 4, 5]
    hits[:3] = False
    assert not more_than_luck(strength, hits, np.full(100, 4))[:6].any()


def test_a_source_in_which_every_answer_gives_itself_away_is_named_whole():
    assert more_than_luck(np.ones(60), np.ones(60, dtype=bool), np.full(60, 2)).all()


def test_misses_are_never_named_and_no_sign_is_none():
    strength = np.array([9.0] * 8 + [0.0] * 40)
    hits = np.ones(48, dtype=bool)
    hits[7] = False
    named = more_than_luck(strength, hits, np.full(48, 4))
    assert named[:7].all()
    assert not named[7:].any()
    assert not more_than_luck(np.zeros(20), np.ones(20, dtype=bool), np.full(20, 4)).any()


def test_equal_strengths_are_named_together_or_not_at_all():
    strength, hits = np.ones(20), np.array([True] * 10 + [False] * 10)
    assert not more_than_luck(strength, hits, np.full(20, 4)).any()


def test_bad_input_is_told():
    with pytest.raises(MetricError, match="fewer than two"):
        more_than_luck([1.0], [True], [1])
    with pytest.raises(MetricError, match="2 strengths"):
        more_than_luck([1.0, 2.0], [True], [2, 2])

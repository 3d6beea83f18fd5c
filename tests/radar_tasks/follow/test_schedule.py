"""At which steps a training is measured."""

import pytest

from radar_tasks.errors import RadarError
from radar_tasks.follow.schedule import Schedule


def steps(schedule, end=1000):
    return [step for step in range(end + 1) if step in schedule]


def test_every_so_many():
    assert steps(Schedule()) == [0, 500, 1000]
    assert steps(Schedule(every=300)) == [0, 300, 600, 900]


def test_spaced_by_the_logarithm():
    assert steps(Schedule(first=100, per_doubling=2)) == [0, 100, 141, 200, 283, 400, 566, 800]
    assert steps(Schedule(first=3)) == [0, 3, 6, 12, 24, 48, 96, 192, 384, 768]
    assert steps(Schedule(first=1, per_doubling=3), 12) == [0, 1, 2, 3, 4, 5, 6, 8, 10]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every": 0}, "every=0"),
        ({"first": -1}, "first=-1"),
        ({"every": 5, "first": 5}, "give one of them"),
        ({"per_doubling": 2}, "needs first"),
    ],
)
def test_what_is_no_schedule_says_so(given, message):
    with pytest.raises(RadarError, match=message):
        Schedule(**given)

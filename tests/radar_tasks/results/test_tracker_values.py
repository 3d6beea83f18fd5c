"""What trackers are told, against sums written out by hand."""

import numpy as np
import pytest

from radar_tasks.results import samples_of
from radar_tasks.results.tracker_values import tracker_values


def samples(source, ability, logprobs, by_category=False, **changed):
    records = [
        {
            "q_id": f"q{k}", "image_id": f"i{k}", "category": "abc"[k % 3], "options": ["a", "b"], "answer": 0,
            "logprob": list(row), "bytes": [1, 1], "tokens": [1, 1], **changed,
        }
        for k, row in enumerate(logprobs)
    ]  # fmt: skip
    return samples_of(records, {"source": source, "ability": ability, "task": "t"}, f"radar_{source}", by_category)


ROWS = np.array([[-1.0, -2.0], [-0.5, -0.1], [-3.0, -3.0], [-0.2, -1.2]])
P = np.exp(ROWS[:, 0]) / np.exp(ROWS).sum(1)


def half_width(values):
    return 1.959964 * np.std(values, ddof=1) / np.sqrt(len(values))


def test_a_source_and_its_ability():
    numbers = tracker_values({"x": samples("x", "perception", ROWS)})
    assert numbers["radar/x_sds"] == pytest.approx(P.mean())
    assert numbers["radar/perception_sds"] == numbers["radar/x_sds"]
    assert numbers["radar/x_acc"] == pytest.approx((1 + 0 + 0.5 + 1) / 4)  # a draw counts half
    assert numbers["radar/x_margin"] == pytest.approx((ROWS[:, 0] - ROWS[:, 1]).mean())
    assert numbers["radar/x_nll"] == pytest.approx(-ROWS[:, 0].mean())
    assert numbers["radar/x_sds_half_width"] == pytest.approx(half_width(P), rel=1e-5)
    assert not [name for name in numbers if "reasoning" in name or "change" in name]


def test_an_abilitys_mean_is_unweighted_and_its_error_that_of_independent_sources():
    few = ROWS[:2]
    numbers = tracker_values({"x": samples("x", "reasoning", ROWS), "y": samples("y", "reasoning", few)})
    assert numbers["radar/reasoning_sds"] == pytest.approx((P.mean() + P[:2].mean()) / 2)
    expected = np.hypot(half_width(P), half_width(P[:2])) / 2
    assert numbers["radar/reasoning_sds_half_width"] == pytest.approx(expected, rel=1e-5)


def test_changes_are_paired_by_question():
    later = ROWS + np.array([[0.3, 0.0], [0.1, 0.0], [0.2, 0.0], [0.1, 0.0]])
    q = np.exp(later[:, 0]) / np.exp(later).sum(1)
    before = samples("x", "perception", ROWS).take([3, 0, 2])  # another order, one question less
    numbers = tracker_values({"x": samples("x", "perception", later)}, {"x": before, "y": before})
    difference = (q - P)[[0, 2, 3]]
    assert numbers["radar/x_sds_change"] == pytest.approx(difference.mean())
    assert numbers["radar/x_sds_change_half_width"] == pytest.approx(half_width(difference), rel=1e-5)
    assert numbers["radar/perception_sds_change"] == numbers["radar/x_sds_change"]
    assert not [name for name in numbers if "/y" in name]


def test_what_cannot_be_had_is_absent():
    one_image = samples("x", "perception", ROWS, image_id="same")
    numbers = tracker_values({"x": one_image, "y": samples("y", "perception", ROWS)}, metrics=("sds", "ece"))
    assert "radar/x_ece" in numbers
    assert "radar/x_sds_half_width" not in numbers
    assert "radar/perception_sds_half_width" not in numbers
    assert "radar/y_sds_half_width" in numbers


def test_a_headline_over_categories_is_weighted_so():
    numbers = tracker_values({"x": samples("x", "perception", ROWS, by_category=True)})
    assert numbers["radar/x_sds"] == pytest.approx((P[[0, 3]].mean() + P[1] + P[2]) / 3)

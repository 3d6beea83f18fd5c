"""Ragged numbers against plain lists, and every metric on both."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radar_metrics import MetricError, Ragged, discrimination, likelihood
from radar_metrics.soft_discrimination import answer_probability, chance

rows = st.lists(st.lists(st.floats(-60, 0), min_size=2, max_size=6), min_size=1, max_size=9)
METRICS = [
    answer_probability,
    discrimination.rank_credit,
    discrimination.answer_margin,
    discrimination.quadratic_loss,
    discrimination.expected_calibration_error,
    likelihood.answer_loss,
]


@given(rows)
def test_it_holds_what_the_lists_hold(lists):
    ragged = Ragged.of(lists)
    assert [row.tolist() for row in ragged] == lists
    assert ragged.counts.tolist() == [len(row) for row in lists]
    assert ragged.question.tolist() == [i for i, row in enumerate(lists) for _ in row]
    assert ragged[-1].tolist() == lists[-1]
    np.testing.assert_allclose(ragged.sums(), [sum(row) for row in lists], atol=1e-9)
    for centred, row in zip(ragged.centred(), lists, strict=True):
        np.testing.assert_allclose(centred, np.array(row) - np.mean(row), atol=1e-9 * max(1.0, np.abs(row).max()))
    for probabilities, row in zip(ragged.softmax(), lists, strict=True):
        weights = [np.exp(x - max(row)) for x in row]
        np.testing.assert_allclose(probabilities, np.array(weights) / sum(weights), atol=1e-12)
    with pytest.raises(IndexError):
        ragged[len(lists)]


@given(rows, st.data())
def test_taking_questions_is_taking_lists(lists, data):
    chosen = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=12))
    assert [row.tolist() for row in Ragged.of(lists).take(chosen)] == [lists[i] for i in chosen]


@pytest.mark.parametrize("metric", METRICS)
@given(lists=rows, data=st.data())
def test_metrics_say_the_same_of_both(metric, lists, data):
    answers = [data.draw(st.integers(0, len(row) - 1)) for row in lists]
    np.testing.assert_array_equal(metric(Ragged.of(lists), answers), metric(lists, answers))
    assert chance(Ragged.of(lists)) == chance(lists)


def test_one_number_an_option():
    ragged = Ragged.of([[1.0, 2.0], [3.0, 4.0, 5.0]])
    assert ragged.at(np.array([1, 2])).tolist() == [2.0, 5.0]
    assert ragged.with_values(np.arange(5))[1].tolist() == [2, 3, 4]
    assert repr(ragged) == "Ragged(2 questions, 5 options, float64)"


def test_float32_is_computed_in_float64():
    scores = Ragged(np.array([-1.25, -3.5], dtype=np.float32), np.array([0, 2]))
    assert answer_probability(scores, [0])[0] == answer_probability([[-1.25, -3.5]], [0])[0]


@pytest.mark.parametrize(
    ("values", "offsets"),
    [([1.0], [0, 2]), ([1.0, 2.0], [1, 2]), ([1.0, 2.0], [0, 2, 1, 2]), ([], []), ([[1.0]], [0, 1])],
)
def test_offsets_that_do_not_fit(values, offsets):
    with pytest.raises(MetricError, match="ragged|offsets"):
        Ragged(np.array(values), np.array(offsets, dtype=np.int64))


def test_errors_name_the_question_of_an_array_of_names_plainly():
    scores = Ragged(np.array([1.0, np.nan, 0.0, 1.0]), np.array([0, 2, 4]))
    with pytest.raises(MetricError, match=r"^question 'cat', option 1: score is nan"):
        answer_probability(scores, [0, 0], np.array(["cat", "dog"]))
    with pytest.raises(MetricError, match="question 'b': scores are not numbers"):
        answer_probability([[1, 2], ["x", "y"]], [0, 0], ["a", "b"])

"""SDS against its properties and a slow reference in exact decimal arithmetic."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from radar_metrics import MetricError, answer_probability, chance, sds

score = st.floats(-50, 50)
question = st.lists(score, min_size=2, max_size=6).flatmap(
    lambda row: st.tuples(st.just(row), st.integers(0, len(row) - 1))
)
questions = st.lists(question, min_size=1, max_size=8)


def slow_sds(rows: list[tuple[list[float], int]]) -> float:
    """Eq. 4 and 5 word by word, with 60 digits instead of a shift by the maximum."""
    with localcontext() as context:
        context.prec = 60
        total = Decimal(0)
        for row, answer in rows:
            weights = [Decimal(s).exp() for s in row]
            total += weights[answer] / sum(weights)
        return float(total / len(rows))


@given(questions)
def test_agrees_with_a_slow_reference(rows):
    scores, answers = zip(*rows, strict=True)
    assert_allclose(sds(scores, answers), slow_sds(rows), rtol=0, atol=1e-12)


@given(question, st.randoms(use_true_random=False))
def test_order_of_options_does_not_matter(item, random):
    row, answer = item
    order = list(range(len(row)))
    random.shuffle(order)
    shuffled = sds([[row[k] for k in order]], [order.index(answer)])
    assert_allclose(shuffled, sds([row], [answer]), rtol=0, atol=1e-12)


@given(questions, st.floats(-1000, 1000))
def test_a_constant_added_to_all_options_does_not_matter(rows, constant):
    scores, answers = zip(*rows, strict=True)
    moved = [np.array(row) + constant for row in scores]
    assert_allclose(sds(moved, answers), sds(scores, answers), rtol=0, atol=1e-11)


@given(st.lists(score, min_size=5, max_size=20), st.data())
def test_one_token_options_give_equal_sds_and_sds_logit(vocabulary_logits, data):
    logits = np.array(vocabulary_logits)
    log_probabilities = logits - np.log(np.exp(logits).sum())
    tokens = data.draw(st.lists(st.integers(0, len(logits) - 1), min_size=2, max_size=5, unique=True))
    assert_allclose(sds([log_probabilities[tokens]], [0]), sds([logits[tokens]], [0]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, -3.5, 1e308, -1e308])
@pytest.mark.parametrize("m", [2, 3, 10])
def test_uniform_scores_give_one_over_m(value, m):
    assert_allclose(answer_probability([[value] * m], [m - 1]), [1 / m], rtol=1e-15)


@pytest.mark.filterwarnings("error")
def test_extreme_scores_are_stable():
    scores = [[1e308, -1e308], [1e308, -1e308], [-1e308, -1e308], [800.0, 0.0], [-5e-324, 5e-324]]
    assert_allclose(answer_probability(scores, [0, 1, 0, 0, 0]), [1, 0, 0.5, 1, 0.5])


def test_ragged_options_and_their_chance():
    scores = [np.zeros(2), [0.0, np.log(2.0), 0.0], (1, 1, 1, 1)]
    assert_allclose(answer_probability(scores, [0, 1, 3]), [1 / 2, 1 / 2, 1 / 4])
    assert chance(scores) == pytest.approx((1 / 2 + 1 / 3 + 1 / 4) / 3)
    assert isinstance(sds(scores, [0, 1, 3]), float)


def test_float32_scores_are_summed_in_float64():
    scores = [np.array([0.1, 0.2], dtype=np.float32)]
    assert answer_probability(scores, [0]).dtype == np.float64


@pytest.mark.parametrize(
    ("scores", "answers", "message"),
    [
        ([[0.0, 1.0], [0.0, float("nan")]], [0, 0], r"'b', option 1: score is nan"),
        ([[0.0, 1.0], [float("-inf"), 0.0]], [0, 0], r"'b', option 0: score is -inf"),
        ([[0.0, 1.0], [0.0, 1.0]], [0, 2], r"'b': answer 2 is not one of options 0 to 1"),
        ([[0.0, 1.0], [0.0, 1.0, 2.0]], [2, 2], r"'a': answer 2 is not one of options 0 to 1"),
        ([[0.0, 1.0], [0.0, 1.0]], [0, -1], r"'b': answer -1"),
        ([[0.0, 1.0], [0.0]], [0, 0], r"'b': 1 option"),
        ([[0.0, 1.0], []], [0, 0], r"'b': 0 option"),
        ([[0.0, 1.0], ["x", "y"]], [0, 0], r"'b': scores are not numbers"),
        ([[0.0, 1.0], [[0.0, 1.0]]], [0, 0], r"'b': scores of shape \(1, 2\)"),
        ([[0.0, 1.0], [0.0, 1.0]], [0], "one index per question"),
        ([[0.0, 1.0], [0.0, 1.0]], [0.0, 1.0], "integer option indices"),
        ([[0.0, 1.0]], [0], "2 question names for 1 questions"),
    ],
)
def test_bad_input_is_named(scores, answers, message):
    with pytest.raises(MetricError, match=message):
        sds(scores, answers, ["a", "b"])


def test_without_names_the_position_is_given():
    with pytest.raises(MetricError, match="question at position 1, option 0"):
        sds([[0.0, 1.0], [float("inf"), 1.0]], [0, 0])


def test_no_questions_is_an_error_not_nan():
    with pytest.raises(MetricError, match="no questions"):
        sds([], [])
    with pytest.raises(MetricError, match="no questions"):
        chance([])

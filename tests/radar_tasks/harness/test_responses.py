"""Signs and forms of what models answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radar_tasks.errors import RadarError
from radar_tasks.harness.responses import read_response, to_response
from radar_tasks.scoring.types import OptionScore

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite, st.integers(1, 99), st.integers(1, 999))
def test_our_scores_survive_the_text_exactly(logprob, logit, tokens, length):
    score = OptionScore(logprob=logprob, logit=logit, tokens=tokens, bytes=length)
    assert OptionScore(**read_response(to_response(score), "here")) == score


@pytest.mark.parametrize("response", ["(3.25, False)", (3.25, True), [3.25, False], "(tensor(3.25), tensor(False))"])
def test_a_stock_models_mean_loss_becomes_a_log_probability(response):
    assert read_response(response, "here") == {"logprob": -3.25}


@pytest.mark.parametrize(
    "response", ["(nan, False)", "(inf, False)", '{"logprob": NaN}', '{"logprob": -1, "logit": Infinity}']
)
def test_a_score_that_is_no_number_names_the_question(response):
    with pytest.raises(RadarError, match="question 'q7', option 1.*(nan|inf)"):
        read_response(response, "question 'q7', option 1")


@pytest.mark.parametrize("response", ["a cat", "", None, "(1, 2, 3)", "{}", "['x', 1]"])
def test_a_response_that_is_no_log_likelihood_says_what_to_do(response):
    with pytest.raises(RadarError, match=r"question 'q7'.*radar_hf"):
        read_response(response, "question 'q7'")

"""Likelihood metrics against token-by-token loops."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose

from radar_metrics.errors import MetricError
from radar_metrics.likelihood import answer_loss, bits_per_byte, nll, perplexity

SCORES = [[-1.0, -9.0], [-8.0, -2.0, -7.0], [-9.0, -0.25]]
ANSWERS = [0, 1, 1]
TOKENS = [[4, 1], [1, 2, 1], [1, 10]]
BYTES = [[12, 1], [1, 5, 1], [1, 40]]


def test_loss_is_of_the_right_answer_only():
    assert_allclose(answer_loss(SCORES, ANSWERS), [1.0, 2.0, 0.25])
    assert nll(SCORES, ANSWERS) == pytest.approx(3.25 / 3)


def test_perplexity_pools_tokens():
    token_losses = [1.0] * 4 + [2.0] * 2 + [0.25] * 10
    expected = math.exp(sum(token_losses) / len(token_losses))
    assert perplexity(SCORES, ANSWERS, TOKENS) == pytest.approx(expected, rel=1e-12)
    assert expected != pytest.approx(np.mean(np.exp([1.0, 2.0, 0.25])), rel=0.1)


def test_bits_per_byte_pools_bytes():
    assert bits_per_byte(SCORES, ANSWERS, TOKENS, BYTES) == pytest.approx(10.5 / math.log(2) / 57, rel=1e-12)


def test_uniform_bytes_cost_eight_bits():
    scores = [[-math.log(256)] * 2]
    assert bits_per_byte(scores, [0], [[3, 5]], [[3, 5]]) == pytest.approx(8.0)
    assert perplexity(scores, [0], [[3, 5]]) == pytest.approx(256.0)


def test_raw_logits_are_refused():
    with pytest.raises(MetricError, match=r"'q2', option 1: log-probability 3\.5 is above 0"):
        nll([[-1.0, -1.0], [7.0, 3.5]], [0, 1], ["q1", "q2"])


def test_rounding_above_zero_is_a_loss_of_zero():
    assert answer_loss([[1e-7, -5.0]], [0])[0] == 0.0


def test_perplexity_out_of_range_is_an_error():
    with pytest.raises(MetricError, match="no finite perplexity"):
        perplexity([[-1e6, -1.0]], [0], [[1, 1]])


def test_bad_counts_are_named():
    with pytest.raises(MetricError, match="'q': byte counts"):
        bits_per_byte([[-1.0, -2.0]], [0], [[1, 1]], [[0, 3]], ["q"])

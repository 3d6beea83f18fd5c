"""The numbers of a question and of a source."""

import math

import pytest

from radar_tasks.harness import aggregation
from radar_tasks.harness.aggregation import mean_of_4

DOCUMENT = {"q_id": "q1", "image_id": "i1", "category": "c", "options": ["ä", "bb"], "answer": 1}


def test_a_question_by_hand():
    responses = [
        {"logprob": -2.0, "logit": 1.0, "tokens": 2, "bytes": 2},
        {"logprob": -1.0, "logit": 1.0, "tokens": 1, "bytes": 2},
    ]
    records = aggregation.of_question(DOCUMENT, responses)
    assert records["sds"]["score"] == pytest.approx(1 / (1 + math.exp(-1)), abs=1e-12)
    assert records["sds_logit"]["score"] == records["acc_logit"]["score"] == 0.5
    assert records["acc"]["score"] == 1.0
    assert records["nll"]["score"] == 1.0
    assert {name: records["sds"][name] for name in ("q_id", "image_id", "category", "options", "answer")} == DOCUMENT
    assert records["sds"]["logprob"] == [-2.0, -1.0]
    assert records["sds"]["logit"] == [1.0, 1.0]
    assert records["sds"]["tokens"] == [2, 1]
    assert records["sds"]["bytes"] == [2, 2]


def test_what_a_stock_model_does_not_say_is_absent():
    records = aggregation.of_question(DOCUMENT, [{"logprob": -2.0}, {"logprob": -1.0}])
    assert not {"sds_logit", "acc_logit"} & records.keys()
    assert not {"logit", "tokens"} & records["sds"].keys()


def test_mean_over_categories_weighs_categories_alike():
    records = [{"score": 1.0, "category": "a"}] * 3 + [{"score": 0.0, "category": "b"}]
    assert aggregation.mean(records) == 0.75
    assert aggregation.mean_over_categories(records) == 0.5


def test_an_ability_with_a_missing_source_has_no_average():
    assert mean_of_4([0.2, 0.4, 0.6, 0.8], [1, 2, 3, 4], False) == pytest.approx(0.5)
    assert mean_of_4([0.2, 0.4, 0.6], [1, 2, 3], False) == "N/A"

"""A multiple-choice task of lmms-eval with SDS in place of its own metrics; lm-eval's is in `test_lm_eval.py`."""

import json

import lmms_eval.api.metrics  # noqa: F401 (fills the registry that the harness looks metrics up in)
import pytest

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import RadarError
from radar_tasks.harness.lmms_eval_task import SDSTask


@pytest.fixture
def config(tmp_path):
    rows = [{"id": k, "question": "Grass is", "choices": ["purple", "green"], "label": 1} for k in range(2)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return {
        "class": SDSTask,
        "task": "public",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "output_type": "multiple_choice",
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": "label",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }


def responses(*logprobs):
    return [json.dumps({"logprob": value, "logit": value + 5, "tokens": 1, "bytes": 4}) for value in logprobs]


def test_a_task_reports_sds(config):
    task = SDSTask(config=config)
    doc = task.eval_docs[0]
    records = task.process_results(doc, responses(-3.0, -1.0))
    expected = answer_probability([[-3.0, -1.0]], [1])[0]
    assert records["sds"]["score"] == records["sds_logit"]["score"] == pytest.approx(expected)
    assert records["acc"]["score"] == 1
    assert set(records) == set(task.aggregation()) == set(task.higher_is_better())
    assert task.aggregation()["sds"]([records["sds"]] * 2) == pytest.approx(expected)


def test_a_stock_model_s_mean_losses_give_what_they_can(config):
    task = SDSTask(config=config)
    records = task.process_results(task.eval_docs[0], ["(3.0, False)", "(1.0, False)"])
    assert records["sds"]["score"] == pytest.approx(answer_probability([[-3.0, -1.0]], [1])[0])
    assert "sds_logit" not in records


def test_an_answer_that_is_no_option(config):
    task = SDSTask(config={**config, "doc_to_target": "id"})
    with pytest.raises(RadarError, match=r"public: the answer .*7.* is not one of the options"):
        task.process_results({**task.eval_docs[0], "id": 7}, responses(-3.0, -1.0))


def test_a_task_that_generates_cannot_have_sds(config):
    with pytest.raises(RadarError, match="only tasks that score the options"):
        SDSTask(config={**config, "output_type": "generate_until"})

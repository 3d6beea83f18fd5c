"""`LiveEvaluator` in one process: what it says, what it leaves on disk, what it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_models import make
from torch import nn

from radar_tasks.errors import CheckpointError, DataError, ResultsError
from radar_tasks.follow.live import LiveEvaluator as FromFollow
from radar_tasks.live import LiveEvaluator
from radar_tasks.results import find_runs
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.store import open_source
from radar_tasks.store.document_order import document_order

SOURCES = ["mini_colour", "mini_sum"]


def first_questions(source, number):
    table = open_source(source)
    return [table[k] for k in document_order(table.headers())[:number]]


def test_numbers_are_those_of_a_scorer_and_go_to_log():
    assert LiveEvaluator is FromFollow
    model, processor = make("qwen2_vl")
    logged = []
    radar = LiveEvaluator(
        model, processor, SOURCES, questions=5, log=lambda numbers, step: logged.append((step, numbers))
    )
    numbers = radar.measure(7)
    scorer = Scorer(from_model(model, processor))
    for source in SOURCES:
        questions = first_questions(source, 5)
        scores = dict(scorer.score(questions))
        p = [
            np.exp(scores[k][q.answer].logprob) / sum(np.exp(score.logprob) for score in scores[k])
            for k, q in enumerate(questions)
        ]
        assert numbers[f"radar/{source}_sds"] == pytest.approx(np.mean(p), abs=1e-6)
        loss = np.mean([-scores[k][q.answer].logprob for k, q in enumerate(questions)])
        assert numbers[f"radar/{source}_nll"] == pytest.approx(loss, abs=1e-5)
    assert numbers["radar/perception_sds"] == numbers["radar/mini_colour_sds"]
    assert logged == [(7, numbers)]
    assert not [name for name in numbers if "change" in name]
    with torch.no_grad():
        model.lm_head.weight.mul_(1.5)
    again = radar.measure(8)
    for source in SOURCES:
        change = again[f"radar/{source}_sds"] - numbers[f"radar/{source}_sds"]
        assert again[f"radar/{source}_sds_change"] == pytest.approx(change)
        assert again[f"radar/{source}_sds_change_half_width"] > 0


def test_each_measurement_is_a_results_folder_like_any_other(tmp_path):
    model, processor = make("qwen2_vl")
    output = tmp_path / "results" / "exp1"
    radar = LiveEvaluator(model, processor, SOURCES, questions=6, output=output)
    numbers = {step: radar.measure(step) for step in (0, 100)}
    assert sorted(folder.name for folder in output.iterdir()) == ["step-000000", "step-000100"]
    runs = find_runs([output])
    assert [run.step for run in runs] == [0, 100]
    for run in runs:
        assert run.experiment.split("/")[-1] == "exp1"
        assert run.config["limit"] == 6
        assert run.scoring["prompt_format"]
        assert run.scoring["torch"] == torch.__version__.split("+", maxsplit=1)[0] or run.scoring["torch"]
        for source in SOURCES:
            assert len(run.sources[source]) == 6
            assert str(tmp_path) not in json.dumps(run.scoring)
    line = json.loads(next(output.rglob("*_samples_radar_mini_sum.jsonl")).read_text().splitlines()[0])
    assert line["sds"]["score"] == pytest.approx(
        np.exp(line["sds"]["logprob"][line["sds"]["answer"]]) / sum(np.exp(line["sds"]["logprob"]))
    )
    radar.measure(100)  # a training that goes on from a checkpoint measures a step again
    assert len(find_runs([output])) == 2
    done = subprocess.run(
        [sys.executable, "-m", "radar_tasks.cli", "analyze", str(output)], capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    assert f"{numbers[100]['radar/mini_colour_sds']:.3f}".lstrip("0") in done.stdout.replace("0.", ".")


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    model, processor = make("qwen2_vl")
    radar = LiveEvaluator(model, processor, ["mini_colour"], questions=2, output=tmp_path)
    (tmp_path / "step-000003").mkdir()
    (tmp_path / "step-000003" / "model.safetensors").touch()
    with pytest.raises(ResultsError, match="which is no result"):
        radar.measure(3)
    assert (tmp_path / "step-000003" / "model.safetensors").exists()


def test_questions_that_the_processor_refuses_are_left_out_and_told(tmp_path, monkeypatch, caplog):
    model, processor = make("qwen2_vl")
    refused = {question.q_id for question in first_questions("mini_colour", 6)[2:4]}
    encode = Scorer.__init__.__globals__["Checkpoint"].encode

    def refusing(self, question):
        if question.q_id in refused:
            raise ValueError("absolute aspect ratio must be smaller than 200")
        return encode(self, question)

    monkeypatch.setattr("radar_tasks.scoring.checkpoints.checkpoint.Checkpoint.encode", refusing)
    radar = LiveEvaluator(model, processor, ["mini_colour"], questions=6, output=tmp_path)
    assert len(radar) == 4
    assert len(radar.refused["mini_colour"]) == 2
    assert "aspect ratio" in radar.refused["mini_colour"][0]
    assert "2 questions are left out" in caplog.text
    radar.measure(0)
    run = find_runs([tmp_path])[0]
    assert not refused & set(run.sources["mini_colour"].q_id.tolist())
    results = json.loads(next(tmp_path.rglob("*_results.json")).read_text())
    assert len(results["configs"]["radar_mini_colour"]["radar"]["refused"]) == 2


def test_an_error_of_any_kind_leaves_the_model_as_it_was(monkeypatch):
    model, processor = make("qwen2_vl")
    radar = LiveEvaluator(model, processor, ["mini_colour"], questions=2)
    good = radar.measure(0)
    model.train()

    def breaks(*_):
        raise RuntimeError("a broken kernel")

    hook = model.model.language_model.layers[0].register_forward_hook(breaks)
    with pytest.raises(CheckpointError, match="RuntimeError: a broken kernel"):
        radar.measure(1)
    hook.remove()
    assert all(module.training for module in model.modules())
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert radar.measure(2)["radar/mini_colour_sds"] == good["radar/mini_colour_sds"]


def test_what_cannot_be_measured_says_so_at_once():
    model, processor = make("qwen2_vl")
    with pytest.raises(DataError, match="no_such_source"):
        LiveEvaluator(model, processor, ["no_such_source"])
    with pytest.raises(CheckpointError, match=r"a Linear is no model of transformers"):
        LiveEvaluator(nn.Linear(2, 2), processor, ["mini_colour"])
    with pytest.raises(CheckpointError, match="processor"):
        LiveEvaluator(model, processor.tokenizer, ["mini_colour"])


def test_nothing_of_a_harness_is_imported():
    code = "import sys, radar_tasks.live; print([m for m in ('lmms_eval', 'lm_eval') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"

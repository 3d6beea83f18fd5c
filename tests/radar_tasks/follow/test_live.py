"""`LiveEvaluator` in one process: what it says, what it leaves on disk, what it refuses."""

import hashlib
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from tiny_models import make
from torch import nn

from radar_tasks.errors import CheckpointError, DataError, QuestionError, RadarError, ResultsError
from radar_tasks.follow.live import LiveEvaluator as FromFollow
from radar_tasks.live import LiveEvaluator
from radar_tasks.results import find_runs
from radar_tasks.results.until_record import until_record
from radar_tasks.scoring import OptionScore, Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.checkpoints.checkpoint import Checkpoint
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


def test_a_prior_is_what_a_blind_twin_says(tmp_path):
    model, processor = make("qwen2_vl")
    both = LiveEvaluator(model, processor, ["mini_sum"], questions=5, prior="blind", output=tmp_path / "both")
    twin = LiveEvaluator(model, processor, ["mini_sum"], questions=5, options={"blind": True}, output=tmp_path / "twin")
    both.measure(0)
    twin.measure(0)
    found, blind = (find_runs([tmp_path / name])[0] for name in ("both", "twin"))
    assert found.scoring["prior"] == "blind"
    assert found.sources["mini_sum"].q_id.tolist() == blind.sources["mini_sum"].q_id.tolist()
    for prior, alone in zip(found.sources["mini_sum"].logprob_blind, blind.sources["mini_sum"].logprob, strict=True):
        assert prior.tolist() == pytest.approx(alone.tolist(), abs=1e-5)


def test_a_question_that_cannot_be_asked_without_its_picture_is_left_out_of_a_prior_from_the_start(monkeypatch):
    model, processor = make("qwen2_vl")
    first = first_questions("mini_sum", 3)[0].q_id
    encode = Checkpoint.encode_with_prior

    def refusing(self, question, withheld):
        if question.q_id == first:
            raise QuestionError(f"question {first!r}: qwen2_vl cannot be asked without a picture")
        return encode(self, question, withheld)

    monkeypatch.setattr(Checkpoint, "encode_with_prior", refusing)
    radar = LiveEvaluator(model, processor, ["mini_sum"], questions=3, prior="blank")
    assert (len(radar), len(radar.refused["mini_sum"])) == (2, 1)
    radar.measure(0)
    assert len(LiveEvaluator(model, processor, ["mini_sum"], questions=3)) == 3


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    model, processor = make("qwen2_vl")
    radar = LiveEvaluator(model, processor, ["mini_colour"], questions=2, output=tmp_path)
    (tmp_path / "step-000003").mkdir()
    (tmp_path / "step-000003" / "model.safetensors").touch()
    with pytest.raises(ResultsError, match="which is not a result"):
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
    with pytest.raises(CheckpointError, match=r"a Linear is not a model of transformers"):
        LiveEvaluator(nn.Linear(2, 2), processor, ["mini_colour"])
    with pytest.raises(CheckpointError, match="processor"):
        LiveEvaluator(model, processor.tokenizer, ["mini_colour"])


def test_nothing_of_a_harness_is_imported():
    code = "import sys, radar_tasks.live; print([m for m in ('lmms_eval', 'lm_eval') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def scored_at(level):
    """A stand-in for the engine: the right answer has a chance of about `level()`, the same noise at every step."""

    def score(self, questions, on_refused=None):
        for index in range(len(questions)):
            question = questions[index]
            noise = int(hashlib.sha256(f"{question.q_id} {level():.6f}".encode()).hexdigest()[:6], 16) / 16**6 - 0.5
            chance = float(np.clip(level() + 0.2 * noise, 0.01, 0.99))
            others = (1 - chance) / (len(question.options) - 1)
            chances = [chance if k == question.answer else others for k in range(len(question.options))]
            yield index, tuple(OptionScore(float(np.log(c)), 0.0, 1, 5) for c in chances)

    return score


def test_until_asks_as_much_as_it_takes_and_goes_on_after_a_restart_as_if_there_had_been_none(tmp_path, monkeypatch):
    model, processor = make("qwen2_vl")
    level = 0.4
    monkeypatch.setattr("radar_tasks.scoring.engine.scorer.Scorer.score", scored_at(lambda: level))
    monkeypatch.setattr(LiveEvaluator, "_refused", lambda *_: {})  # it would encode all questions
    settings = {"questions": 150, "until": 0.02}
    radar = LiveEvaluator(model, processor, SOURCES, **settings, output=tmp_path / "one")
    first = radar.measure(0)
    assert radar.changes == ()
    assert "radar/perception_verdict" not in first
    assert first["radar/perception_sds_half_width"] > 0
    level = 0.6
    second = radar.measure(500)
    assert [(change.ability, change.verdict, change.since) for change in radar.changes] == [
        ("perception", "rose", "step-000000"),
        ("reasoning", "rose", "step-000000"),
    ]
    assert second["radar/perception_verdict"] == 1
    assert 38 <= second["radar/perception_questions"] < 120
    assert second["radar/perception_sds_change"] == pytest.approx(0.2, abs=0.05)
    level = 0.61
    third = radar.measure(1000)
    runs = {run.step: run for run in find_runs([tmp_path / "one"])}
    assert [len(runs[step].sources["mini_sum"]) for step in (0, 500)] == [150, second["radar/reasoning_questions"]]
    assert runs[500].scoring["until"] == 0.02
    record = until_record(runs[1000].scoring)
    assert tuple(record.changes) == radar.changes
    assert record.delta == 0.02
    assert {change.since for change in record.changes} == {"step-000500"}

    # Another process goes on after step 500, beside what a former one left of later steps.
    again = LiveEvaluator(model, processor, SOURCES, **settings, output=tmp_path / "one")
    numbers = again.measure(1000)
    assert again.changes == radar.changes
    assert {k: v for k, v in numbers.items() if k != "radar/seconds"} == {
        k: v for k, v in third.items() if k != "radar/seconds"
    }


def test_until_compares_with_nothing_that_was_asked_otherwise(tmp_path, monkeypatch, caplog):
    model, processor = make("qwen2_vl")
    monkeypatch.setattr("radar_tasks.scoring.engine.scorer.Scorer.score", scored_at(lambda: 0.5))
    LiveEvaluator(model, processor, SOURCES, questions=20, output=tmp_path, options={"blind": True}).measure(0)
    radar = LiveEvaluator(model, processor, SOURCES, questions=20, until=0.02, output=tmp_path)
    radar.measure(500)
    assert radar.changes == ()
    assert "asked otherwise" in caplog.text
    (tmp_path / "step-000500" / next((tmp_path / "step-000500").glob("*.jsonl")).name).write_text("")
    LiveEvaluator(model, processor, SOURCES, questions=20, until=0.02, output=tmp_path).measure(1000)
    assert "step 1000 is compared with no earlier one" in caplog.text
    # Of other questions a source, the first of them are no random part.
    radar = LiveEvaluator(model, processor, SOURCES, questions=40, until=0.02, output=tmp_path)
    assert "asks every question where nothing changed" in caplog.text
    radar.measure(1500)
    assert radar.changes == ()
    assert "was asked of 20 questions a source, not of 40" in caplog.text


def test_until_that_is_no_delta_is_refused_before_anything_is_read():
    with pytest.raises(RadarError, match=r"until=2: give the smallest change of SDS"):
        LiveEvaluator(None, None, ["no_such_source"], until=2)


def test_until_with_the_engine_itself_decides_on_few_questions_when_all_were_asked():
    model, processor = make("qwen2_vl")
    radar = LiveEvaluator(model, processor, SOURCES, questions=6, until=0.02)
    plain = LiveEvaluator(model, processor, SOURCES, questions=6)
    assert radar.measure(0)["radar/mini_sum_sds"] == pytest.approx(plain.measure(0)["radar/mini_sum_sds"], abs=1e-6)
    numbers = radar.measure(1)
    assert [change.verdict for change in radar.changes] == ["no change", "no change"]
    assert numbers["radar/perception_questions"] == 6
    assert numbers["radar/perception_sds_change"] == pytest.approx(0, abs=1e-6)

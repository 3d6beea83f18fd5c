"""`--limit` over several tasks, and questions that a checkpoint refuses, in runs of lmms-eval's own evaluator."""

import inspect
import json

import pytest
from lmms_eval import evaluator
from lmms_eval.tasks import TaskManager
from PIL import Image

from radar_tasks import paths
from radar_tasks.errors import RadarError
from radar_tasks.harness import patches
from radar_tasks.run_arguments import limit_of, model_arguments, questions_asked
from radar_tasks.sources.own_table import TableSource
from radar_tasks.store.preparation import prepare

CHECKPOINT = max(paths.checkpoints().glob("step-*"))


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Two sources of one's own: `few` of 5 questions, `wide` of 3 of which the processor refuses one."""
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    Image.new("RGB", (48, 48), "red").save(tmp_path / "a.png")
    Image.new("RGB", (6000, 20), "red").save(tmp_path / "wide.png")
    for name, pictures in (("few", ["a.png"] * 5), ("wide", ["a.png", "wide.png", "a.png"])):
        colours = ["red", "blue", "green", "white", "black"]
        rows = [{"image": p, "title": colours[k], "category": "c"} for k, p in enumerate(pictures)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        prepare([TableSource(name, tmp_path / f"{name}.jsonl")], False, lambda source, count: None)


def run(tasks, more="", **settings):
    patches.install()
    return evaluator.simple_evaluate(
        model="radar_hf",
        model_args=f"pretrained={CHECKPOINT}{more}",
        tasks=tasks,
        task_manager=TaskManager(include_path=str(paths.task_configs("lmms_eval")), include_defaults=False),
        bootstrap_iters=0,
        **settings,
    )


@pytest.mark.parametrize("tasks", [["radar_few", "radar_mini_colour"], ["radar_mini_colour", "radar_few"]])
def test_a_share_is_each_task_s_own(own, tasks):
    results = run(tasks, limit=0.02)
    assert results["n-samples"]["radar_mini_colour"] == {"original": 200, "effective": 4}
    assert results["n-samples"]["radar_few"] == {"original": 5, "effective": 1}
    assert {name: len(lines) for name, lines in results["samples"].items()} == {"radar_mini_colour": 4, "radar_few": 1}
    assert results["config"]["limit"] == 0.02


def test_numbers_are_as_ever(own):
    results = run(["radar_few", "radar_mini_colour"], limit=7)
    assert [results["n-samples"][task]["effective"] for task in ("radar_few", "radar_mini_colour")] == [5, 7]


def test_lmms_eval_still_takes_the_first_task_s_number(own):
    """What the patch is for; once upstream has mended it, this fails and the patch can go."""
    assert "limit = get_sample_size(task, limit)" in inspect.getsource(inspect.unwrap(evaluator.evaluate))


def test_a_question_that_the_processor_refuses_is_left_out_and_counted(own):
    results = run(["radar_wide", "radar_few"], limit=-1)
    record = results["configs"]["radar_wide"]["radar"]
    (reason,) = record["refused"]
    assert "question '2' of 'wide' (image 'wide.png')" in reason
    assert "6000x20" in reason
    assert record["data"]["refused"] == 1
    assert record["scoring"]["questions_scored"] == 7
    assert [sample["sds"]["q_id"] for sample in results["samples"]["radar_wide"]] == ["1", "3"]
    assert results["n-samples"]["radar_wide"] == {"original": 3, "effective": 2}
    assert "refused" not in results["configs"]["radar_few"]["radar"]
    expected = sum(sample["sds"]["score"] for sample in results["samples"]["radar_wide"]) / 2
    assert results["results"]["radar_wide"]["sds,none"] == pytest.approx(expected)
    with pytest.raises(RadarError, match="question '2' of 'wide'"):
        run(["radar_wide"], more=",strict=true")


def test_a_source_of_which_every_question_is_refused_ends_the_run(own, monkeypatch):
    from radar_tasks.errors import QuestionError
    from radar_tasks.scoring.checkpoints import Checkpoint

    def refuse(self, question):
        raise QuestionError(f"question {question.q_id!r}: no")

    monkeypatch.setattr(Checkpoint, "encode", refuse)
    with pytest.raises(RadarError, match=r"radar_few: the checkpoint refuses all 5 questions. The first: .*no"):
        run(["radar_few"])


def test_one_reading_of_a_limit():
    assert [questions_asked(limit, 200) for limit in (None, 7, 500, 0.5, 0.001, 7.0)] == [200, 7, 200, 100, 1, 7]
    for wrong in (0, -3, 1.5, 0.0):
        with pytest.raises(RadarError, match="--limit"):
            questions_asked(wrong, 200)
    assert limit_of({"limit": -1}) is limit_of({}) is limit_of({"limit": None}) is None
    assert [repr(limit_of({"limit": limit})) for limit in (6, 6.0, 0.5)] == ["6", "6", "0.5"]


def test_one_parser_of_model_args():
    assert model_arguments(" a=1, b = x=y,") == {"a": "1", "b": "x=y"}
    assert model_arguments({"a": 1}) == {"a": 1}
    assert model_arguments(None) == model_arguments("") == {}
    with pytest.raises(RadarError, match="b has no value"):
        model_arguments("a=1,b")

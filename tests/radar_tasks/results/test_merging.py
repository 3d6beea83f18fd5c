"""Evaluations of one checkpoint on different sources are one result, and others are not."""

import numpy as np
import pytest
from fake_runs import SAMPLE, simulate, write_run

from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.results import find_runs, load_run
from radar_tasks.results.metrics import metric_table


def write(folder, sources, *, name="step-02400", date="20261123_101112", skill=0.5, **more):
    return write_run(folder, name, {source: simulate(source, 8, skill) for source in sources}, date=date, **more)


def test_the_sample_today_and_an_own_source_tomorrow(tmp_path):
    write(tmp_path, list(SAMPLE), date="20261123_101112", scoring={"seconds": 2.0, "questions_scored": 80})
    newest = write(tmp_path, ["spatial"], date="20261124_101112", scoring={"seconds": 1.5, "questions_scored": 8})
    (run,) = find_runs([tmp_path])
    assert list(run.sources) == [*SAMPLE, "spatial"]
    assert set(run.data) == set(run.sources)
    assert (run.file, run.date, run.left_out) == (newest, "2026-11-24T02:11:12Z", ())
    assert (run.scoring["seconds"], run.scoring["questions_scored"]) == (3.5, 88)
    assert run.metrics.keys() == {f"radar_{source}" for source in run.sources}
    names = [row.name for row in metric_table(run)]
    assert names[-2:] == ["mini perception", "mini reasoning"]


@pytest.mark.parametrize("apart", [False, True])
def test_halves_of_an_average_are_put_together_from_one_folder_or_two(tmp_path, apart):
    half = len(SAMPLE) // 2
    whole = write(tmp_path / "whole", list(SAMPLE))
    write(tmp_path / "a", list(SAMPLE)[:half])
    write(tmp_path / ("b" if apart else "a"), list(SAMPLE)[half:], date="20261124_101112")
    (run,) = find_runs([tmp_path / "a", tmp_path / "b"] if apart else [tmp_path / "a"])
    for first, second in zip(metric_table(load_run(whole)), metric_table(run), strict=True):
        assert first == second


def test_three_evaluations_at_each_step_make_one_training(tmp_path):
    for k, step in enumerate((100, 200, 300)):
        for day, source in enumerate(("spatial", "wiki_plant", "mathvista")):
            write(tmp_path, [source], name=f"step-{step:05d}", date=f"2026112{day}_10000{k}", skill=0.3 * k)
    runs = find_runs([tmp_path])
    (training,), _ = training_runs(runs)
    assert training.steps.tolist() == [100, 200, 300]
    assert set(training.sources) == {"spatial", "wiki_plant", "mathvista"}


@pytest.mark.parametrize(
    "other",
    [
        {"scoring": {"prompt_format": "qwen"}},
        {"scoring": {"weights": "e" * 16}},
        {"scoring": {"max_pixels": 1}},
        {"scoring": {"dtype": "bfloat16"}},
        {"scoring": {"blind": True}},
        {"scoring": {"adapter": "lora"}},
        {"model_args": {"revision": "step9"}},
        {"limit": 4},
        {"name": "step-02500"},
        {"experiment": "checkpoints/exp2"},
        {"scoring": {}},
    ],
    ids=str,
)
def test_what_was_scored_in_another_way_or_is_another_checkpoint_stays_apart(tmp_path, other):
    write(tmp_path, ["spatial"])
    write(tmp_path, ["wiki_plant"], date="20261124_101112", **other)
    assert len(find_runs([tmp_path])) == 2


def test_a_slash_behind_the_checkpoint_makes_no_other_one(tmp_path):
    """Completion in a shell puts it there; a table of one's own names checkpoints by the end of their place."""
    write(tmp_path, ["spatial"], name="final")
    again = {"model_args": {"pretrained": "checkpoints/exp1/final/"}, "date": "20261124_101112"}
    alone = load_run(write(tmp_path, ["wiki_plant"], name="final", **again))
    assert (alone.name, alone.path, alone.place) == ("final", *["checkpoints/exp1/final"] * 2)
    (result,) = find_runs([tmp_path])
    assert set(result.sources) == {"spatial", "wiki_plant"}


def test_how_a_run_went_makes_no_other_result(tmp_path):
    write(
        tmp_path, ["spatial"], scoring={"batch_size": 8, "device": "cuda:0", "torch": "2.14", "radar": "0.1"}, limit=-1
    )
    write(tmp_path, ["wiki_plant"], date="20261124_101112", scoring={"batch_size": 4, "device": "cpu", "torch": "2.15"})
    assert len(find_runs([tmp_path])) == 1


def test_stock_models_are_put_together_by_their_arguments(tmp_path):
    write(tmp_path, ["spatial"], scoring={}, model_args={"attn": "sdpa", "batch_size": 4})
    write(tmp_path, ["wiki_plant"], scoring={}, model_args={"attn": "sdpa", "batch_size": 1}, date="20261124_101112")
    write(tmp_path, ["mathvista"], scoring={}, model_args={"attn": "eager"}, date="20261125_101112")
    assert sorted(len(run.sources) for run in find_runs([tmp_path])) == [1, 2]


def test_a_source_scored_again_in_the_same_folder_counts_once_and_is_named(tmp_path):
    old = write(tmp_path, ["spatial", "wiki_plant"], skill=0.1)
    write(tmp_path, ["spatial"], date="20261124_101112", skill=2.0)
    (run,) = find_runs([tmp_path])
    assert set(run.sources) == {"spatial", "wiki_plant"}
    newer = simulate("spatial", 8, 2.0)
    assert np.array_equal(run.sources["spatial"].logprob.values, [x for r in newer for x in r["logprob"]])
    assert run.left_out == (f"left out, older: spatial of {old}",)


def test_results_that_a_user_keeps_apart_stay_two(tmp_path):
    write(tmp_path / "a", ["spatial"])
    write(tmp_path / "b", ["spatial", "wiki_plant"])
    assert len(find_runs([tmp_path / "a", tmp_path / "b"])) == 2

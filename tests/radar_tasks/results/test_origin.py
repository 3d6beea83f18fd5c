"""Releases, times in UTC and names: what may be published of results, also of those that older versions wrote."""

import json

import pytest
from fake_runs import simulate, write_run

from radar_tasks.results import find_runs, load_run
from radar_tasks.results.merging import named_apart
from radar_tasks.results.origin import date_of, experiment_names, named, release_of


@pytest.mark.parametrize(
    ("results", "stamp", "expected"),
    [
        # lmms-eval's clock is Singapore's, without a word, and a second run of one second has a number
        ({}, "20261123_101112", "2026-11-23T02:11:12Z"),
        ({"date": "20261123_101112"}, "20261123_101112-2", "2026-11-23T02:11:12Z"),
        ({}, "20261123_021112", "2026-11-22T18:11:12Z"),  # the day before, in UTC
        (
            {"config": {"resolved_cli_args": {"timezone": "America/New_York"}}},
            "20261123_101112",
            "2026-11-23T15:11:12Z",
        ),
        ({"config": {"resolved_cli_args": {"timezone": "Asia/Singapore"}}}, "20261123_101112", "2026-11-23T02:11:12Z"),
        ({"config": {"resolved_cli_args": {"timezone": "No/Where"}}}, "20261123_101112", "20261123_101112"),
        # files of this project say the zone
        ({"date": "2026-11-23T02:11:12Z"}, "20261123_021112Z", "2026-11-23T02:11:12Z"),
        ({"date": "2026-11-23T10:11:12+08:00"}, "any", "2026-11-23T02:11:12Z"),
        # lm-eval writes seconds since 1970, and its file's name by the local clock
        ({"date": 1795400000.25}, "2026-11-23T10-11-12.345", "2026-11-23T02:13:20Z"),
        ({}, "2026-11-23T10-11-12.345", "2026-11-23T10-11-12.345"),
        ({"date": float("inf")}, "now", "now"),
        ({"date": True}, "20269999_101112", "20269999_101112"),
    ],
)
def test_dates_are_utc_or_what_was_written(results, stamp, expected):
    assert date_of(results, stamp) == expected


@pytest.mark.parametrize(
    ("results", "release"),
    [
        ({"lmms_eval_version": "main@36d9245"}, "unknown"),
        ({"lmms_eval_version": "v0.7.3@36d9245"}, "unknown"),
        ({"lmms_eval_version": "unknown@unknown"}, "unknown"),
        ({"lmms_eval_version": "0.7.3"}, "0.7.3"),
        ({"lm_eval_version": "0.4.13"}, "0.4.13"),
        ({"lm_eval_version": "0.4.13.dev0+local.1"}, "0.4.13.dev0+local.1"),
        ({}, "unknown"),
        ({"lmms_eval_version": ["0.7.3"]}, "unknown"),
    ],
)
def test_a_commit_of_somebody_s_repository_is_no_release(results, release):
    assert release_of(results) == release


def test_settings_keep_names_of_paths():
    settings = {"a": "/home/me/ckpts/step-1", "b": ["~/x/y", "./z"], "c": {"d": "out/exp1/step-2"}, "e": 3, "f": None}
    assert named(settings) == {"a": "step-1", "b": ["y", "z"], "c": {"d": "step-2"}, "e": 3, "f": None}
    kept = {"hub": "Qwen/Qwen2-VL-2B", "url": "https://host/a/b/c", "text": "one / two / three", "plain": "float32"}
    assert named(kept) == kept
    assert named("C:\\models\\exp1") == "exp1"


def test_experiments_have_names_that_tell_them_apart():
    assert experiment_names(["/a/b/exp1", "Qwen/Qwen2-VL", "final"]) == {
        "/a/b/exp1": "exp1",
        "Qwen/Qwen2-VL": "Qwen/Qwen2-VL",
        "final": "final",
    }
    assert experiment_names(["/a/run/exp1", "/b/run/exp1"]) == {
        "/a/run/exp1": "a/run/exp1",
        "/b/run/exp1": "b/run/exp1",
    }
    # a name that is another's path must not become the same
    assert len(set(experiment_names(["/x/exp1", "exp1"]).values())) == 2


def write(folder, name, experiment, source="spatial", **more):
    return write_run(folder, name, {source: simulate(source, 6, skill=0.5)}, experiment=experiment, **more)


def test_a_result_of_an_older_version_comes_out_clean(tmp_path):
    file = write(
        tmp_path, "step-00200", "/home/somebody/secret-project/exp1", scoring={"adapter": "/home/somebody/lora"}
    )
    results = json.loads(file.read_text())
    results["lmms_eval_version"] = "main@36d9245"
    file.write_text(json.dumps(results))
    run = load_run(file)
    assert (run.experiment, run.name, run.step) == ("exp1", "step-00200", 200)
    assert run.harness_version == "unknown"
    assert run.date == "2026-11-23T02:11:12Z"
    assert run.path == "/home/somebody/secret-project/exp1"


def test_two_trainings_with_checkpoints_of_one_name(tmp_path):
    for experiment in ("/data/a/exp1", "/data/a/exp2"):
        write(tmp_path / experiment[-4:], "checkpoint-1000", experiment)
    write(tmp_path / "exp2", "checkpoint-2000", "/data/a/exp2")
    runs = find_runs([tmp_path])
    assert [run.label for run in runs] == ["exp1/checkpoint-1000", "exp2/checkpoint-1000", "checkpoint-2000"]
    assert [run.experiment for run in runs] == ["exp1", "exp2", "exp2"]


def test_trainings_of_one_name_read_apart_are_told_apart_when_put_together(tmp_path):
    first, second = (load_run(write(tmp_path / x, "checkpoint-1000", f"/data/{x}/exp")) for x in "ab")
    assert first.label == second.label == "checkpoint-1000"
    assert [run.label for run in named_apart([first, second])] == ["a/exp/checkpoint-1000", "b/exp/checkpoint-1000"]
    assert [run.experiment for run in named_apart([first, second])] == ["a/exp", "b/exp"]


def test_two_results_of_one_checkpoint_are_told_apart_by_their_folders(tmp_path):
    for folder in ("before", "after"):
        write(tmp_path / folder, "step-00200", "exp1")
    labels = [run.label for run in find_runs([tmp_path])]
    assert labels == ["step-00200 in after/exp1__step-00200", "step-00200 in before/exp1__step-00200"]

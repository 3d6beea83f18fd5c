"""What `lmms_eval --output_path` leaves when two runs meet in one second, and when a disk is full."""

import copy
import json
import multiprocessing
import tempfile
from pathlib import Path

import pytest
from full_disks import files_of_at_most, results_of_a_run
from lmms_eval.loggers import EvaluationTracker
from loguru import logger

from radar_tasks.errors import ResultsError
from radar_tasks.harness.patches import results_files as saving
from radar_tasks.results import find_runs, load_run

SECOND, UTC = "20261124_101112", "20261124_021112Z"
"""A stamp as lmms-eval gives it, by the clock of Singapore, and the same second in a file's name."""
MODEL = "ckpts__step-02400"


@pytest.fixture(autouse=True)
def installed():
    saving.install()


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return results_of_a_run(tmp_path_factory.mktemp("x"))


@pytest.fixture
def told():
    lines = []
    sink = logger.add(lines.append, format="{level}: {message}")
    yield lines
    logger.remove(sink)


@pytest.fixture
def spare(tmp_path, monkeypatch):
    """The system's temporary folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def saved_by_command(results, output, log_samples=True):
    """As lmms-eval's command does it."""
    results = copy.deepcopy(results)
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(output))
    tracker.general_config_tracker.log_experiment_args("radar_hf", "pretrained=ckpts/step-02400", "", "", False)
    tracker.save_results_aggregated(results=results, samples=samples, datetime_str=SECOND)
    for task in results["configs"] if log_samples else ():
        tracker.save_results_samples(task_name=task, samples=samples[task])


def files(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))


def test_files_have_the_names_that_lmms_eval_gives_and_nothing_else_is_left(results, tmp_path, told):
    saved_by_command(results, tmp_path)
    assert files(tmp_path) == [
        MODEL,
        f"{MODEL}/{UTC}_results.json",
        f"{MODEL}/{UTC}_samples_radar_mini_colour.jsonl",
    ]
    assert len(load_run(tmp_path).sources["mini_colour"].q_id) == 40
    assert [line.strip() for line in told if "Saved" in line] == [
        f"INFO: Saved {tmp_path / MODEL / f'{UTC}_results.json'}",
        f"INFO: Saved {tmp_path / MODEL / f'{UTC}_samples_radar_mini_colour.jsonl'}",
    ]
    assert not any("/." in line for line in told)


def test_runs_of_one_second_are_all_whole(results, tmp_path):
    forks = multiprocessing.get_context("fork")
    jobs = [forks.Process(target=saved_by_command, args=(results, tmp_path)) for _ in range(4)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(60)
        assert job.exitcode == 0
    found = sorted(tmp_path.rglob("*_results.json"))
    assert [file.name for file in found] == sorted(f"{UTC}{suffix}_results.json" for suffix in ("", "-2", "-3", "-4"))
    for file in found:
        assert len(load_run(file).sources["mini_colour"].q_id) == 40
    (run,) = find_runs([tmp_path])
    assert run.file.name == f"{UTC}-4_results.json"
    assert len(run.left_out) == 3


@pytest.mark.parametrize("size", [0, 1000, 10_000, 30_000])
def test_a_full_disk_leaves_former_results_and_nothing_half_written(results, tmp_path, spare, told, size):
    """Here every disk is full, the temporary folder's, too."""
    output = tmp_path / "results"
    saved_by_command(results, output)
    before = {file: file.read_bytes() for file in output.rglob("*") if file.is_file()}
    assert max(map(len, before.values())) > 30_000
    with files_of_at_most(size):
        saved_by_command(results, output)
    after = {file: file.read_bytes() for file in output.rglob("*") if file.is_file()}
    assert {file: after[file] for file in before} == before
    for file in set(after) - set(before):  # a results file, say, that fitted in while the samples did not
        assert json.loads(after[file])["results"]
    assert [
        line for line in told if line.startswith("ERROR") and "could not be written" in line and "nor could" in line
    ]
    assert not any(path.name.startswith(".") for path in tmp_path.rglob("*"))
    for folder in spare.iterdir():
        assert [json.loads(file.read_text())["results"] for file in folder.iterdir()]


def test_what_a_full_disk_refuses_is_kept_elsewhere(results, tmp_path, spare, told, monkeypatch):
    """Files move into their place as the last step, and that is what fails here, for the output folder alone."""
    output = tmp_path / "results"
    replace = Path.replace

    def full(self, target):
        if output in Path(target).parents:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", full)
    saved_by_command(results, output)
    assert [file for file in output.rglob("*") if file.is_file()] == []
    (folder,) = spare.iterdir()
    assert len(load_run(folder).sources["mini_colour"].q_id) == 40
    errors = [line for line in told if line.startswith("ERROR")]
    assert len(errors) == 2
    for line in errors:
        assert "No space left on device" in line
        assert str(folder) in line
        assert "move it there" in line


def test_a_folder_that_cannot_be_written_is_refused_before_anything_else(tmp_path):
    """`/proc` refuses even the administrator."""
    with pytest.raises(ResultsError, match="/proc/results.*Give another --output_path"):
        EvaluationTracker(output_path="/proc/results")
    EvaluationTracker(output_path=str(tmp_path / "to" / "be" / "made"))
    assert list(tmp_path.iterdir()) == []


def test_runs_without_a_task_of_this_project_are_written_as_ever(results, tmp_path, told):
    others = copy.deepcopy(results)
    del others["configs"]["radar_mini_colour"]["radar"]
    for _ in range(2):
        saved_by_command(others, tmp_path)
    lines = (tmp_path / MODEL / f"{SECOND}_samples_radar_mini_colour.jsonl").read_text().splitlines()
    assert len(lines) == 2 * 40  # lmms-eval's own way of meeting in one second
    assert not any("Saved" in line for line in told)

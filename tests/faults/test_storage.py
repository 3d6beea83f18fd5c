"""Disks that are full and places that cannot be written: former results stay, and the message says what to do."""

import copy
import multiprocessing

import pytest
from full_disks import files_of_at_most, results_of_a_run
from PIL import Image
from typer.testing import CliRunner

from radar_tasks.cli import app
from radar_tasks.errors import DataError, ResultsError
from radar_tasks.harness.evaluation import save
from radar_tasks.results import load_run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return results_of_a_run(tmp_path_factory.mktemp("x"))


def saved(results, output):
    save(copy.deepcopy(results), output)


@pytest.mark.parametrize("size", [0, 1000, 10_000, 30_000])
def test_a_full_disk_while_results_are_written_leaves_the_former_ones(results, tmp_path, size):
    output = tmp_path / "results"
    saved(results, output)
    before = {file.name: file.read_bytes() for file in output.rglob("*") if file.is_file()}
    assert max(map(len, before.values())) > 30_000
    with files_of_at_most(size), pytest.raises(ResultsError, match="could not be written whole"):
        saved(results, output)
    assert {file.name: file.read_bytes() for file in output.rglob("*") if file.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["results"]
    assert len(load_run(output).sources["mini_colour"].q_id) == 40


def test_two_runs_into_one_folder_are_both_whole(results, tmp_path):
    """Whichever comes last is there, and nothing of the other between its files."""
    forks = multiprocessing.get_context("fork")
    for _ in range(3):
        jobs = [forks.Process(target=saved, args=(results, tmp_path / "results")) for _ in range(3)]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join(60)
            assert job.exitcode == 0
        assert len(load_run(tmp_path / "results").sources["mini_colour"].q_id) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def test_a_home_that_nobody_can_write(tmp_path, monkeypatch):
    """Reading goes on, and preparing says where it wanted to write; `/proc` refuses even the administrator."""
    monkeypatch.setenv("RADAR_HOME", "/proc/radar")
    (tmp_path / "p.csv").write_text("image,statement,opposite\np.png,The cup is left,The cup is right\n")
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    runner = CliRunner()
    status = runner.invoke(app, ["data", "status"])
    assert status.exit_code == 0, status.output
    told = runner.invoke(app, ["data", "new", "mine", "--table", str(tmp_path / "p.csv")])
    assert isinstance(told.exception, DataError)
    assert "/proc/radar cannot be written" in str(told.exception)

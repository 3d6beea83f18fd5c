"""`radar doctor`, `radar --version`, and names that are nearly right."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from radar_tasks import paths
from radar_tasks.cli import app
from radar_tasks.errors import DataError, did_you_mean
from radar_tasks.harness import environment
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.store import open_source


def findings(checkpoint=None):
    options = None if checkpoint is None else CheckpointOptions(pretrained=str(checkpoint))
    return {finding.what: finding for finding in environment.examine(options)}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_what_works_is_found_with_a_shipped_checkpoint(home):
    found = findings(paths.checkpoints() / "step-02400")
    assert {finding.what for finding in found.values() if finding.state == "broken"} == set()
    assert "qwen2_vl" in found["checkpoint"].found
    assert "radar_mini" in found["tasks in lmms-eval"].found
    assert found["M3-Bench"].found.startswith("0 of 9")
    assert "radar data download" in found["M3-Bench"].remedy


def test_what_is_broken_is_told_with_a_remedy_and_the_rest_goes_on(home, tmp_path, monkeypatch):
    (home / "sources").mkdir(parents=True)
    (home / "sources" / "mmbench.parquet").write_bytes(b"PAR1 cut short")
    (home / "sources" / "birds.parquet").write_bytes(b"")
    monkeypatch.setattr(environment, "LIBRARIES", ("lmms-eval", "no-such-library"))
    found = findings(tmp_path / "nowhere")
    broken = {finding.what for finding in found.values() if finding.state == "broken"}
    assert broken == {"M3-Bench", "own sources", "no-such-library", "checkpoint"}
    assert "mmbench" in found["M3-Bench"].found
    assert "birds" in found["own sources"].found
    assert "nowhere" in found["checkpoint"].found
    assert all(found[what].remedy for what in broken - {"checkpoint"})


def test_the_exit_status_says_whether_something_is_broken(home, tmp_path):
    done = CliRunner().invoke(app, ["doctor", str(tmp_path / "nowhere")])
    assert done.exit_code == 1
    assert "nowhere" in done.output


def test_a_data_home_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "file"))
    finding = findings()["data home"]
    assert finding.state == "broken"
    assert "RADAR_HOME" in finding.remedy


def test_the_version_and_the_short_help():
    done = subprocess.run([sys.executable, "-m", "radar_tasks.cli", "--version"], capture_output=True, text=True)
    assert done.stdout.startswith("radar 0.")
    assert "lmms-eval 0." in done.stdout
    assert "Look at results" in CliRunner().invoke(app, ["-h"]).output


def test_names_that_are_nearly_right(home):
    assert did_you_mean("radar_percption", ["radar_perception", "radar_mini"]) == " Did you mean radar_perception?"
    assert did_you_mean("zzz", ["radar_perception"]) == ""
    with pytest.raises(DataError, match="Did you mean mmbench"):
        open_source("mmbnch")

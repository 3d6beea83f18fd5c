"""What `radar track` does with each result: the page of --report, live while it watches, and the alarms of --guard."""

import json
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from fake_runs import write_curve
from typer.testing import CliRunner

from radar_tasks.cli import app, track
from radar_tasks.errors import ResultsError

RESULT = SimpleNamespace(label="step-00100")


@pytest.mark.parametrize("live", [0, 30])
def test_the_page_is_made_again_with_each_result(tmp_path, monkeypatch, live):
    made = []
    monkeypatch.setattr(track.report_command, "command", lambda results, **more: made.append((results, more)))
    with ExitStack() as trackers:
        tell = track._telling(None, "radar", tmp_path / "out", tmp_path / "page.html", trackers, live=live)
        tell(RESULT)
        tell(RESULT)
    assert made == [([str(tmp_path / "out")], {"output": tmp_path / "page.html", "live": live})] * 2


def test_a_page_that_cannot_be_made_does_not_end_scoring(tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        raise ResultsError("no results yet")

    monkeypatch.setattr(track.report_command, "command", fail)
    with ExitStack() as trackers:
        track._telling(None, "radar", tmp_path, tmp_path / "page.html", trackers, live=30)(RESULT)
    assert "no results yet" in capsys.readouterr().err


def test_a_guarded_run_tells_each_alarm_once_as_results_come(tmp_path, capsys):
    skills = {"mini_colour": [3.0, 3.0, -1.0, -1.0], "mini_sum": [2.0, 2.0, 2.0, 2.0]}
    shown = []
    guarding = track._Guarding(tmp_path, shown.append)
    guarding(RESULT)  # nothing can be read yet
    assert "radar: " in capsys.readouterr().err
    told = []
    for count in range(1, 5):
        write_curve(tmp_path / "exp1", [100, 200, 300, 400][:count], skills, n=80)
        guarding(RESULT)
        told.append([json.loads(line)["step"] for line in capsys.readouterr().out.splitlines()])
        assert guarding.alarmed == (count > 2)
    assert told == [[], [], [300], []]
    assert shown == [RESULT] * 5


def test_a_guarded_run_with_nothing_left_to_score_tells_what_its_results_say(tmp_path, monkeypatch):
    """And its status says it, too."""
    (tmp_path / "runs" / "checkpoint-300").mkdir(parents=True)
    scored = SimpleNamespace(once=dict, left_out={})
    monkeypatch.setattr("radar_tasks.follow.track.Tracker", lambda **_: scored)
    results = tmp_path / "exp1"
    command = ["track", str(tmp_path / "runs" / "*"), "--output", str(results), "--guard"]
    done = CliRunner().invoke(app, command)
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")  # no results yet is nothing to tell of
    write_curve(results, [100, 200, 300], {"mini_colour": [3.0, 3.0, -1.0], "mini_sum": [2.0, 2.0, 2.0]}, n=80)
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 4
    assert [json.loads(line)["step"] for line in done.stdout.splitlines()] == [300]

"""`radar track --report`: the page is renewed after each checkpoint, and live while it watches."""

from contextlib import ExitStack
from types import SimpleNamespace

import pytest

from radar_tasks.cli import track
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

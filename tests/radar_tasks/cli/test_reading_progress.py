"""What is said while results are read: a bar, lines in a pipe, and nothing where it is quick."""

import io
import time
from contextlib import suppress

import pytest
from fake_runs import write_curve

from radar_tasks.cli import _reading
from radar_tasks.cli._reading import reading_progress
from radar_tasks.results import find_runs


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass only when a test says so."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_pipe_gets_a_line_every_few_seconds_with_the_time_left(clock, monkeypatch):
    monkeypatch.setattr("sys.stderr", into := io.StringIO())
    with reading_progress() as progress:
        for second in range(21):
            progress(f"step-{second}, mmbench", second, 40)
            clock[0] += 1
    assert into.getvalue().splitlines() == [
        "reading step-5, mmbench: 12%, about 35 s left",
        "reading step-10, mmbench: 25%, about 30 s left",
        "reading step-15, mmbench: 37%, about 25 s left",
        "reading step-20, mmbench: 50%, about 20 s left",
    ]


def test_nothing_is_said_where_it_is_quick(clock, monkeypatch):
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr("sys.stderr", stream)
        with reading_progress() as progress:
            progress("step-1", 0, 0)
            progress("step-1", 1, 2)
        assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_goes_away_also_after_an_error(monkeypatch):
    monkeypatch.setattr(_reading, "PATIENCE", 0.0)
    monkeypatch.setattr("sys.stderr", into := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    with suppress(ValueError), reading_progress() as progress:
        progress("step-7, mmbench", 1, 4)
        progress("step-8, mmbench", 2, 4)
        time.sleep(0.2)
        raise ValueError("broken")
    assert "reading step-8" in into.getvalue()
    assert into.getvalue().rstrip().endswith(("\x1b[2K", "\x1b[?25h"))


def test_reading_says_what_it_reads_and_comes_to_the_end(tmp_path):
    write_curve(tmp_path / "exp1", [100, 200], {"spatial": [0.1, 0.2], "seephys": [0.3, 0.3]}, n=4)
    said = []
    find_runs([tmp_path], lambda *told: said.append(told))
    assert [what for what, _, _ in said] == [
        *("step-00100, spatial", "step-00100, seephys", "step-00200, spatial", "step-00200, seephys")
    ]
    size = sum(file.stat().st_size for file in tmp_path.rglob("*.jsonl"))
    assert {total for _, _, total in said} == {size}
    done = [done for _, done, _ in said]
    assert done[0] == 0
    assert done == sorted(set(done))
    assert done[-1] < size

"""The cache of columns: it says what the file says, is used, bounded and shared, and nothing depends on it."""

import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest
from fake_runs import simulate, write_run

from radar_tasks.errors import ResultsError
from radar_tasks.results import column_cache, load_run
from radar_tasks.results.column_cache import ColumnCache


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "results" / f"columns-{column_cache.LAYOUT}"


@pytest.fixture
def file(tmp_path):
    records = simulate("spatial", 9, skill=0.5, options=(2, 3))
    into = write_run(tmp_path / "results", "step-00200", {"spatial": records})
    samples = next(into.parent.glob("*_samples_*"))
    for written in (into, samples):
        os.utime(written, (1e9, 1e9))  # long ago, but ctime is now
    return samples


@pytest.fixture
def settled(monkeypatch):
    """Times of files are believed at once."""
    monkeypatch.setattr(column_cache, "_SETTLED", -1e9)


def fail(*_):
    raise AssertionError("the file was read")


def plain(columns):
    asked, scores = columns
    texts = [asked.q_id.tolist(), asked.image_id.tolist(), asked.category.tolist(), asked.options, asked.prompts]
    ragged = {**scores, "bytes": asked.bytes, "tokens": asked.tokens}
    return texts, asked.answer.tolist(), {name: [row.tolist() for row in column] for name, column in ragged.items()}


def test_a_kept_file_says_the_same_and_is_not_parsed(file, home, monkeypatch):
    first = plain(ColumnCache(home).read(file))
    assert first == plain(ColumnCache(home / "other").read(file))
    monkeypatch.setattr(column_cache, "parse", fail)
    assert plain(ColumnCache(home).read(file)) == first


def test_an_untouched_file_is_not_even_read(file, home, monkeypatch, settled):
    first = plain(ColumnCache(home).read(file))
    monkeypatch.setattr(type(file), "read_bytes", fail)
    assert plain(ColumnCache(home).read(file)) == first


def test_a_file_written_a_moment_ago_is_read_again(file, home, monkeypatch):
    """Its times may not tell whether it was written to once more in the same tick of the clock."""
    ColumnCache(home).read(file)
    monkeypatch.setattr(type(file), "read_bytes", fail)
    with pytest.raises(AssertionError, match="was read"):
        ColumnCache(home).read(file)


def test_a_copied_or_moved_file_is_read_and_not_parsed(file, home, monkeypatch, tmp_path):
    first = plain(ColumnCache(home).read(file))
    (tmp_path / "copy.jsonl").write_bytes(file.read_bytes())
    monkeypatch.setattr(column_cache, "parse", fail)
    assert plain(ColumnCache(home).read(tmp_path / "copy.jsonl")) == first


@pytest.mark.parametrize("keep_times", [True, False])
def test_a_change_of_one_digit_is_seen(file, home, settled, keep_times):
    before = ColumnCache(home).read(file)
    status, text = file.stat(), file.read_text()
    place = text.index('"bytes": [1') + len('"bytes": [1')
    digit = text[place]
    file.write_text(text[:place] + str((int(digit) + 1) % 10) + text[place + 1 :])
    if keep_times:  # as rsync and tar do; the inode's own time tells
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file.stat().st_size == status.st_size
    after = ColumnCache(home).read(file)
    assert plain(before)[2]["bytes"] != plain(after)[2]["bytes"]


def test_checkpoints_share_what_was_asked(tmp_path, home):
    records = [simulate("spatial", 9, skill=skill, seed=k) for k, skill in enumerate((0.2, 0.8))]
    files = [write_run(tmp_path / f"r{k}", f"step-{k}00", {"spatial": r}) for k, r in enumerate(records)]
    cache = ColumnCache(home)
    first, second = (cache.read(next(file.parent.glob("*_samples_*"))) for file in files)
    assert first[0] is second[0]
    assert len(list(home.rglob("asked-*.parquet"))) == 1
    assert len(list(home.rglob("scores-*.parquet"))) == 2
    again = ColumnCache(home)
    assert len({id(again.read(next(file.parent.glob("*_samples_*")))[0]) for file in files}) == 1


def test_what_an_earlier_version_kept_counts_and_goes_first(file, home):
    """Its folder has the name of another layout, and nobody reads it any more."""
    old = home.parent / "columns-1" / "scores-0.parquet"
    old.parent.mkdir(parents=True)
    old.write_bytes(bytes(200_000))
    os.utime(old, (0, 0))
    cache = ColumnCache(home.parent, limit=100_000)
    cache.read(file)
    cache.trim()
    assert not old.exists()
    assert list(home.glob("scores-*.parquet"))


def test_errors_are_the_same_with_file_and_line_each_time(file, home):
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:4], lines[4].replace('"answer": ', '"answer": 9'), *lines[5:]]))
    messages = []
    for _ in range(2):
        with pytest.raises(ResultsError) as error:
            load_run(next(file.parent.glob("*_results.json")))
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert f"{file}, line 5: sds: the answer is option 9" in messages[0]


@pytest.mark.parametrize("kind", ["asked", "scores", "file"])
@pytest.mark.parametrize("damage", ["changed", "cut", "empty", "removed", "folder"])
def test_what_is_damaged_is_made_again(file, home, kind, damage, settled):
    first = plain(ColumnCache(home).read(file))
    choose = random.Random(3)
    for _ in range(40 if damage == "changed" else 1):
        kept = next(home.rglob(f"{kind}-*"))
        data = kept.read_bytes()
        kept.unlink()
        if damage == "changed":
            place = choose.randrange(len(data))
            kept.write_bytes(data[:place] + bytes([data[place] ^ (1 << choose.randrange(8))]) + data[place + 1 :])
        elif damage == "cut":
            kept.write_bytes(data[: len(data) // 2])
        elif damage == "empty":
            kept.write_bytes(b"")
        elif damage == "folder":
            kept.mkdir()
        assert plain(ColumnCache(home).read(file)) == first
        assert plain(ColumnCache(home).read(file)) == first
        if damage == "changed":
            kept.write_bytes(data)


def test_a_home_that_cannot_be_written_is_no_matter(file, tmp_path):
    (tmp_path / "home").write_text("a file where the folder should be")
    cache = ColumnCache(tmp_path / "home")
    assert len(cache.read(file)[0].q_id) == 9
    cache.trim()


def test_the_folder_is_bounded_and_what_was_not_used_longest_goes(tmp_path, home):
    files = []
    for k in range(6):
        into = write_run(tmp_path / f"r{k}", f"step-{k}00", {"spatial": simulate("spatial", 40, skill=0.1 * k, seed=k)})
        files.append(next(into.parent.glob("*_samples_*")))
        ColumnCache(home).read(files[-1])
        for kept in home.rglob("*.parquet"):
            os.utime(kept, (time.time() - 1000 + k,) * 2) if kept.stat().st_mtime > time.time() - 500 else None
    size = sum(kept.stat().st_size for kept in home.rglob("*.parquet"))
    newest = max(home.rglob("scores-*.parquet"), key=lambda kept: kept.stat().st_mtime)
    cache = ColumnCache(home, limit=size // 2)
    into = write_run(tmp_path / "last", "step-900", {"spatial": simulate("spatial", 40, skill=2.0, seed=9)})
    cache.read(next(into.parent.glob("*_samples_*")))
    cache.trim()
    assert sum(kept.stat().st_size for kept in home.rglob("*") if kept.is_file()) <= size // 2
    assert newest.exists()
    for file in files:
        assert len(ColumnCache(home).read(file)[0].q_id) == 40


READ_MANY = """
import sys
from pathlib import Path
from radar_tasks.results.column_cache import ColumnCache

folder, *files = map(Path, sys.argv[1:])
for _ in range(15):
    cache = ColumnCache(folder, limit=20_000)
    print(*(repr(float(cache.read(file)[1]["logprob"].values.sum())) for file in files))
    cache.trim()
"""


def test_two_processes_share_the_folder(tmp_path, home):
    files, sums = [], []
    for k in range(4):
        records = simulate("spatial", 40, skill=0.1 * k, seed=k)
        into = write_run(tmp_path / f"r{k}", f"step-{k}00", {"spatial": records})
        files.append(next(into.parent.glob("*_samples_*")))
        sums.append(sum(sum(record["logprob"]) for record in records))
    command = [sys.executable, "-c", READ_MANY, str(home), *map(str, files)]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for worker in workers:
        said, _ = worker.communicate(timeout=200)
        assert worker.returncode == 0
        np.testing.assert_allclose(np.array(said.split(), dtype=float), sums * 15)
    assert not list(home.rglob("*.part"))


def test_what_an_earlier_version_kept_without_a_column_is_not_read(home, monkeypatch):
    """The folder is named after the columns: a new one is a new folder, not a column that is missing without a word."""
    before = column_cache.ColumnCache(home)._folder
    monkeypatch.setattr(column_cache, "LAYOUT", "other")
    assert column_cache.ColumnCache(home)._folder != before

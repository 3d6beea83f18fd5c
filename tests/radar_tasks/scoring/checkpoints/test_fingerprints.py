"""A fingerprint is of every byte; what it remembers is never believed of a file that was touched."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import fingerprints
from radar_tasks.scoring.checkpoints.fingerprints import fingerprint

SIZE = 100 << 20


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(fingerprints, "SETTLED_NS", 0)  # files of this test are young
    return tmp_path / "home"


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that were read."""
    names, read = [], fingerprints._read
    monkeypatch.setattr(fingerprints, "_read", lambda file, bar: names.append(file.name) or read(file, bar))
    return names


@pytest.fixture
def file(tmp_path):
    place = tmp_path / "a" / "model.safetensors"
    place.parent.mkdir()
    place.write_bytes(b"weights" * 1000)
    return place


def write_at(file, place, content):
    with file.open("r+b") as stream:
        stream.seek(place)
        stream.write(content)


@pytest.mark.parametrize("place", [0, 1, 70_000, (16 << 20) - 1, 16 << 20, SIZE // 2 + 7, SIZE - 1])
def test_every_byte_counts(tmp_path, place):
    file = tmp_path / "model.safetensors"
    with file.open("wb") as stream:
        stream.truncate(SIZE)
    before = fingerprint([file])
    write_at(file, place, b"\x01")
    assert fingerprint([file]) != before
    write_at(file, place, b"\x00")
    assert fingerprint([file]) == before


def test_size_and_name_count(tmp_path, file):
    prints = {fingerprint([file]), fingerprint([file, file])}
    longer, renamed = tmp_path / "b" / file.name, tmp_path / "other.safetensors"
    longer.parent.mkdir()
    longer.write_bytes(file.read_bytes() + b"\0")
    renamed.write_bytes(file.read_bytes())
    assert len(prints | {fingerprint([longer]), fingerprint([renamed])}) == 4


def test_a_copy_at_another_place_is_the_same(tmp_path, file):
    copied = shutil.copytree(file.parent, tmp_path / "elsewhere") / file.name
    assert fingerprint([copied]) == fingerprint([file])
    moved = copied.rename(tmp_path / file.name)
    assert fingerprint([moved]) == fingerprint([file])


def test_an_untouched_file_is_not_read_again(file, reads):
    first = fingerprint([file])
    assert fingerprint([file]) == first
    assert reads == [file.name]


def touched(file):
    file.write_bytes(file.read_bytes().replace(b"w", b"v"))


def with_its_time_set_back(file):
    """As `rsync --inplace --times` leaves it: inode, size and time are the old ones."""
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    write_at(file, 100, b"#")
    os.utime(file, ns=times)


def replaced(file):
    new = file.with_name("new")
    new.write_bytes(file.read_bytes().replace(b"w", b"v"))
    os.utime(new, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
    new.replace(file)


@pytest.mark.parametrize("change", [touched, with_its_time_set_back, replaced])
def test_a_changed_file_is_read_again(file, reads, change):
    before = fingerprint([file])
    change(file)
    assert fingerprint([file]) != before
    assert reads == [file.name] * 2


def test_a_file_of_this_very_moment_is_not_remembered(file, reads, monkeypatch):
    """It may change again before the file system's clock ticks."""
    monkeypatch.setattr(fingerprints, "SETTLED_NS", 60 * 10**9)
    assert fingerprint([file]) == fingerprint([file])
    assert reads == [file.name] * 2


def entry(home):
    return next((home / "fingerprints").glob("*.json"))


def no_entry(file):
    file.unlink()


def other_digits(file):
    content = json.loads(file.read_text())
    content["content_hash"] = "0" * 32
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "damage",
    [
        no_entry,
        other_digits,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(bytes(len(file.read_bytes()))),
        lambda file: file.write_bytes(file.read_bytes()[:-30]),
        lambda file: file.write_text("[]"),
        lambda file: file.write_text('{"path": 3}'),
        lambda file: file.write_bytes(b"\xff\xfe"),
        lambda file: (file.unlink(), file.mkdir()),
    ],
)
def test_a_damaged_memory_costs_a_reading(file, home, reads, damage):
    before = fingerprint([file])
    damage(entry(home))
    assert fingerprint([file]) == before
    assert reads == [file.name] * 2


def test_a_home_that_cannot_be_written(file, home):
    before = fingerprint([file])
    shutil.rmtree(home)
    home.write_text("a file where the folder should be")
    assert fingerprint([file]) == before


ASK = """
import sys
from pathlib import Path
from radar_tasks.scoring.checkpoints import fingerprints
fingerprints.SETTLED_NS = 0
read, count = fingerprints._read, []
fingerprints._read = lambda file, bar: count.append(file) or read(file, bar)
print(fingerprints.fingerprint([Path(sys.argv[1])]), len(count))
"""


def test_several_processes_read_a_file_once(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(os.urandom(1 << 20) * 64)
    asking = [subprocess.Popen([sys.executable, "-c", ASK, file], stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [process.communicate(timeout=120)[0].split() for process in asking]
    assert {print_ for print_, _ in said} == {fingerprint([file])}
    assert sum(int(count) for _, count in said) == 1


def test_a_file_that_changes_while_it_is_read(file, monkeypatch):
    read = fingerprints._read

    def read_and_change(place, bar):
        content_hash = read(place, bar)
        place.write_bytes(b"more" * 5000)
        return content_hash

    monkeypatch.setattr(fingerprints, "_read", read_and_change)
    with pytest.raises(CheckpointError, match=r"changed while it was read"):
        fingerprint([file])

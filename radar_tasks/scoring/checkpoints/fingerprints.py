"""What tells one checkpoint's weights from another's: a hash of every byte, remembered while a file is untouched.

A hash of samples is not enough: in the layout of Gemma 3 4B none of 256 evenly spaced pieces of 64 kB meets one of the
projector's two tensors, and a projector stage written again in place was always "finished". XXH3 hashes 10 GB/s on one
core, faster than disks read, and what was read lies in the page cache when the weights are loaded after. It tells apart
what training or a copy has changed; it is not a defence against somebody who builds a file with a given hash.

    RADAR_HOME/fingerprints/<hash of the path>.json     a file's path, size, times, inode and hash

One file an entry, which appears whole: processes need no agreement, and a damaged entry costs one more reading.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import xxhash
from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError
from tqdm import tqdm

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.files import write_whole
from radar_tasks.paths import data_home

SCHEME = "xxh3-"
"""How fingerprints begin. Those of version 0.1.0, 16 digits without it, are of samples and are never trusted."""

CHUNK = 16 << 20
BAR_BYTES = 2 << 30
"""A bar is shown from so many bytes on."""

SETTLED_NS = 2_000_000_000
"""A file younger than that may change again within one tick of a file system's clock, and is not remembered."""


def fingerprint(files: Sequence[Path]) -> str:
    """`xxh3-` and 32 hex digits, of the names and every byte of some files; where they lie does not matter.

    Args:
        files: in any order.

    Raises:
        CheckpointError: a file cannot be read, or changes meanwhile.
    """
    to_read = sum(file.stat().st_size for file in files if _remembered(file) is None)
    digest = xxhash.xxh3_128()
    with tqdm(
        total=to_read, unit="B", unit_scale=True, desc="Fingerprint", leave=False,
        disable=True if to_read < BAR_BYTES else None,
    ) as bar:  # fmt: skip
        for file in sorted(files, key=lambda f: f.name):
            digest.update(f"{file.name} {file.stat().st_size} {_content_hash(file, bar)}\n".encode())
    return SCHEME + digest.hexdigest()


def of_an_earlier_scheme(fingerprint: object) -> bool:
    """Whether an earlier version of this package made a fingerprint, by samples of large files."""
    return isinstance(fingerprint, str) and len(fingerprint) == 16


class _State(BaseModel):
    """What changes when a file does. The inode's own time cannot be set back, as `rsync -t` does the file's."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    path: str
    size: int
    changed_ns: int
    inode: int
    inode_changed_ns: int

    @classmethod
    def of(cls, file: Path) -> _State:
        found = file.stat()
        return cls(
            path=str(file.resolve()),
            size=found.st_size,
            changed_ns=found.st_mtime_ns,
            inode=found.st_ino,
            inode_changed_ns=found.st_ctime_ns,
        )

    def is_settled(self) -> bool:
        return max(self.changed_ns, self.inode_changed_ns) + SETTLED_NS < time.time_ns()


class _Entry(_State):
    """A file's state and hash; `check` tells an entry that was damaged, with its digits still digits."""

    content_hash: str
    check: str


def _content_hash(file: Path, bar: tqdm[None]) -> str:
    """32 hex digits; read once by however many processes ask at the same time."""
    if (known := _remembered(file)) is not None:
        return known
    with _alone(file):
        if (known := _remembered(file)) is not None:  # another process has read it meanwhile
            return known
        state = _State.of(file)
        content_hash = _read(file, bar)
        if _State.of(file) != state:
            raise CheckpointError(f"{file} changed while it was read: is it still being written?")
        if state.is_settled():
            _remember(state, content_hash)
        return content_hash


def _read(file: Path, bar: tqdm[None]) -> str:
    digest = xxhash.xxh3_128()
    buffer = memoryview(bytearray(min(CHUNK, max(1, file.stat().st_size))))
    try:
        with file.open("rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                digest.update(buffer[:count])
                bar.update(count)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read ({error.strerror or error}).") from error
    return digest.hexdigest()


def _remembered(file: Path) -> str | None:
    """The hash of a file that has not been touched since it was read."""
    try:
        state = _State.of(file)
        entry = _Entry.model_validate_json(_place(state.path).read_bytes())
    except (OSError, ValidationError):
        return None
    if entry.check != _check(entry, entry.content_hash):
        return None
    same = _State(**entry.model_dump(exclude={"content_hash", "check"})) == state
    return entry.content_hash if same else None


def _remember(state: _State, content_hash: str) -> None:
    entry = _Entry(**state.model_dump(), content_hash=content_hash, check=_check(state, content_hash))
    with contextlib.suppress(RadarError):  # a home that cannot be written costs time, nothing else
        write_whole(_place(state.path), entry.model_dump_json())


def _check(state: _State, content_hash: str) -> str:
    about = (state.path, state.size, state.changed_ns, state.inode, state.inode_changed_ns, content_hash)
    return xxhash.xxh3_64(repr(about).encode()).hexdigest()


def _place(path: str) -> Path:
    return data_home() / "fingerprints" / f"{xxhash.xxh3_128(os.fsencode(path)).hexdigest()}.json"


@contextlib.contextmanager
def _alone(file: Path) -> Iterator[None]:
    """The others that want to read a file wait; where nothing can be locked, everybody reads."""
    place = _place(str(file.resolve())).with_suffix(".lock")
    lock = FileLock(place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        lock.release()

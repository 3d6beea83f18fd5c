"""Columns of samples files, kept so that a file is parsed once.

    RADAR_HOME/results/columns-<hash of the columns that there are>/
      file-<hash of a path>.json       size, times and inode of the file that was read there, and its checksum
      scores-<checksum>.parquet        what the model said, with the name of
      asked-<digest>.parquet           what was asked, once for all checkpoints

An untouched file is known by its size, times and inode and is not read; a moved or copied one is read and known by its
checksum. Nothing here is needed: what is missing, damaged or cannot be written is made again from the samples file or
left. Files appear whole under their names, so that several processes can share the folder, and each may find that
another has removed what it looked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from radar_metrics.errors import MetricError
from radar_metrics.ragged import Ragged
from radar_tasks.results.model import SCORES
from radar_tasks.results.samples_file import Asked, SamplesTable, parse

LIMIT = 2 << 30
"""Bytes that the cache may hold; when it holds more, what was not used longest goes."""

LAYOUT = hashlib.sha256(" ".join(SCORES).encode()).hexdigest()[:8]
"""A version that knows further scores must not read what an earlier one kept without them."""

_ASKED, _CONTENT = b"radar.asked", b"radar.content"
"""In the metadata of scores: the digests of what was asked, and of the scores themselves."""
_SETTLED = 2.0
"""Seconds after which a file's times tell whether it was written to again: some file systems count in whole ones."""
_RENEWED = 3600.0
"""Seconds after which a use of a file is noted in its time."""

_Damage = (OSError, pa.ArrowException, MetricError, KeyError, ValueError, TypeError)
Columns = tuple[Asked, dict[str, Ragged]]
"""What was asked, and the scores by name."""


class ColumnCache:
    """Columns of samples files, from the cache where they are there.

    Args:
        folder: where they are kept; made at the first file.
        limit: bytes that it may hold.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder = folder / f"columns-{LAYOUT}"
        self._limit = limit
        self._wrote = False
        self._asked: dict[str, Asked] = {}
        """By digest, so that checkpoints share the texts also in memory."""

    def read(self, file: Path) -> Columns:
        """The columns of a samples file.

        Raises:
            ResultsError: see `radar_tasks.results.samples_file.parse`.
            OSError: the file cannot be read.
        """
        before = _Signature.of(file)
        known = self._known(file, before)
        if known and (columns := self._stored(known)) is not None:
            return columns
        data = file.read_bytes()
        checksum = hashlib.sha256(data).hexdigest()
        if before == _Signature.of(file):
            self._note(file, before, checksum)
        if (columns := self._stored(checksum)) is not None:
            return columns
        return self._store(checksum, parse(data, file))

    def trim(self) -> None:
        """Remove what was not used longest while the cache holds too much; called after files were read."""
        if not self._wrote:
            return
        held = []
        with contextlib.suppress(OSError):
            # Of all layouts, so that what an earlier version kept goes, too, once it is what was not used longest.
            for entry in self._folder.parent.glob("columns-*/*"):
                with contextlib.suppress(OSError):  # another process was faster
                    held.append((entry.stat().st_mtime, entry.stat().st_size, entry))
        total = sum(size for _, size, _ in held)
        for _, size, path in sorted(held):
            if total <= self._limit:
                return
            with contextlib.suppress(OSError):
                path.unlink()
            total -= size

    def _known(self, file: Path, signature: _Signature) -> str | None:
        """The checksum of a file that is as it was when it was read."""
        try:
            noted = json.loads(self._note_of(file).read_text(encoding="utf-8"))
            return str(noted["checksum"]) if noted["signature"] == signature.plain else None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None

    def _note(self, file: Path, signature: _Signature, checksum: str) -> None:
        if time.time() - max(signature.modified, signature.changed) / 1e9 > _SETTLED:
            text = json.dumps({"signature": signature.plain, "checksum": checksum})
            self._write(self._note_of(file), text.encode())

    def _note_of(self, file: Path) -> Path:
        return self._folder / f"file-{hashlib.sha256(os.fsencode(file.resolve())).hexdigest()}.json"

    def _stored(self, checksum: str) -> Columns | None:
        path = self._folder / f"scores-{checksum}.parquet"
        try:
            scores = _read(path)
            digest, content = (scores.schema.metadata[key].decode() for key in (_ASKED, _CONTENT))
            _require(scores, content)
            if digest not in self._asked:
                asked = self._folder / f"asked-{digest}.parquet"
                table = _read(asked)
                _require(table, digest)
                self._asked[digest] = Asked.of(table)
                _renew(asked)
            columns = columns_of(self._asked[digest], scores)
        except _Damage:
            return None
        _renew(path)
        return columns

    def _store(self, checksum: str, table: SamplesTable) -> Columns:
        digest = _digest(table.asked)
        if digest not in self._asked:
            self._asked[digest] = Asked.of(table.asked)
            self._write(self._folder / f"asked-{digest}.parquet", _parquet(table.asked, "zstd"))
        named = {_ASKED: digest.encode(), _CONTENT: _digest(table.scores).encode()}
        scores = table.scores.replace_schema_metadata(named)
        self._write(self._folder / f"scores-{checksum}.parquet", _parquet(scores, "none"))
        return columns_of(self._asked[digest], scores)

    def _write(self, path: Path, content: bytes) -> None:
        """Whole or not at all; a cache that cannot be written is none. It need not survive a power cut: no fsync."""
        self._wrote = True
        temporary = None
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
            with os.fdopen(handle, "wb") as into:
                into.write(content)
            Path(temporary).replace(path)
            temporary = None
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


class _Signature:
    """What changes when a file is written to: size, times (nanoseconds) and inode."""

    def __init__(self, status: os.stat_result) -> None:
        self.modified, self.changed = status.st_mtime_ns, status.st_ctime_ns
        self.plain = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev]

    @classmethod
    def of(cls, file: Path) -> _Signature:
        return cls(file.stat())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Signature) and self.plain == other.plain

    __hash__ = None  # type: ignore[assignment]


def columns_of(asked: Asked, scores: pa.Table) -> Columns:
    """What was asked with the scores; raises MetricError where they are not of as many options."""
    ragged = {name: Ragged(scores[name].to_numpy(), asked.bytes.offsets) for name in scores.column_names}
    return asked, ragged


def _read(path: Path) -> pa.Table:
    return pq.ParquetFile(path).read(use_threads=False)


def _require(table: pa.Table, digest: str) -> None:
    """ValueError where a table is not what was written: a file that a disk or another program has changed."""
    if _digest(table) != digest:
        raise ValueError("the content of a cached table has changed")


def _parquet(table: pa.Table, compression: str) -> bytes:
    into = io.BytesIO()
    pq.write_table(
        table,
        into,
        compression=compression,
        use_dictionary=False,
        write_statistics=False,
        use_compliant_nested_type=False,  # types are read as they were written, or digests would differ
    )
    return into.getvalue()


def _digest(table: pa.Table) -> str:
    """A checksum of a table's columns, without its metadata."""
    plain = table.replace_schema_metadata(None).combine_chunks()
    into = io.BytesIO()
    with pa.ipc.new_stream(into, plain.schema) as writer:
        writer.write_table(plain)
    return hashlib.sha256(into.getbuffer()).hexdigest()


def _renew(path: Path) -> None:
    """Note that a file was used, at most once an hour."""
    with contextlib.suppress(OSError):
        if time.time() - path.stat().st_mtime > _RENEWED:
            os.utime(path)

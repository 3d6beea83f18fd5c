"""`QuestionTable`: a source's parquet file as a sequence of questions, read piece by piece."""

from __future__ import annotations

import bisect
import itertools
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from radar_tasks.errors import DataError, RadarError
from radar_tasks.questions import Question
from radar_tasks.store.digest import ContentDigest
from radar_tasks.store.manifest import MANIFEST_KEY, Manifest
from radar_tasks.validation import validation_problems

CACHED_GROUPS = 4
"""Row groups kept in memory: at most four times the writer's `GROUP_BYTES` (or one larger question)."""

N_IMAGES = "n_images"
COLUMNS = tuple(Question.__dataclass_fields__)


class QuestionTable:
    """The questions of one source, in file order. Opening reads the footer only; images are read when asked for.

    Safe to share between threads, to fork with, and to pickle (by path). Memory is bounded by a few row groups. A file
    that another one has replaced is read on; one that somebody has written into is told by its checksum.

    Attributes:
        path: the parquet file.
        manifest: what the file says about itself.

    Raises:
        DataError: the file is missing, is not a store file, or is not what its manifest says.
    """

    path: Path
    manifest: Manifest

    def __init__(self, path: Path, checksum: str | None = None) -> None:
        self.path = Path(path)
        self._open(checksum)

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (self.path, self.checksum))

    @property
    def source(self) -> str:
        """The name of the source; the leaf task of a harness is `radar_<source>`."""
        return self.manifest.source

    @property
    def checksum(self) -> str:
        """Digest of the questions' content, images included; recomputed by `content_checksum`."""
        return self.manifest.checksum

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> Question:
        if not -len(self) <= index < len(self):
            raise IndexError(f"question {index} of {len(self)} in {self.source!r}")
        index %= len(self)
        group = bisect.bisect_right(self._starts, index) - 1
        return self._question(self._group(group).slice(index - self._starts[group], 1).to_pylist()[0])

    def __iter__(self) -> Iterator[Question]:
        for index in range(len(self)):
            yield self[index]

    def headers(self) -> list[dict[str, Any]]:
        """Every column but `images`, and `n_images`; no image is read. A new list of plain values at every call."""
        columns = [name for name in COLUMNS if name != "images"] + [N_IMAGES]
        with self._current_lock():
            rows: list[dict[str, Any]] = self._read(
                lambda: self._file.read(columns=columns, use_threads=False)
            ).to_pylist()
        return rows

    def index_of(self, q_id: str) -> int:
        """The place of a question. Raises `DataError` naming the source if there is none of that q_id."""
        try:
            return self._places[q_id]
        except KeyError:
            raise DataError(f"there is no question {q_id!r} in {self.source!r} ({len(self)} questions)") from None

    def content_checksum(self) -> str:
        """The checksum of the questions that are in the file now, opened anew and read whole.

        Raises:
            DataError: it cannot be read.
            QuestionError: it holds a broken question.
        """
        digest = ContentDigest()
        try:
            with pq.ParquetFile(self.path, pre_buffer=False) as file:
                for group in range(file.metadata.num_row_groups):
                    for row in file.read_row_group(group, columns=list(COLUMNS), use_threads=False).to_pylist():
                        digest.add(Question.from_row(row))
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(error) from error
        return digest.hexdigest()

    @cached_property
    def _places(self) -> dict[str, int]:
        return {row["q_id"]: place for place, row in enumerate(self.headers())}

    def _current_lock(self) -> threading.Lock:
        if os.getpid() != self._pid:  # a fork: the parent's lock may be held for ever
            self._open(self.checksum)
        return self._lock

    def _open(self, checksum: str | None) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._cache: OrderedDict[int, pa.Table] = OrderedDict()
        self._stamp = _stamp(self.path)
        try:
            # No read-ahead and, below, no threads of Arrow's own: they do not survive a fork.
            self._file = pq.ParquetFile(self.path, pre_buffer=False)
        except (OSError, pa.ArrowException) as error:
            raise self._damaged(error) from error
        if missing := set(COLUMNS) - set(self._file.schema_arrow.names):
            raise DataError(f"{self.path} is not a file of questions: columns missing: {', '.join(sorted(missing))}")
        metadata = self._file.metadata
        sizes = (metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
        self._starts = list(itertools.accumulate(sizes, initial=0))
        self.manifest = self._read_manifest()
        if checksum is not None and checksum != self.checksum:
            raise self._changed(f"its checksum was {checksum} and is {self.checksum}")

    def _read_manifest(self) -> Manifest:
        text = (self._file.metadata.metadata or {}).get(MANIFEST_KEY)
        if text is None:
            raise DataError(f"{self.path} has no manifest: it was not written by `radar data`. Prepare the data again.")
        try:
            manifest = Manifest.model_validate_json(text)
        except ValidationError as error:
            faults = "; ".join(f"{place or 'JSON'}: {wrong}" for place, wrong in validation_problems(error))
            raise DataError(f"the manifest in {self.path} is not valid ({faults}): prepare the data again.") from None
        if manifest.questions != len(self):
            raise DataError(f"{self.path} holds {len(self)} questions, its manifest says {manifest.questions}")
        return manifest

    def _group(self, group: int) -> pa.Table:
        with self._current_lock():
            if group in self._cache:
                self._cache.move_to_end(group)
                return self._cache[group]
            table = self._read(lambda: self._file.read_row_group(group, columns=list(COLUMNS), use_threads=False))
            self._cache[group] = table
            if len(self._cache) > CACHED_GROUPS:
                self._cache.popitem(last=False)
            return table

    def _read(self, read: Callable[[], pa.Table]) -> pa.Table:
        """What `read` gives, if the file is still the one that was opened."""
        try:
            table = read()
        except (OSError, pa.ArrowException) as error:
            self._refuse_changes()
            raise self._damaged(error) from error
        self._refuse_changes()
        return table

    def _refuse_changes(self) -> None:
        """Raises `DataError` if somebody wrote into the file: other questions would stand at the same places.

        Writing leaves its time; whether it left another content only the checksum can say.
        """
        now = _stamp(self.path)
        if now == self._stamp or now[:1] != self._stamp[:1]:  # as it was, or another file under this name
            return
        try:
            checksum = self.content_checksum()
        except RadarError as error:
            raise self._changed(f"it cannot be read any more ({error})") from error
        if checksum != self.checksum:
            raise self._changed(f"its checksum was {self.checksum} and is {checksum}")
        self._stamp = now

    def _question(self, row: dict[str, Any]) -> Question:
        question = Question.from_row(row)
        if question.source != self.source:
            raise DataError(f"{self.path} is of {self.source!r} and question {question.q_id!r} of {question.source!r}")
        return question

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.path} cannot be read ({error}). `radar data verify` checks it whole.")

    def _changed(self, how: str) -> DataError:
        return DataError(f"{self.path} changed while it was in use: {how}. Start the run again.")


def _stamp(path: Path) -> tuple[int, ...]:
    """Which file has this name, its size and when it was last written to; empty where there is none any more."""
    try:
        about = path.stat()
    except OSError:
        return ()
    return (about.st_ino, about.st_size, about.st_ctime_ns)

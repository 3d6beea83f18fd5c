"""`SourceWriter`: questions into a source's parquet file, in bounded memory, and there at once or not at all."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.store.digest import ContentDigest
from radar_tasks.store.manifest import MANIFEST_KEY, Manifest, Origin, Skipped
from radar_tasks.store.table import N_IMAGES

GROUP_ROWS = 32
GROUP_BYTES = 8 * 2**20
"""A row group is closed at whichever comes first; it is what a random access reads, and what lies in memory."""

ABANDONED_AFTER = 3600
"""Seconds without a write after which another run's unfinished file is removed."""

_TEXTS = pa.list_(pa.string())
SCHEMA = pa.schema(
    [
        ("q_id", pa.string()),
        ("text", _TEXTS),
        ("images", pa.list_(pa.binary())),
        ("options", _TEXTS),
        ("answer", pa.int32()),
        ("ability", pa.string()),
        ("task", pa.string()),
        ("source", pa.string()),
        ("category", pa.string()),
        ("image_id", pa.string()),
        ("rule", pa.string()),
        (N_IMAGES, pa.int32()),
    ]
)


class SourceWriter:
    """Write one source: `add` its questions inside a `with` block, then `finish`.

    The file grows under a name of its own beside `path` and takes its place in `finish`, so that an interrupted or
    failing run leaves what was there; two runs at once both write whole files.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self._digest = ContentDigest()
        self._first: Question | None = None
        self._seen: set[str] = set()
        self._categories: dict[str, int] = {}
        self._images = self._image_bytes = 0

    def __enter__(self) -> SourceWriter:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(self.path.parent)
        self._writer = pq.ParquetWriter(
            self._partial,
            SCHEMA,
            compression={"images.list.element": "NONE"},  # they are compressed already
            use_dictionary=["ability", "task", "source", "category", "rule"],
            write_statistics=False,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._writer.close()
        finally:
            self._partial.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._seen)

    def add(self, question: Question) -> None:
        """Add one question; all must be of one source, ability and task, and no q_id may come twice."""
        first = self._first = self._first or question
        for name in ("source", "ability", "task"):
            here, there = getattr(question, name), getattr(first, name)
            if here != there:
                raise DataError(f"question {question.q_id!r} is of {name} {here!r}, not of {there!r}")
        if question.q_id in self._seen:
            raise DataError(f"the q_id {question.q_id!r} comes twice in {question.source!r}")
        self._seen.add(question.q_id)
        self._digest.add(question)
        if question.category:
            self._categories[question.category] = self._categories.get(question.category, 0) + 1
        size = sum(map(len, question.images))
        if self._rows and self._bytes + size > GROUP_BYTES:
            self._flush()
        self._rows.append({**question.to_row(), N_IMAGES: len(question.images)})
        self._bytes += size
        self._images += len(question.images)
        self._image_bytes += size
        if len(self._rows) == GROUP_ROWS:
            self._flush()

    def finish(
        self,
        origin: Origin,
        skipped: Sequence[Skipped] = (),
        too_many_images: int = 0,
        stand_in: bool = False,
        left_out: Mapping[str, int] | None = None,
    ) -> Manifest:
        """Close the file, put it in its place, and return its manifest. Raises `DataError` if there is no question."""
        if self._first is None:
            raise DataError(f"{self.path.stem}: there is no sound question in {origin.location}")
        if self._rows:
            self._flush()
        manifest = Manifest(
            source=self._first.source,
            ability=self._first.ability,
            task=self._first.task,
            questions=len(self),
            images=self._images,
            image_bytes=self._image_bytes,
            categories=self._categories,
            checksum=self._digest.hexdigest(),
            origin=origin,
            too_many_images=too_many_images,
            skipped=tuple(skipped),
            stand_in=stand_in,
            left_out=dict(left_out or {}),
            created=datetime.now(timezone.utc),
            version=importlib.metadata.version("lmms-eval-radar"),
        )
        self._writer.add_key_value_metadata({MANIFEST_KEY: manifest.model_dump_json().encode()})
        self._writer.close()
        with self._partial.open("rb") as written:
            os.fsync(written.fileno())
        self._partial.replace(self.path)
        return manifest

    def _flush(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, SCHEMA))
        self._rows, self._bytes = [], 0


def _remove_abandoned(folder: Path) -> None:
    """What killed runs have left; a living one writes to its file all the time."""
    for partial in folder.glob(".*.partial"):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > ABANDONED_AFTER:
                partial.unlink()

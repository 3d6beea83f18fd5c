"""The checksum of a source: a digest of its questions' content that does not depend on how parquet lays it out."""

from __future__ import annotations

import hashlib
import json

from radar_tasks.questions import Question


class ContentDigest:
    """SHA-256 over questions in order, images included; add them one by one."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, question: Question) -> None:
        """Add one question. Images enter by their own digest, so that no two contents can run into each other."""
        row = question.to_row()
        row["images"] = [hashlib.sha256(image).hexdigest() for image in question.images]
        self._hash.update(json.dumps(row, ensure_ascii=True, sort_keys=True).encode() + b"\n")

    def hexdigest(self) -> str:
        """64 hexadecimal digits."""
        return self._hash.hexdigest()

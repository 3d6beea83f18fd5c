"""`Manifest`: what a source's file says about itself. It lies in the metadata of the parquet file."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from radar_tasks.questions import SOURCE_NAME, Ability

MANIFEST_KEY = b"radar_manifest"
"""The key of the manifest (JSON) in the parquet file's metadata."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Origin(_Record):
    """Where a source came from.

    Attributes:
        kind: `release` (the official M3-Bench), `public` (rebuilt from a public data set), `table` (a user's own),
            `sample` (embedded in the package).
        location: folder, archive, table or Hub data set, as the user gave it.
        fingerprint: digest of what was read (names, sizes, checksums of the files or the Hub's own fingerprint);
            equal fingerprints mean that reading again would give the same questions.
    """

    kind: Literal["release", "public", "table", "sample"]
    location: str
    fingerprint: str = ""


class Skipped(_Record):
    """A question that was left out because it is broken, and why; `file` is the file that holds it."""

    q_id: str
    file: str
    reasons: tuple[str, ...]


class Manifest(_Record):
    """Counts, checksum and origin of one source.

    Attributes:
        layout: version of the store's layout; another one is refused.
        questions: number of questions in the file.
        images: number of images over all questions, repeated ones counted each time.
        image_bytes: their size in bytes.
        categories: number of questions a category, in order of appearance; empty where there are no categories.
        checksum: SHA-256 over the questions' whole content, images included, in file order.
        too_many_images: questions left out because they hold more images than `questions.MAX_IMAGES`.
        skipped: questions left out because they were broken (`--skip-bad`).
        left_out: rows that are none of the questions (rotated copies, open questions), counted by their kind.
        stand_in: whether questions were made by a rule that stands in for the paper's own (see `Question.rule`).
        created: when the file was written, with time zone.
        version: version of this package that wrote it.
    """

    layout: Literal[1] = 1
    source: str = Field(pattern=f"^{SOURCE_NAME}$")
    ability: Ability
    task: str
    questions: int = Field(ge=1)
    images: int = Field(ge=0)
    image_bytes: int = Field(ge=0)
    categories: dict[str, int] = {}
    checksum: str = Field(pattern=r"^[0-9a-f]{64}$")
    origin: Origin
    too_many_images: int = Field(default=0, ge=0)
    skipped: tuple[Skipped, ...] = ()
    left_out: dict[str, int] = {}
    stand_in: bool = False
    created: datetime
    version: str

    def for_results(self) -> dict[str, Any]:
        """What a result says about the data it was measured on, as plain JSON values."""
        return {
            "source": self.source,
            "ability": self.ability,
            "task": self.task,
            "checksum": self.checksum,
            "questions": self.questions,
            "origin": self.origin.model_dump(),
            "stand_in": self.stand_in,
            "skipped": len(self.skipped),
            "too_many_images": self.too_many_images,
        }

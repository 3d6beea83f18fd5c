"""A stand-in for the benchmark's spatial source: true statements of Visual Spatial Reasoning against their opposites.

The paper's pictures were collected from the web and are not published apart from the release. Here the statement is one
that people have found true of a picture of COCO, and the distractor says the opposite relation.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources.benchmark_files import open_benchmark
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.sources.drafts import Builder, Draft, candidates
from radar_tasks.sources.own_table import split_statements
from radar_tasks.sources.pictures import MAX_FILE_BYTES, picture_bytes
from radar_tasks.sources.polite_client import PoliteClient
from radar_tasks.sources.record_files import Record
from radar_tasks.sources.source_reader import STAND_IN, Rejected

DATASET = "cambridgeltl/vsr_random"
SPLIT = "train"
COLUMNS = ("image", "image_link", "caption", "label", "relation")

_PAIRS = (
    ("at the left side of", "at the right side of"),
    ("left of", "right of"),
    ("above", "below"),
    ("over", "under"),
    ("on top of", "beneath"),
    ("in front of", "behind"),
    ("inside", "outside"),
    ("facing", "facing away from"),
    ("near", "far away from"),
    ("close to", "far from"),
)
# Only relations of which one excludes the other: what "touching" rules out is not one relation.
OPPOSITE_OF = {relation: other for pair in _PAIRS for relation, other in (pair, pair[::-1])}


class OppositeRelations:
    """`spatial` from a public data set, as a `source_reader.SourceReader`; its questions are marked as stand-ins.

    Args:
        client: fetches pictures that are not beside the data, and keeps them.
        location: a copy of the data set, a file or folder with its pictures beside it or in `images`; None for the Hub.
    """

    source = "spatial"
    kind: Literal["public"] = "public"

    def __init__(self, client: PoliteClient, location: str | None = None) -> None:
        self.location = location or DATASET
        self._client = client
        self._records = open_benchmark(self.location, split="" if location else SPLIT)
        if missing := [column for column in ("image", "caption", "label", "relation") if column not in self._columns()]:
            raise DataError(f"{self.location} has no column {', '.join(missing)}; it has {', '.join(self._columns())}")
        folder = Path(location) if location else Path()
        self._folder = folder if folder.is_dir() else folder.parent
        published = PUBLISHED[self.source]
        self._count = published.count
        self._builder = Builder(self.source, published.ability, published.task)

    def fingerprint(self) -> str:
        """Digest of the data set's own."""
        return hashlib.sha256(f"{self._records.fingerprint()} {_PAIRS} {self._count}".encode()).hexdigest()

    def __len__(self) -> int:
        return self._count

    def read(self) -> Iterator[Question | Rejected]:
        """The first questions in the data set's order, as many as the paper has; see `source_reader.SourceReader`."""
        made = 0
        for record in self._records.records(COLUMNS):
            if made == self._count:
                return
            if record.problems:
                yield Rejected("", record.where, record.problems)
                continue
            try:
                found = self._question(record)
            except ValueError as error:
                yield Rejected("", record.where, (str(error),))
                continue
            made += isinstance(found, Question)
            yield found

    def _columns(self) -> tuple[str, ...]:
        return self._records.columns

    def _question(self, record: Record) -> Question | Rejected:
        caption, relation, image = record.text("caption"), record.text("relation"), record.text("image")
        if record.text("label") != "1":
            return Rejected("", record.where, left_out="a statement that is false of its picture")
        places = [match.start() for match in re.finditer(rf"\b{re.escape(relation)}\b", caption)]
        if relation not in OPPOSITE_OF or len(places) != 1:
            return Rejected("", record.where, left_out="a relation that has no single opposite")
        place = places[0]
        opposite = caption[:place] + OPPOSITE_OF[relation] + caption[place + len(relation) :]
        prompt, statement, other = split_statements(caption, opposite)
        q_id = f"{Path(image).stem}--{record.number}"
        options, answer, problems = candidates(q_id, statement, [other])
        draft = Draft(
            q_id=q_id,
            file=record.where,
            text=(prompt,),
            pictures=(image,),
            options=options,
            answer=answer,
            category="",
            image_id=image,
            rule=f"{STAND_IN}the opposite relation in a statement of Visual Spatial Reasoning; picture: COCO, {image}",
            problems=problems,
        )
        return self._builder.build(draft, lambda name: self._picture(name, record))

    def _picture(self, name: str, record: Record) -> bytes:
        for folder in (self._folder, self._folder / "images"):
            if (folder / name).is_file():
                return picture_bytes(name, folder)
        if "image_link" not in record.values:
            raise DataError(f"image {self._folder / name} is missing")
        return self._client.file(record.text("image_link"), MAX_FILE_BYTES)

"""A user's own table as a source of questions, in the manner of the benchmark's Wiki and spatial sources."""

from __future__ import annotations

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radar_tasks.errors import DataError
from radar_tasks.questions import Ability, Question
from radar_tasks.sources.drafts import Builder, Draft, candidates
from radar_tasks.sources.pictures import MAX_FILE_BYTES
from radar_tasks.sources.source_reader import Rejected, stable_choice
from radar_tasks.sources.strict_json import JsonObject, parse_json

IDENTIFICATION = ("image", "title", "category")
RELATION = ("image", "statement", "opposite")
PROMPT = "The image shows"
"""The prompt of the Wiki sources; also of statements that have no beginning in common."""


@dataclass(frozen=True)
class _Row:
    """A line of the table: its number from 1 (the header not counted), and its texts by column."""

    number: int
    values: dict[str, str]


class TableSource:
    """A table of (image, title, category) or (image, statement, opposite), as a `source_reader.SourceReader`.

    Identification asks which of two titles of one category the image shows; the wrong one is chosen by a hash.
    A relation is split where statement and opposite part: what they begin with alike is the prompt.

    Args:
        name: of the source; its task is `radar_<name>`.
        table: a file `.csv`, `.tsv`, `.jsonl` or `.parquet`; images are paths relative to its folder.
        ability: None for `perception` with titles, `reasoning` with statements.

    Raises:
        DataError: the table cannot be read or lacks columns.
    """

    kind: Literal["table"] = "table"

    def __init__(self, name: str, table: Path, ability: Ability | None = None) -> None:
        self.source = name
        self.location = str(table)
        self._table = table
        if table.suffix.lower() not in _READERS:
            raise DataError(f"{table}: not a {', '.join(_READERS)} file")
        try:
            self._rows = [_Row(number, row) for number, row in enumerate(_READERS[table.suffix.lower()](table), 1)]
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{table} cannot be read: {error}") from error
        self._identifies = self._kind_of_table()
        self._titles = self._titles_by_category() if self._identifies else {}
        task = "Concept identification" if self._identifies else "Relation"
        self._builder = Builder(name, ability or ("perception" if self._identifies else "reasoning"), task)

    def fingerprint(self) -> str:
        """Digest of the table and of the sizes and dates of its images."""
        digest = hashlib.sha256(self._table.read_bytes())
        digest.update(f"{self._builder}".encode())
        for row in self._rows:
            image = self._table.parent / row.values["image"]
            if image.is_file():
                status = image.stat()
                digest.update(f"{image}\0{status.st_size} {status.st_mtime_ns}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self._rows)

    def read(self) -> Iterator[Question | Rejected]:
        """The questions in the table's order; see `source_reader.SourceReader`."""
        for row in self._rows:
            draft = self._identification(row) if self._identifies else self._relation(row)
            yield self._builder.build(draft, self._read_picture)

    def _kind_of_table(self) -> bool:
        if not self._rows:
            raise DataError(f"{self._table} has no rows")
        columns = set.intersection(*(set(row.values) for row in self._rows))
        for identifies, needed in ((True, IDENTIFICATION), (False, RELATION)):
            if columns.issuperset(needed):
                return identifies
        raise DataError(
            f"{self._table} has the columns {', '.join(sorted(columns)) or 'none that all rows share'}; needed are "
            f"{', '.join(IDENTIFICATION)} (identification) or {', '.join(RELATION)} (relation)"
        )

    def _titles_by_category(self) -> dict[str, list[str]]:
        titles = defaultdict(set)
        for row in self._rows:
            titles[row.values["category"]].add(row.values["title"])
        return {category: sorted(members) for category, members in titles.items()}

    def _identification(self, row: _Row) -> Draft:
        title, category = row.values["title"], row.values["category"]
        others = [other for other in self._titles[category] if other != title]
        if not others:
            problem = f"{title!r} is the only title of the category {category!r}: no distractor"
            return self._draft(row, PROMPT, title, [], category=category, problems=(problem,))
        other = others[stable_choice(str(row.number), "distractor", len(others))]
        rule = "another title of the same category, chosen by a hash of the q_id"
        return self._draft(row, PROMPT, title, [other], category=category, rule=rule)

    def _relation(self, row: _Row) -> Draft:
        prompt, statement, opposite = split_statements(row.values["statement"], row.values["opposite"])
        return self._draft(row, prompt, statement, [opposite], category="", rule="the opposite that the table gives")

    def _draft(
        self,
        row: _Row,
        text: str,
        answer: str,
        distractors: list[str],
        *,
        category: str,
        rule: str = "",
        problems: tuple[str, ...] = (),
    ) -> Draft:
        q_id, image = str(row.number), row.values["image"]
        options, place, more = candidates(q_id, answer, distractors)
        return Draft(
            q_id=q_id,
            file=f"{self._table.name}, row {row.number}",
            text=(text,),
            pictures=(image,),
            options=options,
            answer=place,
            category=category,
            image_id=image,
            rule=rule,
            problems=problems + more,
        )

    def _read_picture(self, name: str) -> bytes:
        path = self._table.parent / name
        if not name or not path.is_file():
            raise DataError(f"image {path} is missing")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"image {path} is larger than {MAX_FILE_BYTES:,} bytes")
        try:
            return path.read_bytes()
        except OSError as error:
            raise DataError(f"image {path} cannot be read: {error.strerror}") from error


def split_statements(statement: str, opposite: str) -> tuple[str, str, str]:
    """The words that both begin with, and the rest of each; without a common beginning, `PROMPT` and both whole.

    >>> split_statements("The cup is on the left side", "The cup is on the right side")
    ('The cup is on the', 'left side', 'right side')
    """
    words, others = statement.split(), opposite.split()
    # At least one word is left of each: an option cannot be empty.
    shortest = max(0, min(len(words), len(others)) - 1)
    common = next((k for k in range(shortest) if words[k] != others[k]), shortest)
    if common == 0:
        return PROMPT, " ".join(words), " ".join(others)
    return " ".join(words[:common]), " ".join(words[common:]), " ".join(others[common:])


def _delimited(delimiter: str) -> Any:
    def read(table: Path) -> Iterator[dict[str, str]]:
        with table.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file, delimiter=delimiter, restval=""):
                yield {name.strip(): value.strip() for name, value in row.items() if name is not None}

    return read


def _json_lines(table: Path) -> Iterator[dict[str, str]]:
    with table.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            row = parse_json(line, f"{table}, line {number}")
            if not isinstance(row, JsonObject):
                raise DataError(f"{table}, line {number}: an object is needed")
            yield {name: value.strip() for name, value in row.items() if isinstance(value, str)}


def _parquet(table: Path) -> Iterator[dict[str, str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        columns = set(pq.read_schema(table).names) & {*IDENTIFICATION, *RELATION}
        rows = pq.read_table(table, columns=sorted(columns)).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{table} cannot be read: {error}") from error
    for row in rows:
        yield {name: str(value).strip() for name, value in row.items() if isinstance(value, str | int | float)}


_READERS = {".csv": _delimited(","), ".tsv": _delimited("\t"), ".jsonl": _json_lines, ".parquet": _parquet}

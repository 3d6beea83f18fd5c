"""A user's own table as a source of questions, in the manner of the benchmark's Wiki and spatial sources."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from radar_tasks.errors import DataError
from radar_tasks.questions import Ability, Question
from radar_tasks.sources.distractors import spelling
from radar_tasks.sources.drafts import Builder, Draft, candidates
from radar_tasks.sources.pictures import is_path, picture_bytes, picture_key
from radar_tasks.sources.record_files import Record, open_records, shortened
from radar_tasks.sources.source_reader import Rejected, stable_choice

IDENTIFICATION = ("image", "title", "category")
RELATION = ("image", "statement", "opposite")
PROMPT = "The image shows"
"""The prompt of the Wiki sources; also of statements that have no beginning in common."""


class TableSource:
    """A table of (image, title, category) or (image, statement, opposite), as a `source_reader.SourceReader`.

    Identification asks which of two titles of one category the image shows; the wrong one is chosen by a hash.
    A relation is split where statement and opposite part: what they begin with alike is the prompt.

    The table is read twice: once for its titles, then question by question, so that memory does not grow with it.

    Args:
        name: of the source; its task is `radar_<name>`.
        table: a file that `record_files.open_records` takes; images as `pictures.picture_bytes` takes them, paths
            relative to the table's folder.
        ability: None for `perception` with titles, `reasoning` with statements.

    Raises:
        DataError: the table cannot be read or lacks columns.
    """

    kind: Literal["table"] = "table"

    def __init__(self, name: str, table: Path, ability: Ability | None = None) -> None:
        self.source = name
        self.location = str(table)
        self._table = table
        self._records = open_records(table)
        self._identifies = self._kind_of_table()
        task = "Concept identification" if self._identifies else "Relation"
        self._builder = Builder(name, ability or ("perception" if self._identifies else "reasoning"), task)
        self._titles: dict[str, list[str]] = {}
        self._fingerprint = ""
        self._count = 0
        self._look_through()

    def fingerprint(self) -> str:
        """Digest of the table and of the sizes and dates of its images, as they were when it was opened."""
        return self._fingerprint

    def __len__(self) -> int:
        return self._count

    def read(self) -> Iterator[Question | Rejected]:
        """The questions in the table's order; see `source_reader.SourceReader`."""
        for record in self._records.records(IDENTIFICATION if self._identifies else RELATION):
            try:
                if record.problems:
                    raise ValueError(*record.problems)
                draft = self._identification(record) if self._identifies else self._relation(record)
            except ValueError as error:
                yield Rejected("", record.where, record.told([str(problem) for problem in error.args]))
                continue
            found = self._builder.build(draft, partial(_picture, record.values.get("image"), self._table.parent))
            if isinstance(found, Rejected) and found.reasons:
                found = replace(found, reasons=record.told(found.reasons))
            yield found

    def _kind_of_table(self) -> bool:
        columns = self._records.columns
        for identifies, needed in ((True, IDENTIFICATION), (False, RELATION)):
            if set(needed) <= set(columns):
                return identifies
        hint = "" if len(columns) > 1 else " (is another delimiter used?)"
        if {"question", "answer"} <= set(columns):
            hint = f"; for questions with options of their own: radar data import {self.source} --from {self._table}"
        raise DataError(
            f"{self._table} has the columns {', '.join(columns)}; needed are "
            f"{', '.join(IDENTIFICATION)} (identification) or {', '.join(RELATION)} (relation){hint}"
        )

    def _look_through(self) -> None:
        """The first pass: what the rows of a category are called, how many there are, and which images they name.

        A row without a sound title gives none: it is told as one bad row, and not once more by each row that would
        have it for a wrong option.
        """
        with self._table.open("rb") as file:
            digest = hashlib.sha256()
            while chunk := file.read(2**20):
                digest.update(chunk)
        digest.update(f"{self._builder}".encode())
        titles: dict[str, set[str]] = defaultdict(set)
        for record in self._records.records(IDENTIFICATION if self._identifies else RELATION):
            self._count += 1
            image = record.values.get("image")
            if is_path(image):
                digest.update(_stamp(self._table.parent / image))
            if self._identifies and not record.problems:
                with contextlib.suppress(ValueError):
                    titles[record.text("category")].add(record.text("title"))
        if not self._count:
            raise DataError(f"{self._table} has no rows")
        self._titles = {category: sorted(members) for category, members in titles.items()}
        self._fingerprint = digest.hexdigest()

    def _identification(self, record: Record) -> Draft:
        title, category = _texts(record, "title", "category")
        others = [other for other in self._titles[category] if spelling(other) != spelling(title)]
        if not others:
            problem = f"{shortened(title)} is the only title of the category {shortened(category)}: no distractor"
            return self._draft(record, PROMPT, title, [], category=category, problems=(problem,))
        other = others[stable_choice(str(record.number), "distractor", len(others))]
        rule = "another title of the same category, chosen by a hash of the q_id"
        return self._draft(record, PROMPT, title, [other], category=category, rule=rule)

    def _relation(self, record: Record) -> Draft:
        whole, other = _texts(record, "statement", "opposite")
        problems: tuple[str, ...] = ()
        if whole != other and spelling(whole) == spelling(other):
            problems = (f"statement and opposite differ in case and blanks only: {shortened(whole)}",)
        prompt, statement, opposite = split_statements(whole, other)
        rule = "the opposite that the table gives"
        return self._draft(record, prompt, statement, [opposite], category="", rule=rule, problems=problems)

    def _draft(
        self,
        record: Record,
        text: str,
        answer: str,
        distractors: list[str],
        *,
        category: str,
        rule: str = "",
        problems: tuple[str, ...] = (),
    ) -> Draft:
        q_id, image = str(record.number), record.values.get("image", "")
        options, place, more = candidates(q_id, answer, distractors)
        return Draft(
            q_id=q_id,
            file=record.where,
            text=(text,),
            pictures=(picture_key(image),),
            options=options,
            answer=place,
            category=category,
            image_id=picture_key(image),
            rule=rule,
            problems=problems + more,
        )


def split_statements(statement: str, opposite: str) -> tuple[str, str, str]:
    """The words that both begin with, and the rest of each; without a common beginning, `PROMPT` and both whole.

    Prompt and option are joined with one blank, so the split is at a place where one blank stands: joined again, both
    are what they were, to the character.

    >>> split_statements("The cup is on the left side", "The cup is on the right side")
    ('The cup is on the', 'left side', 'right side')
    """
    split = 0
    for blank in _ONE_BLANK.finditer(statement):
        place = blank.start()
        if statement[: place + 1] != opposite[: place + 1] or opposite[place + 1 : place + 2] in ("", *_BLANKS):
            break
        split = place
    if not split:
        return PROMPT, statement, opposite
    return statement[:split], statement[split + 1 :], opposite[split + 1 :]


_BLANKS = (" ", "\t", "\n", "\r")
_ONE_BLANK = re.compile(r"(?<=\S) (?=\S)")


def _texts(record: Record, *columns: str) -> list[str]:
    """The texts of a row. Raises `ValueError` with a reason for every column that has none."""
    texts, problems = [], []
    for column in columns:
        try:
            texts.append(record.text(column))
        except ValueError as error:
            problems.append(str(error))
    if problems:
        raise ValueError(*problems)
    return texts


def _picture(value: Any, folder: Path, _name: str) -> bytes:
    return picture_bytes(value, folder)


def _stamp(image: Path) -> bytes:
    try:
        status = image.stat()
    except (OSError, ValueError):
        return b""
    return f"{image}\0{status.st_size} {status.st_mtime_ns}\n".encode(errors="surrogateescape")

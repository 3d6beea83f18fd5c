"""Any multiple-choice benchmark as a source: rows in whatever shape they come, questions out.

The options stay the benchmark's own, all of them and in its order. They are not shown in the prompt; each is scored as
the text that follows it. Where options are pictures, they stand in the prompt behind letters, which are scored.
"""

from __future__ import annotations

import hashlib
import io
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from radar_tasks.errors import DataError
from radar_tasks.questions import MAX_IMAGES, Ability, Question
from radar_tasks.sources.answer_conventions import IN_WORDS, AnswerColumn, AnswerConvention, answer_readings
from radar_tasks.sources.benchmark_columns import BenchmarkColumns, recognised_columns
from radar_tasks.sources.benchmark_files import open_benchmark
from radar_tasks.sources.drafts import Builder, Draft
from radar_tasks.sources.marks import marked_prompt, marks_pictures
from radar_tasks.sources.option_lists import (
    Option,
    is_picture,
    items_of_text,
    lettered_options,
    options_in_columns,
    options_in_list,
)
from radar_tasks.sources.pictures import is_path, picture_bytes
from radar_tasks.sources.record_files import Record, shortened
from radar_tasks.sources.source_reader import Rejected

ROTATED = 1_000_000
"""VLMEvalKit's index of a question's copies with rotated options is the question's own plus a multiple of this."""

_REFERENCE = 64
"""Characters up to which an image of VLMEvalKit is the index of the row that holds the picture."""

_NO_LETTERED = "an open question: no lettered options in its text"
_COLUMN = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class BenchmarkSettings:
    """What is said about a benchmark beside its rows; everything may be left to be recognised.

    Attributes:
        ability, task: of all its questions, see `Question`.
        columns: columns by role, see `benchmark_columns`.
        answer_as: how the answer is to be read; None to tell it from the column.
        options_in_question: take lettered options out of the question's text.
        options: the same options for all questions (yes and no); () where the rows have their own.
        answer: the option that is right in all rows; None where the rows say it.
        question: a text with columns in braces, `{caption} Is this true?`; "" for the question's column as it is.
        only: rows are taken where these columns hold these texts; the others are left out.
        needs_image: leave rows out that have no picture.
        images: where relative paths of pictures begin; None for the table's own folder.
    """

    ability: Ability = "perception"
    task: str = "Multiple choice"
    columns: Mapping[str, str] = field(default_factory=dict)
    answer_as: AnswerConvention | None = None
    options_in_question: bool = False
    options: tuple[str, ...] = ()
    answer: int | None = None
    question: str = ""
    only: Mapping[str, str] = field(default_factory=dict)
    needs_image: bool = False
    images: Path | None = None


class _NotAQuestionError(Exception):
    """A row that is none of the questions; the message says of which kind it is."""


class BenchmarkSource:
    """A benchmark as a `source_reader.SourceReader`.

    It is read twice: once without its pictures, to tell from the whole column how answers are given and which rows are
    copies of others; then question by question. Memory does not grow with it, but for the ids.

    Args:
        name: of the source; its task is `radar_<name>`.
        location: a file, a folder or a data set, see `benchmark_files.open_benchmark`.
        settings: see `BenchmarkSettings`.
        configs, split: see `benchmark_files.open_benchmark`.
        progress: called with the number of rows just looked at in the first pass.

    Raises:
        DataError: it cannot be read, its columns or its answers cannot be told apart.
    """

    kind: Literal["table", "public"]

    def __init__(
        self,
        name: str,
        location: str,
        settings: BenchmarkSettings,
        *,
        configs: Sequence[str] = (),
        split: str = "",
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self.source = name
        self._records = open_benchmark(location, configs, split)
        local = Path(location).expanduser()
        self.kind = "table" if local.exists() else "public"
        self.location = str(local.resolve()) if local.exists() else location
        self._settings = settings
        self._folder = settings.images or (local if local.is_dir() else local.parent)
        self._builder = Builder(name, settings.ability, settings.task)
        elsewhere = {
            "question": bool(settings.question),
            "options": bool(settings.options) or settings.options_in_question,
            "answer": settings.answer is not None,
        }
        roles = [role for role, fixed in elsewhere.items() if fixed]
        self._columns = self._told(lambda: recognised_columns(self._records.columns, settings.columns, roles))
        self._pictures = _SharedPictures()
        self._originals: dict[int, bytes] = {}
        self._marked = False
        self._count = 0
        self._progress = progress
        self._answer_as = self._told(self._look_through)

    def fingerprint(self) -> str:
        """Digest of the rows (of files: names, sizes and dates) and of what they are taken for."""
        taken_for = f"{self._builder}\0{self._settings}\0{self._columns}"
        return hashlib.sha256(f"{self._records.fingerprint()}\0{taken_for}".encode(errors="surrogatepass")).hexdigest()

    def __len__(self) -> int:
        return self._count

    def recognised(self) -> list[str]:
        """What the columns were taken for, one line each, for a user to look over."""
        columns, settings = self._columns, self._settings
        answer = f"option {settings.answer} in all rows" if settings.answer is not None else repr(columns.answer)
        options = ", ".join(map(repr, settings.options or columns.options)) or "in the question's text"
        images = (*columns.image, columns.image_path) if columns.image_path else columns.image
        lines = [
            f"question: {settings.question or repr(columns.question)}",
            f"options:  {options}",
            f"answer:   {answer}" + (f", read as {IN_WORDS[self._answer_as]}" if self._answer_as else ""),
            f"image:    {', '.join(map(repr, images)) or 'none'}",
        ]
        for role in ("hint", "id", "category", "group"):
            if name := getattr(columns, role):
                lines.append(f"{role + ':':9} {name!r}")
        if self._marked:
            lines.append("marks:    <image …> in a text stands for a picture (--map marks=none if it is text)")
        lines.append(f"ability:  {settings.ability}")
        return lines

    def read(self) -> Iterator[Question | Rejected]:
        """The questions in the benchmark's order; see `source_reader.SourceReader`."""
        seen: set[str] = set()
        for record in self._records.records():
            q_id = ""
            try:
                if record.problems:
                    raise ValueError(*record.problems)
                self._refuse_left_out(record)
                q_id = self._q_id(record)
                draft, pictures = self._draft(record, q_id)
            except _NotAQuestionError as why:
                yield Rejected(q_id, record.where, left_out=str(why))
                continue
            except ValueError as error:
                yield Rejected(q_id, record.where, record.told([str(problem) for problem in error.args]))
                continue
            if q_id in seen:
                yield Rejected(q_id, record.where, record.told([f"the id {q_id!r} comes more than once"]))
                continue
            seen.add(q_id)
            found = self._builder.build(draft, pictures.__getitem__)
            if isinstance(found, Rejected) and found.reasons:
                found = replace(found, reasons=record.told(found.reasons))
            yield found

    def _told(self, find: Callable[[], Any]) -> Any:
        """What `find` gives; an error of it names the file."""
        try:
            return find()
        except DataError as error:
            place = str(self._records.path)
            raise error if place in str(error) else DataError(f"{place}: {error}") from None

    def _look_through(self) -> AnswerConvention | None:
        """The first pass over the rows. Returns how answers are to be read; None where no column holds them."""
        columns = self._columns
        wanted = columns.text_columns | set(self._settings.only) | set(_COLUMN.findall(self._settings.question))
        short_images = self._records.pictures_are_text and bool(columns.image)
        answers = AnswerColumn(columns.answer, columns.lettered)
        references: set[str] = set()
        for record in self._records.records(wanted | set(columns.image) if short_images else wanted):
            self._count += 1
            if self._progress is not None:
                self._progress(1)
            if record.problems:
                continue
            if short_images and len(value := str(record.values.get(columns.image[0], ""))) <= _REFERENCE:
                references.add(value)
            try:
                self._refuse_other_rows(record)
                text, options = self._text_and_options(record)
            except (ValueError, _NotAQuestionError):
                continue
            self._marked = self._marked or (columns.marks and any(map(marks_pictures, (text, *options))))
            if columns.answer:
                answers.add(record.values.get(columns.answer), options, record.where)
            number = _index(record.values.get(columns.id)) if columns.id else None
            if number is not None and number < ROTATED:
                self._originals[number] = _same_question(text, options)
        if not self._count:
            raise DataError("there are no rows")
        if references - {""}:
            self._pictures.keep(self._records.records({columns.id, columns.image[0]}), columns, references)
        if not columns.answer:
            return None
        return self._settings.answer_as or answers.convention()

    def _refuse_left_out(self, record: Record) -> None:
        self._refuse_other_rows(record)
        number = _index(record.values.get(self._columns.id)) if self._columns.id else None
        if number is None or number < ROTATED:
            return
        text, options = self._text_and_options(record)
        if self._originals.get(number % ROTATED) == _same_question(text, options):
            raise _NotAQuestionError("a copy with rotated options, for circular evaluation")

    def _refuse_other_rows(self, record: Record) -> None:
        for column, value in self._settings.only.items():
            if column not in self._records.columns:
                raise DataError(f"there is no column {column!r}; there are {', '.join(self._records.columns)}")
            if str(record.values.get(column)) != value:
                raise _NotAQuestionError(f"{column} is not {value!r}")

    def _q_id(self, record: Record) -> str:
        return record.text(self._columns.id) if self._columns.id else str(record.number)

    def _text_and_options(self, record: Record) -> tuple[str, list[Option]]:
        columns, settings = self._columns, self._settings
        if settings.question:
            text = _COLUMN.sub(lambda match: record.text(match[1]), settings.question)
        else:
            if settings.options_in_question and not str(record.values.get(columns.question, "")).strip():
                raise _NotAQuestionError(_NO_LETTERED)
            text = record.text(columns.question)
        if settings.options:
            options: list[Option] = list(settings.options)
        elif settings.options_in_question:
            taken_out = lettered_options(text)
            if taken_out is None:
                raise _NotAQuestionError(_NO_LETTERED)
            text, options = taken_out[0], list(taken_out[1])
        elif len(columns.options) > 1:
            options = options_in_columns(record, columns.options)
        else:
            value = record.values.get(columns.options[0])
            if value is None or value in ([], (), "") or str(value).strip() == "[]":
                raise _NotAQuestionError("an open question: it has no options")
            options = options_in_list(value, columns.options[0])
        # VLMEvalKit's tables hold the text `nan` where there is no hint.
        if columns.hint and record.values.get(columns.hint) not in (None, "", "nan"):
            text = f"{record.text(columns.hint)}\n{text}"
        return text, options

    def _draft(self, record: Record, q_id: str) -> tuple[Draft, dict[str, bytes]]:
        columns = self._columns
        text, options = self._text_and_options(record)
        answer = self._answer(record, options)
        given = self._picture_values(record)
        if not given and self._settings.needs_image and not any(map(is_picture, options)):
            raise _NotAQuestionError("there is no image")
        prompt = marked_prompt(text, options, sorted(given), columns.marks)
        # Names are only for messages: of the row, or of the option that is a picture.
        named: dict[int | None, str] = {number: _picture_name(str(number), value) for number, value in given.items()}
        values: dict[str, Any] = {named[number]: value for number, value in given.items()}
        names = tuple(values)
        if prompt is not None:
            of_option = {
                k: _picture_name(f"of option {k}", option) for k, option in enumerate(options) if is_picture(option)
            }
            values |= {of_option[k]: options[k] for k in of_option}
            names = tuple(
                named[place.number] if place.option is None else of_option[place.option] for place in prompt.places
            )
        pictures, problems = {}, []
        for name in dict.fromkeys(names[: MAX_IMAGES + 1]):
            try:
                pictures[name] = picture_bytes(values[name], self._folder)
            except DataError as error:
                problems.append(str(error))
        if problems:
            raise ValueError(*problems)
        draft = Draft(
            q_id=q_id,
            file=record.where,
            text=(text,) if prompt is None else prompt.text,
            pictures=names,
            options=tuple(options) if prompt is None else prompt.options,
            answer=answer,
            category=_optional(record, columns.category),
            image_id=record.text(columns.group) if columns.group else _digest_of(pictures.values()) or q_id,
            rule=_optional(record, columns.rule),
        )
        return draft, pictures

    def _answer(self, record: Record, options: Sequence[Option]) -> int:
        if self._settings.answer is not None:
            return self._settings.answer
        if self._answer_as is None:
            raise ValueError("there is no column with the answer")
        value = record.values.get(self._columns.answer)
        if value is None or value == "":
            raise ValueError(f"column {self._columns.answer!r} is missing: the question has no answer")
        readings = answer_readings(value, options)
        if self._answer_as not in readings:
            raise ValueError(
                f"column {self._columns.answer!r} holds {shortened(value)}: not one of the {len(options)} options, "
                f"read as {IN_WORDS[self._answer_as]}"
            )
        return readings[self._answer_as]

    def _picture_values(self, record: Record) -> dict[int, Any]:
        """The pictures of a row by the numbers that marks call them by, from 1."""
        columns = self._columns
        numbered = len(columns.image) > 1
        found: dict[int, Any] = {}
        for place, column in enumerate(columns.image, 1):
            value = record.values.get(column)
            if value is None and columns.image_path and not numbered:
                value = record.values.get(columns.image_path)
            if isinstance(value, str):
                value = self._pictures.get(value)
                value = items_of_text(value) or value
            for item in value if isinstance(value, list | tuple) else [value]:
                if item is not None and item != "":
                    found[place if numbered else len(found) + 1] = item
        return found


class _SharedPictures:
    """Pictures that several rows of a VLMEvalKit table share: one row holds it, the others its index.

    They are kept in a temporary file, so that memory does not grow with the table.
    """

    def __init__(self) -> None:
        # Open for as long as the source is; it has no name, so nothing stays behind.
        self._file = tempfile.TemporaryFile("w+", encoding="ascii")  # noqa: SIM115
        self._places: dict[str, tuple[int, int]] = {}

    def keep(self, records: Iterable[Record], columns: BenchmarkColumns, references: Collection[str]) -> None:
        """Look for the rows that `references` name, and keep their pictures."""
        for record in records:
            name, image = str(record.values.get(columns.id, "")), record.values.get(columns.image[0])
            if name in references and isinstance(image, str) and len(image) > _REFERENCE and image.isascii():
                self._places[name] = (self._file.seek(0, io.SEEK_END), len(image))
                self._file.write(image)

    def get(self, value: str) -> str:
        """The picture that the value is the index of; the value itself where it is none."""
        if value not in self._places:
            return value
        place, size = self._places[value]
        self._file.seek(place)
        return self._file.read(size)


def _picture_name(what: str, value: Any) -> str:
    return f"{what} ({shortened(value)})" if is_path(value) else what


def _optional(record: Record, column: str) -> str:
    return record.text(column) if record.values.get(column) not in (None, "") else ""


def _index(value: Any) -> int | None:
    """The number that an id is, or None."""
    return int(value) if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()) else None


def _same_question(text: str, options: Sequence[Option]) -> bytes:
    """A digest that is equal for questions with one text and the same options in any order."""
    return hashlib.sha256("\0".join([text, *sorted(map(str, options))]).encode("utf-8", "surrogatepass")).digest()[:16]


def _digest_of(pictures: Iterable[bytes]) -> str:
    digests = b"".join(hashlib.sha256(picture).digest() for picture in pictures)
    return f"sha256:{hashlib.sha256(digests).hexdigest()[:16]}" if digests else ""

"""Tables from outside, row by row: CSV, TSV, JSON Lines, a JSON array, parquet.

A table is read to the character and without a guess: whatever is not exactly one value a field is told with file, row
(from 1, the header and blank lines not counted), line and column. What is wrong with the file as a whole is raised;
what is wrong with one row is a `Record` with `problems`, so that the others can be used all the same.
"""

from __future__ import annotations

import csv
import math
import re
from abc import ABC, abstractmethod
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from radar_tasks.errors import DataError
from radar_tasks.sources.strict_json import DECODER, JsonObject, parse_json

MAX_ROW = 512 * 2**20
"""Characters of a row; twelve pictures of the largest size taken would be more, and are not seen in one row."""

SHOWN = 80
"""Characters of a value that a message repeats: a picture in base64 has millions."""

_CHUNK = 2**20
_SPACE = re.compile(r"[ \t\r\n]*")
_PARQUET_ROWS = 8


@dataclass(frozen=True)
class Record:
    """A row of a table.

    Attributes:
        number: its place, from 1.
        where: file and row, for messages.
        values: by column; what is missing (an empty field, null, NaN) is not in it.
        line: where the row begins in a text file, from 1.
        problems: what makes the row unusable as a whole, in words.
    """

    number: int
    where: str
    values: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = None
    problems: tuple[str, ...] = ()

    def text(self, column: str) -> str:
        """The text in a column, to the character. Raises `ValueError` where there is not exactly one text.

        A whole number is the text that it is written as. A number with a fraction is refused: a table that was once
        read by pandas holds 1984.0 where the year 1984 stood, and nobody can tell the two apart any more.
        """
        place = f"column {column!r}" + (f" (line {self.line})" if self.line else "")
        value = self.values.get(column)
        if value is None:
            raise ValueError(f"{place} is missing")
        if isinstance(value, str) and not value.strip():
            raise ValueError(f"{place} is empty")
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, float):
            raise ValueError(f"{place} holds the number {value!r}; store the text as it is to be read")
        if not isinstance(value, str):
            raise ValueError(f"{place} holds {_kind_of(value)}, not one text")
        if problem := text_problem(value):
            raise ValueError(f"{place} {problem}")
        return str(value)

    def told(self, problems: Sequence[str]) -> tuple[str, ...]:
        """What is wrong with the row, in words, with the line it stands in; `where` says file and row."""
        first, *others = problems
        if self.line and f"line {self.line}" not in first:
            first += f" (line {self.line})"
        return (first, *others)


class RecordFile(ABC):
    """A table that can be read again and again, in memory that does not grow with it.

    Attributes:
        pictures_are_text: whether a picture can only be text: a path, base64, or VLMEvalKit's index of another row.

    Raises:
        DataError: the file cannot be read, or its header is not one name per column.
    """

    pictures_are_text = False

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Every name of a column; in JSON, every key that a row has."""

    @abstractmethod
    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """The rows in order. Only `columns` are needed, which saves reading others where the format allows it."""

    def fingerprint(self) -> str:
        """Changes when the file does: its name, size and date."""
        status = self.path.stat()
        return f"{self.path}\0{status.st_size} {status.st_mtime_ns}"

    def _where(self, number: int) -> str:
        return f"{self.path.name}, row {number}"


def open_records(path: Path) -> RecordFile:
    """The table in a file, by its ending. Raises `DataError` for another ending, or a file that cannot be read."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise DataError(f"{path}: not a {', '.join(_KINDS)} file")
    return kind(path)


def sound_records(file: RecordFile) -> list[Record]:
    """Every row of a table that is small and has to be whole.

    Raises:
        DataError: the file cannot be read, a row is broken, or there is none below the header.
    """
    rows = list(file.records())
    for row in rows:
        if row.problems:
            raise DataError(f"{file.path}, row {row.number}: {'; '.join(row.told(row.problems))}")
        for value in row.values.values():
            if isinstance(value, str) and (problem := text_problem(value)):
                raise DataError(f"{file.path}, row {row.number} (line {row.line}): a field {problem}")
    if not rows:
        raise DataError(f"{file.path} has no rows below its header")
    return rows


def shortened(text: object) -> str:
    """A value as a message repeats it: in quotes, and cut where it is long."""
    whole = str(text)
    return repr(whole) if len(whole) <= SHOWN else f"{whole[:SHOWN]!r}… ({len(whole):,} characters)"


def text_problem(text: str) -> str | None:
    """What keeps a text from being used, in words; None for a sound one."""
    if "\0" in text:
        return f"holds a null byte: {shortened(text)}"
    # `surrogateescape` puts bytes that are no UTF-8 into this range; JSON's escapes can put halves of pairs there.
    if any("\ud800" <= character <= "\udfff" for character in text):
        return f"is not UTF-8: {shortened(text.encode('utf-8', 'backslashreplace').decode())}"
    return None


class DelimitedFile(RecordFile):
    """CSV or TSV in UTF-8 with a header, fields quoted as RFC 4180 and pandas do it.

    Where it is `trimmed`, blanks around names and values mean nothing: people write such a table by hand.
    """

    pictures_are_text = True

    def __init__(self, path: Path, delimiter: str, *, trimmed: bool = False) -> None:
        super().__init__(path)
        self._delimiter = delimiter
        self._trimmed = trimmed
        # A limit of the process, of 131,072 characters: a picture in base64 is longer. It is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), MAX_ROW))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The names in the header."""
        with _text_file(self.path) as file:
            header = next(self._rows(file), None)
        if header is None:
            raise DataError(f"{self.path} has no rows, nor a header with the names of the columns")
        if isinstance(header.fields, str):
            raise DataError(f"{self.path}, header: {header.fields}")
        names = self._texts(header.fields)
        _refuse_repeated(self.path, names)
        if problems := [problem for name in names if (problem := text_problem(name))]:
            raise DataError(f"{self.path}, header: the name of a column {problems[0]}")
        return tuple(names)

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`. Empty fields are missing ones."""
        names = self.columns
        with _text_file(self.path) as file:
            rows = self._rows(file, names)
            next(rows)
            for number, row in enumerate(rows, 1):
                where = self._where(number)
                if isinstance(row.fields, str):
                    yield Record(number, where, line=row.line, problems=(row.fields,))
                elif len(row.fields) != len(names):
                    yield Record(number, where, line=row.line, problems=(self._wrong_count(row),))
                else:
                    values = {
                        name: value
                        for name, value in zip(names, self._texts(row.fields), strict=True)
                        if value and (columns is None or name in columns)
                    }
                    yield Record(number, where, values, row.line)

    def _texts(self, fields: list[str]) -> list[str]:
        return [field.strip() for field in fields] if self._trimmed else fields

    def _wrong_count(self, row: _Row) -> str:
        comma = "a comma" if self._delimiter == "," else "a tab"
        why = f"{comma} inside a text needs quotes" if len(row.fields) > len(self.columns) else "a field is missing"
        lines = f"line {row.line}" if row.last_line == row.line else f"lines {row.line} to {row.last_line}"
        return f"{len(row.fields)} fields, the header has {len(self.columns)} ({why}; {lines})"

    def _rows(self, file: IO[str], names: Sequence[str] = ()) -> Iterator[_Row]:
        """Rows of the file, blank lines left out.

        The csv module reads on behind an opening quote until the file ends. So lines are handed to it row by row: where
        a row cannot be read, its first line is told as broken and the lines behind it are read as rows of their own.
        """
        ahead: deque[str] = deque()
        line = 1
        while True:
            taken: list[str] = []
            lines = self._lines(file, ahead, taken)
            try:
                fields: list[str] | str = next(csv.reader(lines, delimiter=self._delimiter, strict=True))
            except StopIteration:
                return
            except csv.Error as error:
                fields = self._unreadable(taken, line, error, names)
                ahead.extendleft(reversed(taken[1:]))
                del taken[1:]
            if fields:
                yield _Row(fields, line, line + len(taken) - 1)
            line += len(taken)

    def _lines(self, file: IO[str], ahead: deque[str], taken: list[str]) -> Iterator[str]:
        while text := ahead.popleft() if ahead else file.readline(MAX_ROW + 1):
            if len(text) > MAX_ROW:
                raise DataError(f"{self.path}: a line of more than {MAX_ROW:,} characters")
            taken.append(text)
            yield text

    def _unreadable(self, taken: Sequence[str], line: int, error: csv.Error, names: Sequence[str]) -> str:
        if "unexpected end of data" not in str(error):
            return f"it cannot be read: {error} (line {line + len(taken) - 1})"
        fields = next(csv.reader(taken[:1], delimiter=self._delimiter))  # not strict: up to the end of the line
        column = f"column {names[len(fields) - 1]!r}" if len(fields) <= len(names) else f"field {len(fields)}"
        return f"{column}: a quote opens in line {line} and is never closed: {shortened(fields[-1])}"


@dataclass(frozen=True)
class _Row:
    """Fields of a row, or what is wrong with it; its first and last line."""

    fields: list[str] | str
    line: int
    last_line: int


class JsonLinesFile(RecordFile):
    """One JSON object a line; blank lines are left out."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every key that a row has, in order of appearance."""
        return _keys_of(self)

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`."""
        number = 0
        with _opened(self.path) as file:
            line_number = 0
            while line := file.readline(MAX_ROW + 1):
                line_number += 1
                if len(line) > MAX_ROW:
                    raise DataError(f"{self.path}: a line of more than {MAX_ROW:,} bytes")
                if not line.strip():
                    continue
                number += 1
                try:
                    value = parse_json(line, f"line {line_number}")
                except DataError as error:
                    yield Record(number, self._where(number), line=line_number, problems=(str(error),))
                else:
                    yield _of_object(number, self._where(number), value, line_number, columns)


class JsonFile(RecordFile):
    """A JSON array of objects, read object by object."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Every key that an object has, in order of appearance."""
        return _keys_of(self)

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`. What is no JSON ends the reading: behind it nothing can be told apart."""
        with _text_file(self.path) as file:
            for number, (value, line) in enumerate(_array_items(file, str(self.path)), 1):
                yield _of_object(number, self._where(number), value, line, columns)


class ParquetFile(RecordFile):
    """Parquet, a few rows at a time and only the columns that are needed."""

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns of the file's schema."""
        import pyarrow.parquet as pq

        with _parquet_errors(self.path):
            names = pq.read_schema(self.path).names
        _refuse_repeated(self.path, names)
        return tuple(names)

    def records(self, columns: Collection[str] | None = None) -> Iterator[Record]:
        """See `RecordFile.records`."""
        import pyarrow.parquet as pq

        wanted = [name for name in self.columns if columns is None or name in columns]
        number = 0
        # In pieces of a row group; whoever wrote it has decided how large a page is, and that is what lies in memory.
        with _parquet_errors(self.path), pq.ParquetFile(self.path, pre_buffer=False, buffer_size=_CHUNK) as file:
            # Without a column there would be no batch either, but the rows are there to be counted.
            for batch in file.iter_batches(_PARQUET_ROWS, columns=wanted or list(self.columns[:1])):
                for row in range(batch.num_rows):
                    number += 1
                    values, problems = _of_batch(batch, row, wanted)
                    yield Record(number, self._where(number), values, problems=problems)


_KINDS: dict[str, Callable[[Path], RecordFile]] = {
    ".csv": lambda path: DelimitedFile(path, ","),
    ".tsv": lambda path: DelimitedFile(path, "\t"),
    ".jsonl": JsonLinesFile,
    ".parquet": ParquetFile,
    ".json": JsonFile,
}


def _keys_of(file: RecordFile) -> tuple[str, ...]:
    """Every key that an object of the file has, in order of appearance."""
    names: dict[str, None] = {}
    first_problem = ""
    for record in file.records():
        names.update(dict.fromkeys(record.values))
        if record.problems and not first_problem:
            first_problem = f"{record.where}: {'; '.join(record.problems)}"
    if not names:
        raise DataError(first_problem or f"{file.path} has no rows")
    return tuple(names)


def _of_object(number: int, where: str, value: Any, line: int, columns: Collection[str] | None) -> Record:
    if not isinstance(value, JsonObject):
        return Record(number, where, line=line, problems=(f"line {line}: an object is needed, not {_kind_of(value)}",))
    if value.repeated:
        keys = ", ".join(map(shortened, value.repeated))
        return Record(number, where, line=line, problems=(f"line {line}: the key {keys} comes more than once",))
    values = {
        name: inner for name, inner in value.items() if inner is not None and (columns is None or name in columns)
    }
    return Record(number, where, values, line)


def _of_batch(batch: Any, row: int, columns: Sequence[str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    values, problems = {}, []
    for name in columns:
        try:
            value = batch.column(name)[row].as_py()
        except (ValueError, OverflowError) as error:  # text that is no UTF-8, a date out of range
            problems.append(f"column {name!r} cannot be read: {error}")
            continue
        if value is not None and not (isinstance(value, float) and math.isnan(value)):
            values[name] = value
    return values, tuple(problems)


def _array_items(file: IO[str], where: str) -> Iterator[tuple[Any, int]]:
    """The values of the JSON array in a file, each with the line it begins in."""
    text, place, ended = "", 0, False
    line, counted = 1, 0  # `line` is the one of `text[counted]`
    wanted = "["
    while True:
        space = _SPACE.match(text, place)
        place = space.end() if space else place
        if place == len(text) and not ended:
            line += text.count("\n", counted)
            text, place, counted = file.read(_CHUNK), 0, 0
            ended = not text
            continue
        line += text.count("\n", counted, place)
        counted = place
        sign = text[place : place + 1]
        if sign and sign in wanted:
            if sign == "]":
                return
            # An empty array may end at once; behind a comma a value must follow.
            wanted = "]" if sign == "[" else ""
            place += 1
            continue
        if wanted in ("[", ",]"):
            expected = "an array of objects: [{…}, {…}]" if wanted == "[" else "a comma or the end of the array"
            raise DataError(f"{where}, line {line}: {expected} is needed, not {shortened(text[place : place + 20])}")
        try:
            value, place = DECODER.raw_decode(text, place)
        except RecursionError:
            raise DataError(f"{where}, line {line}: JSON nested too deeply") from None
        except ValueError as error:
            if ended or len(text) - place > MAX_ROW:
                raise DataError(f"{where}, in the object that begins in line {line}: not JSON ({error})") from None
            # As much again as is there already, so that a long object is not tried too often.
            more = file.read(max(_CHUNK, len(text) - place))
            text, place, counted, ended = text[place:] + more, 0, 0, not more
            continue
        yield value, line
        wanted = ",]"


def _kind_of(value: Any) -> str:
    names = {bool: "true or false", bytes: "bytes", list: "a list", dict: "an object", JsonObject: "an object"}
    return names.get(type(value), f"a value of the type {type(value).__name__}")


def _refuse_repeated(path: Path, names: Sequence[str]) -> None:
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(f"{path}: the column {', '.join(map(shortened, repeated))} comes more than once")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file, open for reading. A pipe would be waited for, and a device never ends."""
    if path.exists() and not path.is_file():
        raise DataError(f"{path} cannot be read: it is not a regular file")
    try:
        with path.open("rb") as file:
            start = file.read(2)
            if start in (b"\xff\xfe", b"\xfe\xff"):
                raise DataError(f"{path} cannot be read: it is UTF-16; save it as UTF-8")
            file.seek(0)
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def _text_file(path: Path) -> Iterator[IO[str]]:
    """A text file with or without a byte order mark; bytes that are no UTF-8 are kept for `text_problem` to see."""
    with _opened(path):
        pass
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            yield file
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


@contextmanager
def _parquet_errors(path: Path) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read: {error}") from error

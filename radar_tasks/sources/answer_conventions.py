"""How a benchmark says which option is right: told from the whole column, never from one row.

A 1 can be the first option or the second, and an A the first option or one whose text is A. So every row is read in
every way that it can be read in, and a reading is taken only if it fits all rows and no other one that fits all rows
names other options.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from radar_tasks.errors import DataError
from radar_tasks.sources.option_lists import Option
from radar_tasks.sources.record_files import shortened

AnswerConvention = Literal["letter", "index0", "index1", "text"]
CONVENTIONS: tuple[AnswerConvention, ...] = get_args(AnswerConvention)
IN_WORDS: Mapping[AnswerConvention, str] = {
    "letter": "letters, A for the first option",
    "index0": "numbers, 0 for the first option",
    "index1": "numbers, 1 for the first option",
    "text": "the text of the option",
}

_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_NUMBER = re.compile(r"[0-9]{1,2}")


def answer_readings(value: Any, options: Sequence[Option]) -> dict[AnswerConvention, int]:
    """The place of the right option in every reading that the answer of a row allows; empty if it allows none."""
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool) or not isinstance(value, str | int):
        return {}
    text = str(value).strip()
    found: dict[AnswerConvention, int] = {}
    if letter := _LETTER.fullmatch(text):
        found["letter"] = ord(letter[1].upper()) - ord("A")
    if _NUMBER.fullmatch(text):
        found["index0"] = int(text)
        found["index1"] = int(text) - 1
    for same in (str.strip, lambda option: option.strip().casefold()):
        places = [k for k, option in enumerate(options) if isinstance(option, str) and same(option) == same(text)]
        if len(places) == 1:
            found["text"] = places[0]
            break
    return {convention: place for convention, place in found.items() if 0 <= place < len(options)}


class AnswerColumn:
    """The readings of a column, row by row; `convention` decides. Memory does not grow with the rows.

    Args:
        name: the column.
        lettered: the options stand in columns called A, B, ...: a letter is the name of one of them.
    """

    def __init__(self, name: str, lettered: bool) -> None:
        self._name = name
        self._lettered = lettered
        self._places = {convention: hashlib.sha256() for convention in CONVENTIONS}
        self._fits = dict.fromkeys(CONVENTIONS, 0)
        self._unlike: dict[AnswerConvention, str] = {}
        self.rows = 0

    def add(self, value: Any, options: Sequence[Option], where: str) -> None:
        """A row. One that no reading fits is a bad row, and says nothing about the others."""
        readings = answer_readings(value, options)
        if not readings:
            return
        self.rows += 1
        for convention in CONVENTIONS:
            if convention in readings:
                self._fits[convention] += 1
                self._places[convention].update(bytes([readings[convention]]))
            else:
                self._unlike.setdefault(convention, f"{where} holds {shortened(value)}")

    def convention(self) -> AnswerConvention:
        """The one reading of the column. Raises `DataError` if none fits all rows, or several that differ do."""
        if not self.rows:
            raise DataError(
                f"column {self._name!r}: no answer is an option's letter, number or text. Has this split got answers?"
            )
        fitting = [convention for convention in CONVENTIONS if self._fits[convention] == self.rows]
        if not fitting:
            found = [
                f"as {IN_WORDS[reading]}: {self._fits[reading]:,} of {self.rows:,} rows, but {self._unlike[reading]}"
                for reading in CONVENTIONS
                if self._fits[reading]
            ]
            raise DataError(
                f"column {self._name!r}: the answers cannot be read in one way ({'; '.join(found)}). "
                "Say which it is with --answer-as; rows that do not fit are then broken ones."
            )
        if self._lettered and "letter" in fitting:
            return "letter"
        if len({self._places[convention].digest() for convention in fitting}) > 1:
            raise DataError(
                f"column {self._name!r}: two readings fit all rows and name different options: "
                f"{' or '.join(f'{c} ({IN_WORDS[c]})' for c in fitting)}. Say which it is with --answer-as."
            )
        return fitting[0]

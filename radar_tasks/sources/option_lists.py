"""The options of a question in the shapes that benchmarks keep them in."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from radar_tasks.sources.record_files import Record, shortened, text_problem

Option = Any
"""A text, or a picture as `pictures.picture_bytes` takes it: bytes, or a mapping with `bytes` and `path`."""

MAX_LIST = 64 * 2**20
"""Characters of the text of a list."""


def options_in_columns(record: Record, columns: Sequence[str]) -> list[Option]:
    """One option a column; at the end some may be missing.

    Raises:
        ValueError: one is missing before another, or is neither a text nor a picture.
    """
    # VLMEvalKit's and lmms-lab's tables hold the text `nan` where an option is missing.
    there = [name in record.values and record.values[name] != "nan" for name in columns]
    count = sum(there)
    if there[:count] != [True] * count:
        raise ValueError(f"column {columns[there.index(False)]!r} is missing, and a later option is there")
    return [record.values[name] if is_picture(record.values[name]) else record.text(name) for name in columns[:count]]


def options_in_list(value: Any, column: str) -> list[Option]:
    """A list of options; or the text of one in Python or JSON; or a mapping of letters to options; or lettered text.

    Raises:
        ValueError: it is none of these, or an option is neither a text nor a picture.
    """
    if isinstance(value, str):
        items = items_of_text(value)
        if items is None:
            lettered = lettered_options(value)
            if lettered is None or lettered[0]:
                raise ValueError(f"column {column!r} is not a list of options: {shortened(value)}")
            items = lettered[1]
    elif isinstance(value, Mapping):
        items = _items_of_mapping(value, column)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        items = list(value)
    else:
        raise ValueError(f"column {column!r} is not a list of options: {shortened(value)}")
    return [_option(item, k, column) for k, item in enumerate(items)]


def items_of_text(text: str) -> list[Any] | None:
    """The items of a list that is written as text, `["a", "b"]` or `['a', 'b']`; None if it is not a list."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")) or len(text) > MAX_LIST:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        return found if isinstance(found, list) else None
    return None


def is_picture(value: Any) -> bool:
    """Whether an option is a picture and not a text."""
    return isinstance(value, bytes) or (isinstance(value, Mapping) and bool(value.get("bytes") or value.get("path")))


# A. x   A) x   (A) x   A: x   at the beginning, or behind a blank, a comma or a semicolon
_MARKER = re.compile(r"(?:^|(?<=[\s,;]))(?:\(([A-Za-z])\)|([A-Za-z])[.):])(?=\s|\S)")
_LABEL = re.compile(r"\s*\b(?:options?|choices?)\s*:?\s*$", re.I)


def lettered_options(text: str) -> tuple[str, list[str]] | None:
    """The question and the options of a text that ends with lettered options; None if it does not.

    The last A that a B follows begins the options, so a letter in the question's own words is none. Options that stand
    on lines of their own end with their line: behind the last, some benchmarks tell the model how to answer.

    >>> lettered_options("Which is it?\\nA. red\\nB. blue\\nPlease answer with the letter.")
    ('Which is it?', ['red', 'blue'])
    >>> lettered_options("Which is it? Options: A: red, B: blue")
    ('Which is it?', ['red', 'blue'])
    """
    markers = list(_MARKER.finditer(text))
    letters = [marker[1] or marker[2] for marker in markers]
    signs = [marker[0].replace(letter, "", 1) for marker, letter in zip(markers, letters, strict=True)]
    chain: list[int] = []
    for first in reversed([k for k, letter in enumerate(letters) if letter in "Aa"]):
        chain = [first]
        for k in range(first + 1, len(letters)):
            if letters[k] == chr(ord(letters[chain[-1]]) + 1) and signs[k] == signs[first]:
                chain.append(k)
        if len(chain) > 1:
            break
    if len(chain) < 2:
        return None
    starts = [markers[k] for k in chain]
    ends = [marker.start() for marker in starts[1:]] + [len(text)]
    options = [text[marker.end() : end].strip() for marker, end in zip(starts, ends, strict=True)]
    if all("\n" in text[: marker.start()][-1:] for marker in starts[1:]):
        options = [option.split("\n", 1)[0].rstrip() for option in options]
    if all(option.endswith((",", ";")) for option in options[:-1]):
        options = [option.rstrip(",;").rstrip() for option in options[:-1]] + options[-1:]
    return _LABEL.sub("", text[: starts[0].start()]).strip(), options


def _items_of_mapping(value: Mapping[str, Any], column: str) -> list[Any]:
    texts, labels = value.get("text"), value.get("label")
    if isinstance(texts, Sequence) and isinstance(labels, Sequence) and not isinstance(texts, str):
        return list(texts)
    names = sorted(value)
    if [name.upper() for name in names] == [chr(ord("A") + k) for k in range(len(names))]:
        return [value[name] for name in names if value[name] is not None]
    raise ValueError(f"column {column!r} has the keys {', '.join(map(repr, names))}, not A, B, C, … or text and label")


def _option(item: Any, place: int, column: str) -> Option:
    if is_picture(item):
        return item
    if isinstance(item, int) and not isinstance(item, bool):
        item = str(item)
    if not isinstance(item, str):
        raise ValueError(f"column {column!r}, option {place} is {shortened(item)}, not a text")
    if problem := text_problem(item):
        raise ValueError(f"column {column!r}, option {place} {problem}")
    return str(item)

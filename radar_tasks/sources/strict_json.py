"""JSON from outside, read so that nothing gets lost: repeated keys are seen, numbers keep the digits they came with."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from radar_tasks.errors import DataError


class JsonNumber(str):
    """A number as it stood in the file: `1.50` stays `1.50`."""

    __slots__ = ()


class JsonObject(dict[str, Any]):
    """An object and the keys that came more than once in it."""

    repeated: tuple[str, ...] = ()


def parse_json(data: bytes, where: str) -> Any:
    """The value in `data` (UTF-8). Raises `DataError` naming `where` for anything that is not JSON."""
    try:
        return DECODER.decode(data.decode("utf-8-sig"))
    except RecursionError:
        raise DataError(f"{where}: JSON nested too deeply") from None
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are among them
        raise DataError(f"{where}: not JSON as expected ({error})") from None


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    result = JsonObject(pairs)
    if len(result) < len(pairs):
        counts = Counter(key for key, _ in pairs)
        result.repeated = tuple(key for key, count in counts.items() if count > 1)
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number in JSON")


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=JsonNumber, parse_float=JsonNumber, parse_constant=_no_constant
)
"""Reads JSON as `parse_json` does; `raw_decode` also from the middle of a longer text."""

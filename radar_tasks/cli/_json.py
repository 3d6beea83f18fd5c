"""JSON of typed rows: the one place where `--json` and `--format json` are made."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def to_json(rows: DataclassInstance | list[Any]) -> str:
    """One dataclass, or a list of them, with the fields' names as keys.

    Raises:
        ValueError: a number is not finite, which JSON has no word for.
    """
    plain = [asdict(row) for row in rows] if isinstance(rows, list) else asdict(rows)
    return json.dumps(plain, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

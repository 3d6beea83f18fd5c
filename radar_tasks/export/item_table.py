"""An item bank as a parquet file: a row a question, for pandas or whatever chooses questions."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from radar_tasks.analysis.item_bank import BankItem
from radar_tasks.errors import RadarError
from radar_tasks.files import write_whole

_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "ability", "q_id")),
        *((name, pa.float64()) for name in ("mean", "spread", "discrimination", "text")),
        ("loading", pa.list_(pa.float64())),
    ]
)


def require_parquet(path: Path) -> None:
    """Raises `RadarError` for a name that does not end with .parquet."""
    if path.suffix.lower() != ".parquet":
        raise RadarError(f"{path}: an item bank is a parquet file, and its name ends with .parquet.")


def write_item_table(items: Sequence[BankItem], path: Path) -> None:
    """Writes the bank, whole or not at all; columns are the fields of `BankItem`.

    Raises:
        RadarError: another ending, or the file cannot be written.
    """
    require_parquet(path)
    into = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(item) for item in items], schema=_SCHEMA), into)
    write_whole(path, into.getvalue())

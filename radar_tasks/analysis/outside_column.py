"""A column from outside, such as accuracy after fine-tuning, beside the checkpoints it belongs to."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radar_tasks.errors import ResultsError
from radar_tasks.results import CheckpointResult


@dataclass(frozen=True)
class Outside:
    """Numbers of checkpoints from a CSV file.

    Attributes:
        columns: the names of its columns of numbers.
        values: by checkpoint (the results file), source ("" where the file has no column `source`) and column.
        unknown: checkpoints in the CSV file of which there are no results.
    """

    columns: tuple[str, ...]
    values: dict[tuple[Path, str, str], float]
    unknown: tuple[str, ...]

    def of(self, run: CheckpointResult, source: str, column: str) -> float | None:
        """The number of a checkpoint on a source; one without a source holds for all."""
        return self.values.get((run.file, source, column), self.values.get((run.file, "", column)))


def read_outside(file: Path, runs: Sequence[CheckpointResult]) -> Outside:
    """Reads a CSV file with a column `checkpoint`, perhaps one `source`, and one or more columns of numbers.

    A checkpoint is named as in the results (`step-00200`) or, where several training runs have one of that name, with
    the end of its folder (`exp1/step-00200`). An empty cell means that the number is not known.

    Raises:
        ResultsError: no such file or columns, a cell that is no finite number, a name that fits several checkpoints, a
            repeated row, or no checkpoint that there are results of; names file and line.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            header = list(reader.fieldnames or [])
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ResultsError(f"{file} cannot be read: {error}") from None
    columns = tuple(name for name in header if name not in ("checkpoint", "source"))
    if "checkpoint" not in header or not columns:
        raise ResultsError(
            f"{file}: a column `checkpoint` and one of numbers are needed, there are {', '.join(header)}."
        )
    values: dict[tuple[Path, str, str], float] = {}
    unknown: list[str] = []
    for number, row in enumerate(rows, 2):
        where = f"{file}, line {number}"
        run = _run_named(row["checkpoint"] or "", runs, where)
        if run is None:
            unknown.append(row["checkpoint"] or "")
            continue
        for column in columns:
            if (cell := (row[column] or "").strip()) == "":
                continue
            key = (run.file, (row.get("source") or "").strip(), column)
            if key in values:
                raise ResultsError(f"{where}: {row['checkpoint']!r} was there before.")
            values[key] = _number(cell, f"{where}, column {column}")
    if not values:
        named = ", ".join(sorted(set(unknown))) or "it is empty"
        raise ResultsError(
            f"{file} names no checkpoint that there are results of: {named}. "
            f"There are {', '.join(sorted({run.name for run in runs}))}."
        )
    return Outside(columns, values, tuple(dict.fromkeys(unknown)))


def _run_named(name: str, runs: Sequence[CheckpointResult], where: str) -> CheckpointResult | None:
    wanted = name.strip().strip("/").split("/")
    fitting = [run for run in runs if [*run.path.split("/"), run.name][-len(wanted) :] == wanted]
    if len(fitting) > 1:
        paths = ", ".join(f"{run.path}/{run.name}" for run in fitting)
        raise ResultsError(f"{where}: {name!r} fits several checkpoints ({paths}); write more of its path.")
    return fitting[0] if fitting else None


def _number(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise ResultsError(f"{where}: {cell!r} is not a number.") from None
    if not math.isfinite(value):
        raise ResultsError(f"{where}: {cell!r} is not a finite number.")
    return value

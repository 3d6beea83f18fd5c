"""A column from outside, such as accuracy after fine-tuning, beside the checkpoints it belongs to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from radar_tasks.errors import DataError, ResultsError
from radar_tasks.results import CheckpointResult
from radar_tasks.sources.record_files import DelimitedFile, sound_records


@dataclass(frozen=True)
class Outside:
    """Numbers of checkpoints from a CSV file.

    Attributes:
        columns: the names of its columns of numbers.
        values: by checkpoint (the results file), source ("" where the file has no column `source`) and column.
        unknown: checkpoints and sources in the CSV file of which there are no results.
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
        ResultsError: no such file or columns, a broken row, a cell that is not a finite number, a name that fits
            several checkpoints, a repeated row, or no checkpoint and source with results; names file and line.
    """
    try:
        table = DelimitedFile(file, ",", trimmed=True)
        columns = tuple(name for name in table.columns if name not in ("checkpoint", "source"))
        if "checkpoint" not in table.columns or not columns:
            raise ResultsError(
                f"{file}: a column `checkpoint` and one of numbers are needed, there are {', '.join(table.columns)}."
            )
        rows = sound_records(table)
    except DataError as error:
        raise ResultsError(f"{error}; a column `checkpoint` and one of numbers are needed.") from None
    sources = {source for run in runs for source in run.sources}
    values: dict[tuple[Path, str, str], float] = {}
    unknown: list[str] = []
    for row in rows:
        where = f"{file}, line {row.line}"
        source = row.values.get("source", "")
        name = row.values.get("checkpoint", "")
        run = _run_named(name, runs, where)
        if run is None or (source and source not in sources):
            unknown.append(name if run is None else source)
            continue
        for column in columns:
            if not (cell := row.values.get(column, "")):
                continue
            key = (run.file, source, column)
            if key in values:
                raise ResultsError(f"{where}: {name!r} comes twice.")
            values[key] = _number(cell, f"{where}, column {column}")
    if not values:
        named = ", ".join(sorted(set(unknown))) or "it is empty"
        raise ResultsError(
            f"{file} names no checkpoint for which there are results: {named}. "
            f"There are {', '.join(sorted({run.name for run in runs}))}, on {', '.join(sorted(sources))}."
        )
    return Outside(columns, values, tuple(dict.fromkeys(unknown)))


def _run_named(name: str, runs: Sequence[CheckpointResult], where: str) -> CheckpointResult | None:
    wanted = name.strip().strip("/").split("/")
    fitting = [run for run in runs if run.place.split("/")[-len(wanted) :] == wanted]
    if len(fitting) > 1:
        paths = ", ".join(run.place for run in fitting)
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

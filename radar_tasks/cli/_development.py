"""What commands over training runs share: descriptions of runs, and from results to the tables of development."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from radar_tasks.cli._runs import runs_of

if TYPE_CHECKING:
    from radar_tasks.analysis.development.tables import Development
    from radar_tasks.analysis.run_descriptions import RunDescription
    from radar_tasks.results import CheckpointResult


@dataclass(frozen=True)
class Developed:
    """The tables, the results that they were made from, and what the file of descriptions says of these."""

    tables: Development
    results: list[CheckpointResult]
    descriptions: list[RunDescription]


def develop(
    results: Sequence[str],
    descriptions: Path | None,
    metric: str,
    parting: int | None,
    seed: int,
    onsets: Path | None = None,
) -> Developed:
    """Reads results and makes all tables. Raises as the functions that it calls."""
    import numpy as np

    from radar_tasks.analysis.development.curves import training_curves
    from radar_tasks.analysis.development.onsets import read_onsets
    from radar_tasks.analysis.development.tables import development
    from radar_tasks.results.metrics import require_mean_over_questions

    require_mean_over_questions(metric)  # before a hundred checkpoints are read
    runs, rows = described(runs_of(results), descriptions)
    rng = np.random.default_rng(seed)
    trainings, notes = training_curves(runs, rng, metric)
    planted = read_onsets(onsets, {t.name: t.sources for t in trainings}) if onsets is not None else None
    tables = development(trainings, runs, rng, descriptions=rows, parting=parting, onsets=planted, notes=notes)
    return Developed(tables, runs, rows)


def described(
    results: Sequence[CheckpointResult], file: Path | None
) -> tuple[list[CheckpointResult], list[RunDescription]]:
    """Results with the steps and experiments of `--runs`, and the rows of that file.

    Whatever rows are about of which there are no results is told on stderr: it may be misspelt.
    """
    from radar_tasks.analysis.run_descriptions import read_descriptions, runs_without_results, with_descriptions

    rows = read_descriptions(file) if file is not None else []
    found = with_descriptions(results, rows)
    if absent := runs_without_results(found, rows):
        more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
        print(f"{file}: no results here of {', '.join(absent[:5])}{more}", file=sys.stderr)
    return found, rows

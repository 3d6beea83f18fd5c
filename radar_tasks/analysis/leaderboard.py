"""The paper's two tables, with a user's runs among the published models.

Both columns of a source are those of the paper: answer-ranking accuracy and SDS, by raw logits. `sds` is never put into
them: it is another number (see `radar_metrics.soft_discrimination`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radar_tasks.errors import ResultsError
from radar_tasks.published import published_models
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import metric_table
from radar_tasks.results.suites import Average, all_averages
from radar_tasks.sources.catalogue import PUBLISHED

ACCURACY, SDS_LOGIT = "acc_logit", "sds_logit"


@dataclass(frozen=True)
class Entry:
    """A row: one model in one table.

    Attributes:
        name: the model.
        published: whether the numbers are the paper's.
        cells: by column (a source or `average`) accuracy and SDS of raw logits; what is not known is absent.
        notes: what a reader must know of the numbers, in words.
    """

    name: str
    published: bool
    cells: dict[str, tuple[float, float]]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """One table: the models on the sources of one ability, best average SDS first, those without an average last.

    Attributes:
        title: `perception`, `reasoning`, or those of the embedded sample.
        columns: `average`, then the sources.
        entries: the rows.
    """

    title: str
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]


def leaderboard(runs: Sequence[CheckpointResult]) -> list[Board]:
    """The tables of every suite that the runs belong to; published models stand in those of M3-Bench.

    A run without raw logits, or with none of a table's sources, is not in that table.

    Raises:
        ResultsError: no run has raw logits on a source of a table; says of each run what it lacks.
    """
    sources = {source for run in runs for source in run.sources}
    boards = [_board(average, runs) for average in all_averages(sources)]
    boards = [board for board in boards if any(not entry.published for entry in board.entries)]
    if not boards:
        raise ResultsError(
            "no run has a place in these tables, which are by raw logits (sds_logit) on M3-Bench or its sample: "
            + "; ".join(_why_not(run) for run in runs)
        )
    return boards


def left_out(runs: Sequence[CheckpointResult], boards: Sequence[Board]) -> list[str]:
    """Runs that are in none of the tables, each with the reason."""
    names = {entry.name for board in boards for entry in board.entries if not entry.published}
    return [_why_not(run) for run in runs if run.label not in names]


def _board(average: Average, runs: Sequence[CheckpointResult]) -> Board:
    entries = [entry for run in runs if (entry := _of_run(run, average)) is not None]
    if set(average.sources) <= set(PUBLISHED):
        entries += _of_paper(average)
    entries.sort(key=lambda entry: -entry.cells["average"][1] if "average" in entry.cells else 1.0)
    return Board(average.name, ("average", *average.sources), tuple(entries))


def _of_run(run: CheckpointResult, average: Average) -> Entry | None:
    rows = {row.name: row.values for row in metric_table(run) if SDS_LOGIT in row.values}
    cells = {name: (rows[name][ACCURACY], rows[name][SDS_LOGIT]) for name in average.sources if name in rows}
    if not cells:
        return None
    if average.name in rows:
        cells["average"] = (rows[average.name][ACCURACY], rows[average.name][SDS_LOGIT])
    return Entry(run.label, False, cells, tuple(_notes(run, average)))


def _of_paper(average: Average) -> list[Entry]:
    entries = []
    for model in published_models().values():
        accuracy, sds = model.values[ACCURACY], model.values[SDS_LOGIT]
        cells = {source: (accuracy[source], sds[source]) for source in average.sources if source in sds}
        cells["average"] = (accuracy[average.name], sds[average.name])
        entries.append(Entry(model.name, True, cells))
    return entries


def _notes(run: CheckpointResult, average: Average) -> list[str]:
    notes = []
    if stand_in := [s for s in average.sources if run.data.get(s, {}).get("stand_in")]:
        notes.append(f"rebuilt data, whose distractors are not the paper's: {', '.join(stand_in)}")
    if (limit := run.config.get("limit")) not in (None, -1):
        notes.append(f"a part of the questions (limit {limit:g})")
    if missing := [s for s in average.sources if s not in run.sources]:
        notes.append(f"no average, missing: {', '.join(missing)}")
    return notes


def _why_not(run: CheckpointResult) -> str:
    has_logits = any(samples.logit is not None for samples in run.sources.values())
    return f"{run.label} (only {', '.join(run.sources)})" if has_logits else f"{run.label} (no raw logits)"

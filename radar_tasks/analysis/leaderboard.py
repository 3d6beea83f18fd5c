"""The paper's two tables, with a user's runs among the published models.

Both columns of a source are those of the paper: answer-ranking accuracy and SDS, by raw logits. `sds` is never put into
them: it is another number (see `radar_metrics.soft_discrimination`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from radar_tasks.analysis.chance_level import chance_level
from radar_tasks.errors import ResultsError
from radar_tasks.published import published_models
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import metric_table, per_question
from radar_tasks.results.origin import short_names
from radar_tasks.results.standard_errors import HALF_WIDTH, error_of_mean, standard_error
from radar_tasks.results.suites import Average, all_averages
from radar_tasks.run_arguments import limit_of
from radar_tasks.sources.catalogue import PUBLISHED

ACCURACY, SDS_LOGIT = "acc_logit", "sds_logit"


@dataclass(frozen=True)
class Cell:
    """A model on a source, or on the average: accuracy and SDS, both by raw logits, in [0, 1]."""

    acc_logit: float
    sds_logit: float


@dataclass(frozen=True)
class Entry:
    """A row: one model in one table.

    Attributes:
        name: the model.
        published: whether the numbers are the paper's.
        cells: by column (a source or `average`); what is not known is absent.
        notes: what a reader must know of the numbers, in words.
    """

    name: str
    published: bool
    cells: dict[str, Cell]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Board:
    """One table: the models on the sources of one ability, best average SDS first, those without an average last.

    Attributes:
        title: `perception`, `reasoning`, or those of the embedded sample.
        ability: perception or reasoning.
        columns: `average`, then the sources.
        entries: the rows.
    """

    title: str
    ability: Ability
    columns: tuple[str, ...]
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class AbilityAverage:
    """The average of an ability by raw logits, of a checkpoint or of a published model.

    Attributes:
        model: the checkpoint, or the published model.
        ability: perception or reasoning.
        value: SDS of raw logits, with `low` and `high`, the ends of its 95 % interval; None where it is published.
        published: whether the number is the paper's.
        chance: the value for a model that cannot tell the options apart, where known.
    """

    model: str
    ability: Ability
    value: float
    low: float | None
    high: float | None
    published: bool
    chance: float | None


def leaderboard(runs: Sequence[CheckpointResult]) -> list[Board]:
    """The tables of every suite that the runs belong to; published models stand in those of M3-Bench.

    A run without raw logits, or with none of a table's sources, is not in that table.

    Raises:
        ResultsError: no run has raw logits on a source of a table; says of each run what it lacks.
    """
    samples = [samples for run in runs for samples in run.sources.values()]
    boards = [_board(average, runs) for average in all_averages(samples)]
    boards = [board for board in boards if any(not entry.published for entry in board.entries)]
    if not boards:
        raise ResultsError(
            "no run has a place in these tables, which are by raw logits (sds_logit) on M3-Bench or its sample: "
            + "; ".join(_why_not(run) for run in runs)
        )
    return boards


def last_of_each(runs: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    """The last checkpoint of each training run that saw its images, called by its training run where names repeat."""
    last: dict[str, CheckpointResult] = {}
    for run in sorted(runs, key=lambda run: run.step or 0):
        if not run.withheld:
            last[run.experiment] = run
    names = [run.name for run in last.values()]
    short = short_names(list(last))
    return [
        replace(run, name=f"{short[run.experiment]}/{run.name}") if names.count(run.name) > 1 else run
        for run in last.values()
    ]


def ability_averages(runs: Sequence[CheckpointResult]) -> list[AbilityAverage]:
    """The averages of these tables with their intervals; none where no run has a complete ability with raw logits."""
    try:
        boards = leaderboard(runs)
    except ResultsError:
        return []
    by_label = {run.label: run for run in runs}
    averages = []
    for board in boards:
        if not any("average" in entry.cells and not entry.published for entry in board.entries):
            continue
        chance = _chance(board.columns, runs)
        for entry in board.entries:
            if "average" not in entry.cells:
                continue
            value = entry.cells["average"].sds_logit
            error = None
            if not entry.published:
                members = [by_label[entry.name].sources[source] for source in board.columns[1:]]
                error = error_of_mean([standard_error(part, per_question(part, SDS_LOGIT)) for part in members])
            half = None if error is None else HALF_WIDTH * error
            averages.append(
                AbilityAverage(
                    model=entry.name,
                    ability=board.ability,
                    value=value,
                    low=None if half is None else value - half,
                    high=None if half is None else value + half,
                    published=entry.published,
                    chance=chance,
                )
            )
    return averages


def _chance(sources: Sequence[str], runs: Sequence[CheckpointResult]) -> float | None:
    levels = {s: chance_level(run.sources[s], "sds") for run in runs for s in sources if s in run.sources}
    known = [level for level in levels.values() if level is not None]
    return round(float(np.mean(known)), 6) if known else None


def left_out(runs: Sequence[CheckpointResult], boards: Sequence[Board]) -> list[str]:
    """Runs that are in none of the tables, each with the reason."""
    names = {entry.name for board in boards for entry in board.entries if not entry.published}
    return [_why_not(run) for run in runs if run.label not in names]


def _board(average: Average, runs: Sequence[CheckpointResult]) -> Board:
    entries = [entry for run in runs if (entry := _of_run(run, average)) is not None]
    if set(average.sources) <= set(PUBLISHED):
        entries += _of_paper(average)
    entries.sort(key=lambda entry: -entry.cells["average"].sds_logit if "average" in entry.cells else 1.0)
    return Board(average.name, average.ability, ("average", *average.sources), tuple(entries))


def _of_run(run: CheckpointResult, average: Average) -> Entry | None:
    rows = {row.name: row.values for row in metric_table(run) if SDS_LOGIT in row.values}
    cells = {name: Cell(rows[name][ACCURACY], rows[name][SDS_LOGIT]) for name in average.sources if name in rows}
    if not cells:
        return None
    if average.name in rows:
        cells["average"] = Cell(rows[average.name][ACCURACY], rows[average.name][SDS_LOGIT])
    return Entry(run.label, False, cells, tuple(_notes(run, average)))


def _of_paper(average: Average) -> list[Entry]:
    entries = []
    for model in published_models().values():
        accuracy, sds = model.values[ACCURACY], model.values[SDS_LOGIT]
        cells = {source: Cell(accuracy[source], sds[source]) for source in average.sources if source in sds}
        cells["average"] = Cell(accuracy[average.name], sds[average.name])
        entries.append(Entry(model.name, True, cells))
    return entries


def _notes(run: CheckpointResult, average: Average) -> list[str]:
    notes = []
    if stand_in := [s for s in average.sources if run.data.get(s, {}).get("stand_in")]:
        notes.append(f"rebuilt data, whose distractors are not the paper's: {', '.join(stand_in)}")
    if (limit := limit_of(run.config)) is not None:
        notes.append(f"a part of the questions (limit {limit:g})")
    if missing := [s for s in average.sources if s not in run.sources]:
        notes.append(f"no average, missing: {', '.join(missing)}")
    return notes


def _why_not(run: CheckpointResult) -> str:
    has_logits = any(samples.logit is not None for samples in run.sources.values())
    return f"{run.label} (only {', '.join(run.sources)})" if has_logits else f"{run.label} (no raw logits)"

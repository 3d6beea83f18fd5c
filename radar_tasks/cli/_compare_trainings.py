"""How `radar compare` writes a comparison of whole trainings: verdict first, then sources, then the steps."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.markup import escape

from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.compare_trainings import compare_trainings, metrics_of_both, training_sides
from radar_tasks.analysis.training_amount import training_amount
from radar_tasks.cli._development import described
from radar_tasks.cli._tables import terminal_table
from radar_tasks.errors import ResultsError
from radar_tasks.report.text_tables import comma_separated, markdown
from radar_tasks.report.wording import amount_words, signed_interval, span_words, verdict_words
from radar_tasks.results.metrics import METRICS

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from radar_tasks.analysis.compare_trainings import MatchedPoint, TrainingComparison
    from radar_tasks.published import PublishedModel
    from radar_tasks.results import CheckpointResult

HEAD = ("source", "first", "second", "change at the end", "mean over training", "better beyond the band", "n")
"""Columns of the table of sources, as docs/comparing.md explains them."""


def sides_among(
    names: Sequence[str], sides: Sequence[list[CheckpointResult] | PublishedModel], against: str
) -> list[tuple[str, list[CheckpointResult]]]:
    """The sides of a comparison of trainings: those on both ends of the word `against`, or each name for itself.

    Raises:
        ResultsError: a row of the paper, which is not a training, or the word stands elsewhere than between two sides.
    """
    plain = [name for name in names if name != against]
    if published := [name for name, side in zip(plain, sides, strict=True) if not isinstance(side, list)]:
        raise ResultsError(f"{published[0]} is a row of the paper, not a training: it has no steps to compare.")
    found = [(name, side) for name, side in zip(plain, sides, strict=True) if isinstance(side, list)]
    if against not in names:
        return found
    at = names.index(against)
    halves = [found[:at], found[at:]]
    if names.count(against) > 1 or not all(halves):
        raise ResultsError(f"`{against}` stands once, between the runs of one side and those of the other.")
    # A folder and one inside it, named both, are no two seeds.
    return [
        (" ".join(name for name, _ in half), list({run.file: run for _, of in half for run in of}.values()))
        for half in halves
    ]


def compared_trainings(
    found: Sequence[tuple[str, list[CheckpointResult]]],
    metrics: Sequence[str],
    rng: np.random.Generator,
    *,
    x: str,
    descriptions: Path | None,
    allow_different: bool,
    resamples: int,
) -> list[TrainingComparison]:
    """Each side against the first, a comparison a metric. Raises as the functions that it calls."""
    every, rows = described([run for _, of in found for run in of], descriptions)
    each = iter(every)
    sides, notes = training_sides([(name, [next(each) for _ in of]) for name, of in found])
    for note in notes:
        print(note, file=sys.stderr)
    amount = training_amount(x, [result for side in sides for run in side.runs for result in run.results], rows)
    first = sides[0]
    made = []
    for second in sides[1:]:
        runs = [*first.runs, *second.runs]
        for metric in metrics or metrics_of_both(runs):
            made.append(
                compare_trainings(
                    first,
                    second,
                    rng,
                    metric=metric,
                    amount=amount,
                    allow_different=allow_different,
                    resamples=resamples,
                )
            )
    return made


def show_trainings(compared: Sequence[TrainingComparison], screen: Console) -> None:
    """Prints them, those of two sides (one a metric) together."""
    for made in compared:
        screen.print(f"\n[bold]{escape(_title(made))}[/bold]")
        screen.print(escape(verdict_words(made)))
        for note in made.notes:
            screen.print(f"  [yellow]note[/yellow] {escape(note)}")
        bold = [row.of_ability for row in made.rows]
        screen.print(_table(HEAD, _rows(made), bold))
        screen.print("Second minus first, with a band that holds all of them at 95%; * where it leaves 0")
        screen.print(_table(*_by_amount(made)))


def markdown_of_trainings(compared: Sequence[TrainingComparison]) -> str:
    """The same for a page or a pull request."""
    parts = []
    for made in compared:
        parts += [f"**{_title(made)}**\n\n{verdict_words(made)}\n\n", *(f"- {note}\n" for note in made.notes)]
        parts += ["\n" if made.notes else "", markdown(HEAD, _rows(made)), "\n", markdown(*_by_amount(made)), "\n"]
    return "".join(parts)


def csv_of_trainings(compared: Sequence[TrainingComparison]) -> str:
    """One line per metric, source or ability, and matched amount."""
    head = ["first", "second", "metric", "source", "ability", "is_average", "measured_by", "at"]
    head += ["first_value", "second_value", "change", "low", "high", "over_seeds", "questions"]
    rows = [
        [
            *(made.first, made.second, made.metric, row.name, row.ability, str(row.of_ability).lower()),
            *(made.measured_by, repr(point.at)),
            *map(repr, (point.first, point.second, point.value, point.low, point.high)),
            *(str(made.over_seeds).lower(), str(row.questions)),
        ]
        for made in compared
        for row in made.rows
        for point in row.points
    ]
    return comma_separated(head, rows)


def _title(made: TrainingComparison) -> str:
    better = "higher" if METRICS[made.metric].higher_is_better else "lower"
    count, first, last = len(made.amounts), amount_words(made.amounts[0]), amount_words(made.amounts[-1])
    where = f"{made.measured_by} {last}" if count == 1 else f"{count} matched {made.measured_by}s, {first} to {last}"
    return f"{made.second} minus {made.first}: {made.metric} ({better} is better), {where}"


def _rows(made: TrainingComparison) -> list[list[str]]:
    return [
        [
            row.name,
            f"{row.points[-1].first:.3f}",
            f"{row.points[-1].second:.3f}",
            signed_interval(row.last),
            signed_interval(row.mean),
            ", ".join(f"{stretch.better} {span_words(stretch)}" for stretch in row.stretches) or "–",
            f"{row.questions:,}",
        ]
        for row in made.rows
    ]


def _by_amount(made: TrainingComparison) -> tuple[list[str], list[list[str]]]:
    shown = [row for row in made.rows if row.of_ability] or list(made.rows[:1])
    head = [made.measured_by, *(row.name for row in shown)]
    rows = [[amount_words(at), *(_point(row.points[k]) for row in shown)] for k, at in enumerate(made.amounts)]
    return head, rows


def _point(point: MatchedPoint) -> str:
    beyond = "*" if point.low > 0 or point.high < 0 else " "
    return signed_interval(Interval(point.value, point.low, point.high)) + beyond


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], bold: Sequence[bool] = ()) -> Table:
    words = {"source", "better beyond the band"}
    return terminal_table(
        "",
        head,
        rows,
        words=words,
        bold=bold,
        overflow="fold",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )

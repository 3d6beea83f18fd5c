"""`radar compare`: is one run better than another, and by how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from radar_tasks.cli._json import to_json
from radar_tasks.cli._options import Descriptions, Seed, TrainingAxis, each_once
from radar_tasks.cli._runs import console, sides_of
from radar_tasks.cli._tables import Format

if TYPE_CHECKING:
    import numpy as np
    from rich.table import Table

    from radar_tasks.analysis.compare import Comparison, Difference
    from radar_tasks.analysis.compare_trainings import TrainingComparison
    from radar_tasks.published import PublishedModel
    from radar_tasks.results import CheckpointResult


AGAINST = "vs"
"""The word between two sides of several runs each; a folder of this name is written `./vs`."""


def command(
    results: Annotated[
        list[str],
        typer.Argument(
            help="Results folders or packed files, or published:NAME; the first is the baseline. Whole trainings are "
            "compared step by step; several seeds per side are given as A1 A2 vs B1 B2."
        ),
    ],
    *,
    metric: Annotated[
        list[str] | None,
        typer.Option(callback=each_once, help="A metric to compare (default: sds and acc); may be repeated."),
    ] = None,
    allow_different: Annotated[
        bool,
        typer.Option(
            "--allow-different", help="Compare in spite of different data, prompts or limits, on shared questions."
        ),
    ] = False,
    format: Annotated[Format, typer.Option(help="Output format of the comparisons.")] = Format.terminal,  # noqa: A002
    resamples: Annotated[int, typer.Option(min=100, help="Number of bootstrap resamples and permutations.")] = 10_000,
    seed: Seed = 0,
    descriptions: Descriptions = None,
    x: TrainingAxis = "step",
) -> None:
    """Compare runs question by question: difference, 95% interval, p-value, and the smallest detectable difference.

    For whole trainings: where one is better, by how much, and since when.
    """
    import numpy as np

    from radar_tasks.analysis.compare_trainings import holds_training
    from radar_tasks.errors import RadarError

    rng = np.random.default_rng(seed)
    sides = sides_of([name for name in results if name != AGAINST])
    if AGAINST in results or (
        len(sides) > 1 and all(isinstance(side, list) and holds_training(side) for side in sides)
    ):
        from radar_tasks.cli._compare_trainings import compared_trainings, sides_among

        found = sides_among(results, sides, AGAINST)
        made = compared_trainings(
            found,
            metric or (),
            rng,
            x=x,
            descriptions=descriptions,
            allow_different=allow_different,
            resamples=resamples,
        )
        _write_trainings(made, format)
    else:
        if descriptions is not None or x != "step":
            raise RadarError("--runs and --x say where whole trainings are matched; these are single checkpoints.")
        compared = _of_checkpoints(sides, metric or (), rng, allow_different=allow_different, resamples=resamples)
        _write(compared, format)


def _write_trainings(compared: list[TrainingComparison], format: Format) -> None:  # noqa: A002
    from radar_tasks.cli._compare_trainings import csv_of_trainings, markdown_of_trainings, show_trainings

    if format is Format.json:
        print(to_json(list(compared)), end="")
    elif format is Format.csv:
        print(csv_of_trainings(compared), end="")
    elif format is Format.markdown:
        print(markdown_of_trainings(compared), end="")
    else:
        show_trainings(compared, console())


def _of_checkpoints(
    sides: Sequence[list[CheckpointResult] | PublishedModel],
    metrics: Sequence[str],
    rng: np.random.Generator,
    *,
    allow_different: bool,
    resamples: int,
) -> list[Comparison]:
    from radar_tasks.analysis.compare import compare
    from radar_tasks.analysis.compare_published import compare_published
    from radar_tasks.errors import ResultsError
    from radar_tasks.results import CheckpointResult

    flat = [run for side in sides for run in (side if isinstance(side, list) else [side])]
    if len(flat) < 2:
        raise ResultsError(f"one run only ({flat[0].label}): a comparison needs two.")
    first, compared = flat[0], []
    for second in flat[1:]:
        if isinstance(first, CheckpointResult) and isinstance(second, CheckpointResult):
            compared.append(
                compare(first, second, rng, metrics=metrics, allow_different=allow_different, resamples=resamples)
            )
        else:
            compared.append(compare_published(first, second, metrics))
    return compared


def _write(compared: list[Comparison], format: Format) -> None:  # noqa: A002
    if format is Format.json:
        print(to_json(compared), end="")
    elif format is Format.csv:
        print(_csv(compared), end="")
    elif format is Format.markdown:
        print("\n".join(_markdown(compared)), end="")
    else:
        screen = console()
        if len(compared) > 1:
            screen.print(overview(compared))
        for made in compared:
            show(made, screen)


def overview(compared: Sequence[Comparison]) -> Table:
    """One line per run, metric and ability (a source, where there is no average), to see many runs at once."""
    table = _table(f"{len(compared)} runs minus {_plain(compared[0].first)}")
    for column in ("run", "metric", "on"):
        table.add_column(column, overflow="fold")
    for column in ("change", "95% interval", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    for made in compared:
        for k, row in enumerate(_headline(made)):
            name = made.second if k == 0 else ""
            change = f"{row.difference:+.4f}"
            table.add_row(_plain(name), row.metric, _plain(row.name), change, _interval(row), _probability(row.p_value))
        table.add_section()
    return table


def _headline(made: Comparison) -> list[Difference]:
    averages = [row for row in made.rows if row.is_average]
    return averages or list(made.rows)


def show(made: Comparison, screen: Console) -> None:
    """Print one comparison: what differs, then a table per metric."""
    if made.visual_gain:
        screen.print(
            f"\n[bold]Visual gain[/bold]: what the picture added, {_plain(made.second)} minus {_plain(made.first)}"
        )
    else:
        screen.print(f"\n[bold]{_plain(made.second)} minus {_plain(made.first)}[/bold]")
    for setting in made.different:
        screen.print(f"  [yellow]differs[/yellow]  {_plain(str(setting))}")
    for setting in made.noted:
        screen.print(f"  also differs: {_plain(str(setting))}")
    for source, (first, second) in (made.unmatched or {}).items():
        screen.print(
            f"  [yellow]left out[/yellow] of {source}: {first} questions only in the first, {second} only in the second"
        )
    if made.alone:
        screen.print(f"  [yellow]left out[/yellow]: {_plain(', '.join(made.alone))}")
    for metric in dict.fromkeys(row.metric for row in made.rows):
        _show_metric(metric, [row for row in made.rows if row.metric == metric], screen)


def _show_metric(metric: str, rows: list[Difference], screen: Console) -> None:
    table = _table(_title(metric))
    table.add_column("source", overflow="fold")
    for column in HEAD:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        cells = map(_plain, [row.name, *_cells(row)])
        table.add_row(*cells, style="bold" if row.is_average else None, end_section=row is _last_source(rows))
    screen.print(table)
    for note in _notes(rows):
        screen.print(f"  {_plain(note)}")


def _table(title: str) -> Table:
    """Narrow enough for a terminal of 80 columns."""
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)


def _title(metric: str) -> str:
    from radar_tasks.results.metrics import METRICS

    return f"{metric} ({'higher' if METRICS[metric].higher_is_better else 'lower'} is better)"


HEAD = ("first", "second", "change", "95% interval", "p", "Holm", "shows", "n")
"""Columns of a comparison after the source, as docs/comparing.md explains them."""


def _cells(row: Difference) -> list[str]:
    return [
        f"{row.first:.4f}",
        f"{row.second:.4f}",
        f"{row.difference:+.4f}",
        _interval(row),
        _probability(row.p_value),
        _probability(row.p_holm),
        f"{row.detectable:.3f}" if row.detectable is not None else "–",
        str(row.questions or "–"),
    ]


def _interval(row: Difference) -> str:
    return f"[{row.interval.low:+.3f}, {row.interval.high:+.3f}]" if row.interval else "–"


def _notes(rows: Sequence[Difference]) -> list[str]:
    return list(dict.fromkeys(f"{row.name}: {row.note}" if row.questions else row.note for row in rows if row.note))


def _said(made: Comparison) -> list[str]:
    """What a reader must know of a comparison, for formats without colours."""
    said = [f"differs: {setting}" for setting in made.different]
    said += [f"also differs: {setting}" for setting in made.noted]
    said += [
        f"left out of {source}: {first} questions only in the first, {second} only in the second"
        for source, (first, second) in (made.unmatched or {}).items()
    ]
    return said + ([f"left out: {', '.join(made.alone)}"] if made.alone else [])


def _markdown(compared: Sequence[Comparison]) -> list[str]:
    from radar_tasks.report.text_tables import markdown

    parts = []
    if len(compared) > 1:
        rows = [
            [made.second, row.metric, row.name, f"{row.difference:+.4f}", _interval(row), _probability(row.p_value)]
            for made in compared
            for row in _headline(made)
        ]
        title = f"**{len(compared)} runs minus {compared[0].first}**"
        parts.append(f"{title}\n\n{markdown(['run', 'metric', 'on', 'change', '95% interval', 'p'], rows)}")
    for made in compared:
        kind = "Visual gain: " if made.visual_gain else ""
        parts.append(f"**{kind}{made.second} minus {made.first}**\n")
        parts += [f"- {line}" for line in _said(made)]
        for metric in dict.fromkeys(row.metric for row in made.rows):
            of = [row for row in made.rows if row.metric == metric]
            parts.append(f"{_title(metric)}\n\n{markdown(['source', *HEAD], [[row.name, *_cells(row)] for row in of])}")
            parts += [f"- {note}" for note in _notes(of)]
    return parts


def _csv(compared: Sequence[Comparison]) -> str:
    """One line per comparison, metric and source or average."""
    from radar_tasks.report.text_tables import comma_separated

    head = ["first", "second", "metric", "source", "ability", "is_average", "first_value", "second_value", "change"]
    head += ["low", "high", "p", "p_holm", "detectable", "questions", "note"]
    rows = [
        [
            *(made.first, made.second, row.metric, row.name, row.ability, str(row.is_average).lower()),
            *(repr(row.first), repr(row.second), repr(row.difference)),
            *(map(repr, (row.interval.low, row.interval.high)) if row.interval else ("", "")),
            *("" if number is None else repr(number) for number in (row.p_value, row.p_holm, row.detectable)),
            *(str(row.questions), row.note),
        ]
        for made in compared
        for row in made.rows
    ]
    return comma_separated(head, rows)


def _last_source(rows: list[Difference]) -> Difference | None:
    sources = [row for row in rows if not row.is_average]
    return sources[-1] if sources else None


def _probability(p: float | None) -> str:
    if p is None:
        return "–"
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}"


def _plain(text: str) -> str:
    """Text from data: its square brackets are no markup."""
    from rich.markup import escape

    return escape(text)

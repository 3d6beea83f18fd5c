"""`radar compare`: is one run better than another, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from radar_tasks.cli._runs import console, runs_or_published

if TYPE_CHECKING:
    from radar_tasks.analysis.compare import Comparison, Difference


def command(
    runs: Annotated[
        list[str], typer.Argument(help="Results folders or files, or published:NAME; the first is the baseline.")
    ],
    *,
    metric: Annotated[
        list[str] | None, typer.Option(help="A metric to compare, sds and acc by default; may be repeated.")
    ] = None,
    allow_different: Annotated[
        bool,
        typer.Option("--allow-different", help="Compare other data, prompts or limits, on the questions both have."),
    ] = False,
    resamples: Annotated[int, typer.Option(min=100, help="Bootstrap resamples and permutations.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
) -> None:
    """Pair runs by question: difference, 95% interval, p-value, and the smallest difference that would show."""
    import numpy as np

    from radar_tasks.analysis.compare import compare
    from radar_tasks.analysis.compare_published import compare_published
    from radar_tasks.errors import ResultsError
    from radar_tasks.results import CheckpointResult

    sides = runs_or_published(runs)
    if len(sides) < 2:
        raise ResultsError(f"one run only ({sides[0].label}): a comparison needs two.")
    screen = console()
    rng = np.random.default_rng(seed)
    first = sides[0]
    for second in sides[1:]:
        if isinstance(first, CheckpointResult) and isinstance(second, CheckpointResult):
            made = compare(
                first, second, rng, metrics=metric or (), allow_different=allow_different, resamples=resamples
            )
        else:
            made = compare_published(first, second, metric or ())
        show(made, screen)


def show(made: Comparison, screen: Console) -> None:
    """Print one comparison: what differs, then a table a metric."""
    if made.visual_gain:
        screen.print(
            f"\n[bold]Visual gain[/bold]: what looking added, {_plain(made.second)} minus {_plain(made.first)}"
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
    from rich.table import Table

    from radar_tasks.results.metrics import METRICS

    better = "higher" if METRICS[metric].higher_is_better else "lower"
    table = Table(title=f"{metric} ({better} is better)", title_justify="left")
    table.add_column("source")
    for column in ("first", "second", "difference", "95% interval", "p", "p (Holm)", "could show", "questions"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(*_cells(row), style="bold" if row.is_average else None, end_section=row is _last_source(rows))
    screen.print(table)
    for note in dict.fromkeys(f"{row.name}: {row.note}" if row.questions else row.note for row in rows if row.note):
        screen.print(f"  {_plain(note)}")


def _cells(row: Difference) -> list[str]:
    interval = f"[{row.interval.low:+.4f}, {row.interval.high:+.4f}]" if row.interval else "–"
    return [
        _plain(row.name),
        f"{row.first:.4f}",
        f"{row.second:.4f}",
        f"{row.difference:+.4f}",
        _plain(interval),
        _probability(row.p_value),
        _probability(row.p_holm),
        f"{row.detectable:.4f}" if row.detectable is not None else "–",
        str(row.questions or "–"),
    ]


def _last_source(rows: list[Difference]) -> Difference | None:
    sources = [row for row in rows if not row.is_average]
    return sources[-1] if sources else None


def _probability(p: float | None) -> str:
    if p is None:
        return "–"
    return f"{p:.4f}" if p >= 0.001 else f"{p:.1e}"


def _plain(text: str) -> str:
    """Text from data: its square brackets are no markup."""
    from rich.markup import escape

    return escape(text)

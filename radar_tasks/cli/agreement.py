"""`radar agreement`: which metric tells checkpoints apart."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._json import to_json
from radar_tasks.cli._options import Dark, Results, Seed, each_once
from radar_tasks.cli._runs import console, runs_of
from radar_tasks.cli._tables import Format, terminal_table

if TYPE_CHECKING:
    from radar_tasks.analysis.metric_quality import MetricQuality
    from radar_tasks.analysis.outside_correlations import OutsideCorrelation


Cell = Callable[["MetricQuality"], str]
NOTHING = "–"


def command(
    results: Results,
    *,
    outside: Annotated[
        Path | None, typer.Option(help="CSV with `checkpoint` (and `source`) and numbers to correlate with.")
    ] = None,
    mir: Annotated[
        Path | None, typer.Option(help="CSV written by `radar mir --output`; MIR is judged as well.")
    ] = None,
    losses: Annotated[
        Path | None,
        typer.Option(help="CSV with `checkpoint` and its losses (lower is better); they are judged as well."),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(callback=each_once, help="A metric (default: all); may be repeated.")
    ] = None,
    on: Annotated[
        list[str] | None, typer.Option(callback=each_once, help="A source or average (default: all); may be repeated.")
    ] = None,
    chart: Annotated[
        Path | None, typer.Option(help="Draw the correlations with --outside here; .png, .svg or .pdf.")
    ] = None,
    dark: Dark = False,
    format: Annotated[Format, typer.Option(help="Output format of the tables.")] = Format.terminal,  # noqa: A002
    seed: Seed = 0,
) -> None:
    """Judge every metric: order over training, noise between checkpoints, signal to noise, how early it decides.

    With --outside also whether it correlates with other numbers, such as accuracy after fine-tuning, and why.
    """
    import numpy as np

    from radar_tasks.analysis.metric_quality import MetricAgreement, column_quality, metric_qualities
    from radar_tasks.analysis.outside_column import read_outside
    from radar_tasks.analysis.outside_correlations import outside_correlations
    from radar_tasks.analysis.training_runs import training_runs
    from radar_tasks.errors import ResultsError
    from radar_tasks.report.chart_files import require_ending, save

    if chart is not None:  # before results are read, which may take a while
        require_ending(chart)
        if outside is None:
            raise ResultsError("--chart draws correlations with numbers from outside: it needs --outside FILE.")
    found = runs_of(results)
    series, notes = training_runs(found)
    notes += [note for part in series for note in part.notes]
    columns = read_outside(outside, found) if outside else None
    of_checkpoints = [read_outside(file, found) for file in (mir, losses) if file]
    for read in ([columns] if columns else []) + of_checkpoints:
        notes += [f"no results of {name!r}, left out" for name in read.unknown]
    judged = metric_qualities(series, np.random.default_rng(seed), metrics=metric or (), outside=columns)
    judged += [made for read in of_checkpoints for name in read.columns for made in column_quality(name, series, read)]
    correlations = outside_correlations(series, columns, metric or (), of_checkpoints) if columns else []
    for note in notes:
        print(note, file=sys.stderr)
    chosen = _chosen(judged, on or ())
    if chart is not None:
        from radar_tasks.report.charts.correlations import correlation_chart

        if not correlations:
            raise ResultsError("there is no correlation to draw: too few checkpoints have a number from outside.")
        save(correlation_chart(correlations), chart, "dark" if dark else "light")
        print(chart, file=sys.stderr)
    if format is Format.json:
        print(to_json(MetricAgreement(tuple(chosen), tuple(correlations))), end="")
        return
    _show(chosen, len(series), format)
    if correlations and format is not Format.csv:
        _show_correlations(correlations, format)


def _chosen(judged: list[MetricQuality], names: Sequence[str]) -> list[MetricQuality]:
    from radar_tasks.errors import ResultsError, did_you_mean

    known = list(dict.fromkeys(row.name for row in judged))
    if unknown := [name for name in names if name not in known]:
        near = did_you_mean(unknown[0], known)
        raise ResultsError(f"nothing was measured on {', '.join(unknown)}; there is {', '.join(known)}.{near}")
    return [row for row in judged if not names or row.name in names]


def _show(judged: list[MetricQuality], training_runs: int, format: Format) -> None:  # noqa: A002
    from radar_tasks.report.text_tables import comma_separated, markdown

    if format is Format.csv:
        columns = _yardsticks(judged) | _sizes(judged)
        body = [[row.name, row.metric, *(cell(row) for cell in columns.values())] for row in judged]
        print(comma_separated(["source", "metric", *columns], body), end="")
        return
    for name in dict.fromkeys(row.name for row in judged):
        rows = [row for row in judged if row.name == name]
        by_size = f"{name}: order of checkpoints on so many questions against that on all (tau)"
        for title, columns in ((name, _yardsticks(rows)), (by_size, _sizes(rows))):
            used = {c: cell for c, cell in columns.items() if any(cell(row) != NOTHING for row in rows)}
            body = [[row.metric, *(cell(row) for cell in used.values())] for row in rows]
            if used and format is Format.markdown:
                print(f"**{title}** ({training_runs} training run(s))\n\n{markdown(['metric', *used], body)}")
            elif used:
                console().print(terminal_table(title, ["metric", *used], body))


def _show_correlations(correlations: list[OutsideCorrelation], format: Format) -> None:  # noqa: A002
    """A table an outside column, and what to make of it in words."""
    from radar_tasks.report.correlation_table import correlation_table, correlation_words
    from radar_tasks.report.text_tables import markdown

    for column in dict.fromkeys(row.column for row in correlations):
        rows = [row for row in correlations if row.column == column]
        table = correlation_table(rows)
        if format is Format.markdown:
            print(f"**{table.title}**\n\n{markdown(table.header, table.rows)}")
        else:
            console().print(terminal_table(table.title, table.header, table.rows))
        for sentence in correlation_words(rows):
            print(f"{sentence}\n")


def _yardsticks(judged: list[MetricQuality]) -> dict[str, Cell]:
    """Columns of the first table, each with how a row's cell is made."""
    outside = list(dict.fromkeys(column for row in judged for column in row.correlations))
    return {
        "tau with step": partial(_number, "monotonicity", "{:+.3f}"),
        "noise": partial(_number, "noise", "{:.4g}"),
        "growth / noise": partial(_number, "growth_to_noise", "{:.1f}"),
        "signal / noise": partial(_number, "signal_to_noise", "{:.1f}"),
        "decided half-way": partial(_number, "decided_half_way", "{:.2f}"),
        "decided from step": partial(_number, "decided_from", "{:g}"),
        **{f"r with {column}": partial(_correlation, column, "pearson") for column in outside},
        **{f"rho with {column}": partial(_correlation, column, "spearman") for column in outside},
    }


def _sizes(judged: list[MetricQuality]) -> dict[str, Cell]:
    """Columns of the table of numbers of questions."""
    sizes = sorted({subset.size for row in judged for subset in row.subsets})
    return {**{str(size): partial(_of_size, size) for size in sizes}, "enough": partial(_number, "enough", "{:d}")}


def _number(name: str, form: str, row: MetricQuality) -> str:
    value = getattr(row, name)
    return NOTHING if value is None else form.format(value)


def _correlation(column: str, kind: str, row: MetricQuality) -> str:
    value = row.correlations.get(column)
    if value is None:
        return NOTHING
    interval = getattr(value, kind)
    return f"{interval.estimate:+.2f} [{interval.low:+.2f}, {interval.high:+.2f}]"


def _of_size(size: int, row: MetricQuality) -> str:
    return next((f"{subset.agreement:.2f}" for subset in row.subsets if subset.size == size), NOTHING)

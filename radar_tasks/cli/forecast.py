"""`radar forecast`: where a run will end, what a larger model will do, and how good such forecasts were."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._development import described
from radar_tasks.cli._json import to_json
from radar_tasks.cli._options import Dark, Descriptions, JsonFile, Results
from radar_tasks.cli._runs import console, runs_of
from radar_tasks.cli._tables import terminal_table

if TYPE_CHECKING:
    from rich.console import Console

    from radar_tasks.analysis.forecast.backtest import BackTest
    from radar_tasks.analysis.forecast.forecast_tables import ForecastTables, Larger
    from radar_tasks.analysis.forecast.forecasts import Forecast


def command(
    results: Results,
    *,
    at: Annotated[
        int | None, typer.Option(min=1, help="Step at which runs end (default: the last step of the longest run).")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Also forecast a larger model: a column of --runs and its amount, parameters=7e9."),
    ] = None,
    runs: Descriptions = None,
    metric: Annotated[str, typer.Option(help="Metric of the tables, sds or acc; --json has both.")] = "sds",
    json_file: JsonFile = None,
    chart: Annotated[
        Path | None, typer.Option(help="A picture of the forecasts to write; .png, .svg or .pdf, by its ending.")
    ] = None,
    dark: Dark = False,
) -> None:
    """Forecast where runs will end and what a larger model will reach, or say that it cannot be known; back-tested."""
    from radar_tasks.analysis.forecast.forecast_tables import forecast_tables
    from radar_tasks.analysis.forecast.margin_tracks import METRICS
    from radar_tasks.analysis.training_runs import training_runs
    from radar_tasks.errors import RadarError
    from radar_tasks.files import write_whole
    from radar_tasks.report.chart_files import require_ending, save

    if metric not in METRICS:  # before results are read, which may take a while
        raise RadarError(f"--metric {metric}: {' and '.join(METRICS)} are forecast.")
    larger = _larger(size) if size is not None else None
    if larger is not None and runs is None:
        raise RadarError(f"--size {size} needs --runs FILE, which gives the runs their {larger.column}.")
    if chart is not None:
        require_ending(chart)
    found, rows = described(runs_of(results), runs)
    trainings, notes = training_runs([run for run in found if not run.withheld])
    made = forecast_tables(trainings, at, larger, rows)
    made.notes[:0] = [*notes, *(note for training in trainings for note in training.notes)]
    show(made, metric, console())
    if json_file is not None:
        write_whole(json_file, to_json(made))
        print(json_file)
    if chart is not None:
        from radar_tasks.report.charts.forecast import forecast_chart

        save(forecast_chart(made, metric), chart, "dark" if dark else "light")
        print(chart)


def _larger(size: str) -> Larger:
    """`parameters=7e9`, or `parameters` for the back-test alone."""
    from radar_tasks.analysis.forecast.forecast_tables import Larger
    from radar_tasks.errors import RadarError

    column, given, amount = size.partition("=")
    if not given:
        return Larger(column, None)
    try:
        number = float(amount)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise RadarError(f"--size {size}: the amount must be a number above 0, as in {column}=7e9.")
    return Larger(column, number)


def show(made: ForecastTables, metric: str, screen: Console) -> None:
    """Print forecasts, then the back-test, then the notes."""
    from rich.markup import escape

    shown = [row for row in made.forecasts if row.metric == metric]
    for along in dict.fromkeys(row.along for row in shown):
        _forecasts([row for row in shown if row.along == along], metric, screen)
    _back_test([row for row in made.back_test if row.metric == metric], metric, screen)
    for note in made.notes:
        screen.print(f"note: {escape(note)}")


def _forecasts(rows: Sequence[Forecast], metric: str, screen: Console) -> None:
    first = rows[0]
    if first.along == "step":
        title = f"{metric} at step {first.at:,.0f}"
        head = ["run", "source", "step", "now", "forecast", "90% interval", "missed", "copying missed"]
    else:
        title = f"{metric} with {first.along} {first.at:g}, at step {first.step:,}, from up to {first.start:g}"
        head = ["run", "source", "step", "largest", "forecast", "90% interval", "missed", "copying missed"]
    body = [
        [
            row.run,
            row.name,
            f"{row.step:,}",
            f"{row.last:.3f}",
            f"{row.value:.3f}" if row.predictable else "not predictable",
            "–" if row.low is None or row.high is None else f"{row.low:.3f} to {row.high:.3f}",
            _error(row.missed),
            _error(row.copying_missed),
        ]
        for row in rows
    ]
    _print(title, head, body, screen, bold=[row.of_ability for row in rows])


def _back_test(rows: Sequence[BackTest], metric: str, screen: Console) -> None:
    head = ["held out", "ability", "of", "forecasts", "runs", "missed", "copying", "line", "covered", "width"]
    body = [
        [
            row.held_out,
            row.ability,
            "mean of sources" if row.of_ability else "each source",
            f"{row.forecasts:,}",
            str(row.runs),
            _error(row.missed),
            _error(row.copying_missed),
            _error(row.line_missed),
            "–" if row.coverage is None else f"{row.coverage:.0%}",
            _error(row.width),
        ]
        for row in rows
    ]
    title = f"Back-test of {metric}: mean absolute errors, and how many of the 90% intervals held the truth"
    _print(title, head, body, screen, bold=[row.of_ability for row in rows])


def _print(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], screen: Console, bold: Sequence[bool]
) -> None:
    from rich import box

    if not rows:
        return
    words = {"run", "source", "held out", "ability", "of"}
    screen.print(
        terminal_table(
            title, head, rows, words=words, bold=bold, box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold"
        )
    )


def _error(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"

"""`radar demo`: the main job on what is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radar_tasks import paths
from radar_tasks.errors import ResultsError


def command(
    output: Annotated[Path, typer.Option(help="The folder for results, picture and page.")] = Path("demo"),
    study: Annotated[
        bool, typer.Option("--study", help="Write the page of the development study instead, from its shipped results.")
    ] = False,
) -> None:
    """Score the shipped checkpoints on radar_mini and show how perception and reasoning grew: table, picture, page."""
    if study:
        _study(output)
        return
    from rich.console import Console

    from radar_tasks.cli import plot, report
    from radar_tasks.cli._development import develop
    from radar_tasks.cli._growth import growth_tables
    from radar_tasks.follow.track import Tracker

    results = output / "results"
    print("Scoring the shipped checkpoints on radar_mini through lmms-eval (its start takes some seconds) …")
    pattern = str(paths.checkpoints() / "step-*")
    # `prior`: each question without its picture as well, so that the page tells what the text alone gives.
    if Tracker([pattern], ["radar_mini"], results, {"dtype": "float32", "prior": "blind"}).once():
        raise typer.Exit(1)
    made = develop([str(results)], None, "sds", None, seed=0)
    console = Console(highlight=False)
    for table in growth_tables(made.tables, made.results):
        console.print(table)
    plot.command([str(results)], output / "abilities.png")
    report.command([str(results)], output / "report.html", title="RADAR demo: a small model grows")
    print(f"The picture is {output / 'abilities.png'}; open {output / 'report.html'} in a browser to look closer.")


def _study(output: Path) -> None:
    """The page of all runs of the study.

    Raises:
        ResultsError: the shipped results are not here, as in an installed wheel.
    """
    from radar_tasks.cli import report

    results = sorted((paths.study() / "results").glob("*.parquet"))
    if not results:
        raise ResultsError(
            "the packed results of the study are not part of the wheel. They lie in the repository, in "
            "studies/tiny/results: run `radar demo --study` there, or `radar report studies/tiny/results/*.parquet`."
        )
    print(f"Reading {len(results)} training runs …", flush=True)
    report.command(
        [str(file) for file in results],
        output / "study.html",
        title="A small development study",
        runs=paths.study() / "runs.csv",
    )

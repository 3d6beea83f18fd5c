"""`radar demo`: the main job on what is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radar_tasks import paths


def command(
    output: Annotated[Path, typer.Option(help="Where results, picture and page go.")] = Path("demo"),
) -> None:
    """Score the shipped checkpoints on radar_mini; show how perception and reasoning grew: table, picture, page."""
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

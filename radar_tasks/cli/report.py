"""`radar report`: one page to look at, from results folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radar_tasks.cli._development import develop
from radar_tasks.cli._options import CurveMetric, Descriptions, Parting, Results, Seed


def command(
    results: Results,
    output: Annotated[Path, typer.Option(help="The page to write, one HTML file that needs no network.")] = Path(
        "report.html"
    ),
    title: Annotated[str, typer.Option(help="Title of the page; the experiments' names by default.")] = "",
    runs: Descriptions = None,
    metric: CurveMetric = "sds",
    parting: Parting = None,
    seed: Seed = 0,
    live: Annotated[
        int,
        typer.Option(
            min=0, help="Seconds after which an open page reloads itself while a run is in progress; 0: never."
        ),
    ] = 0,
) -> None:
    """Write one offline page: curves, asymmetry, bottlenecks, leaderboard, every question, and what was run."""
    import numpy as np

    from radar_tasks.report.gallery import gallery
    from radar_tasks.report.page import write_page

    developed = develop(results, runs, metric, parting, seed)
    made, found = developed.tables, developed.results
    questions = gallery([run for run in found if not run.withheld], np.random.default_rng(seed))
    names = dict.fromkeys(run.experiment.rstrip("/").split("/")[-1] for run in found)
    write_page(output, made, found, questions, title or f"RADAR report: {', '.join(names)}", live=live)
    print(output)

"""`radar plot`: one chart as PNG, SVG or PDF, for papers and slides."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from radar_tasks.cli._development import Descriptions, Metric, Parting, Results, Seed, develop


class Chart(str, Enum):
    """Names of `radar_tasks.report.figures.CHARTS`."""

    abilities = "abilities"
    sources = "sources"
    asymmetry = "asymmetry"
    bottleneck = "bottleneck"
    metrics = "metrics"
    stability = "stability"
    scaling = "scaling"
    intervention = "intervention"
    leaderboard = "leaderboard"


def command(
    results: Results,
    out: Annotated[Path, typer.Option(help="The picture; its ending says the format: .png, .svg or .pdf.")],
    chart: Annotated[Chart, typer.Option(help="What to draw.")] = Chart.abilities,
    runs: Descriptions = None,
    metric: Metric = "sds",
    parting: Parting = None,
    dark: Annotated[bool, typer.Option("--dark", help="On dark ground, for slides.")] = False,
    seed: Seed = 0,
) -> None:
    """Draw one chart of the report for a paper or a slide."""
    from radar_tasks.report.chart_files import save
    from radar_tasks.report.figures import figure

    made, _ = develop(results, runs, metric, parting, seed)
    save(figure(chart.value, made), out, "dark" if dark else "light")
    print(out)

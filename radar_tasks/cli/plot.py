"""`radar plot`: one chart as PNG, SVG or PDF, for papers and slides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from radar_tasks.cli._development import Descriptions, Metric, Parting, Results, Seed, develop

CHARTS = (
    "abilities, prior, sources, comparison, asymmetry, bottleneck, metrics, stability, scaling, "
    "intervention, leaderboard"
)


def command(
    results: Results,
    out: Annotated[Path, typer.Option(help="The picture; its ending says the format: .png, .svg or .pdf.")],
    chart: Annotated[str, typer.Option(help=f"What to draw: {CHARTS}.")] = "abilities",
    runs: Descriptions = None,
    metric: Metric = "sds",
    parting: Parting = None,
    dark: Annotated[bool, typer.Option("--dark", help="On dark ground, for slides.")] = False,
    seed: Seed = 0,
    width: Annotated[int | None, typer.Option(min=80, help="Of each panel's axes, in pixels.")] = None,
    height: Annotated[int | None, typer.Option(min=60, help="Of each panel's axes, in pixels.")] = None,
    title: Annotated[bool, typer.Option(help="Title and subtitle above the picture.")] = True,
    x: Annotated[
        str,
        typer.Option(
            "--x", help="What training is measured by: step, a column of --runs, or NAME=AMOUNT a step (images=512)."
        ),
    ] = "step",
    log: Annotated[bool, typer.Option("--log", help="Training on a logarithmic axis.")] = False,
) -> None:
    """Draw one chart of the report for a paper or a slide."""
    from radar_tasks.report.chart_files import require_ending, save
    from radar_tasks.report.charts.training_axis import training_axis
    from radar_tasks.report.figures import figure, require_chart

    require_chart(chart)  # before results are read, which may take a while
    require_ending(out)
    made = develop(results, runs, metric, parting, seed)
    print(f"drawing {chart} of {len(made.results)} checkpoints …", file=sys.stderr, flush=True)
    axis = training_axis(x, log, made.results, made.descriptions)
    save(figure(chart, made.tables, axis), out, "dark" if dark else "light", width=width, height=height, title=title)
    print(out)

"""`radar plot`: one chart as PNG, SVG or PDF, for papers and slides."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from radar_tasks.cli._development import develop
from radar_tasks.cli._options import CurveMetric, Dark, Descriptions, Parting, Results, Seed, TrainingAxis

CHARTS = (
    "abilities, factors, decisions, prior, sources, comparison, asymmetry, phase, bottleneck, metrics, stability, "
    "scaling, intervention, leaderboard"
)


def command(
    results: Results,
    output: Annotated[
        Path, typer.Option("--output", "--out", help="The picture to write; .png, .svg or .pdf, by its ending.")
    ],
    chart: Annotated[str, typer.Option(help=f"Chart to draw: {CHARTS}.")] = "abilities",
    runs: Descriptions = None,
    metric: CurveMetric = "sds",
    parting: Parting = None,
    dark: Dark = False,
    seed: Seed = 0,
    width: Annotated[
        int | None, typer.Option(min=80, max=10_000, help="Width of each panel's axes, in pixels.")
    ] = None,
    height: Annotated[
        int | None, typer.Option(min=60, max=10_000, help="Height of each panel's axes, in pixels.")
    ] = None,
    title: Annotated[bool, typer.Option(help="Put title and subtitle above the picture.")] = True,
    x: TrainingAxis = "step",
    log: Annotated[bool, typer.Option("--log", help="Logarithmic training axis.")] = False,
) -> None:
    """Draw one chart of the report, for a paper or a slide."""
    from radar_tasks.report.chart_files import require_ending, save
    from radar_tasks.report.charts.training_axis import training_axis
    from radar_tasks.report.figures import figure, require_chart

    require_chart(chart)  # before results are read, which may take a while
    require_ending(output)
    made = develop(results, runs, metric, parting, seed)
    print(f"drawing {chart} of {len(made.results)} checkpoints …", file=sys.stderr, flush=True)
    axis = training_axis(x, log, made.results, made.descriptions)
    save(figure(chart, made.tables, axis), output, "dark" if dark else "light", width=width, height=height, title=title)
    print(output)

"""The command `radar`: parse, call, print. Everything slow is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from radar_tasks.cli import (
    agreement,
    analyze,
    checkpoint,
    compare,
    data,
    decide,
    demo,
    doctor,
    export,
    forecast,
    guard,
    items,
    leaderboard,
    mir,
    path,
    plot,
    report,
    results,
    samples,
    track,
)
from radar_tasks.errors import RadarError

app = typer.Typer(
    name="radar",
    help="See what a multimodal checkpoint can and cannot do: perception and reasoning during pre-training.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"radar {version('lmms-eval-radar')} (lmms-eval {version('lmms-eval')})")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version and exit.")
    ] = False,
) -> None:
    """See what a multimodal checkpoint can and cannot do: perception and reasoning during pre-training."""


SCORE, LOOK, PREPARE = "Score checkpoints", "Look at results", "Prepare"

app.command("demo", rich_help_panel=SCORE)(demo.command)
app.command("track", rich_help_panel=SCORE)(track.command)
app.command("mir", rich_help_panel=SCORE)(mir.command)
app.command("report", rich_help_panel=LOOK)(report.command)
app.command("analyze", rich_help_panel=LOOK)(analyze.command)
app.command("compare", rich_help_panel=LOOK)(compare.command)
app.command("forecast", rich_help_panel=LOOK)(forecast.command)
app.command("samples", rich_help_panel=LOOK)(samples.command)
app.command("leaderboard", rich_help_panel=LOOK)(leaderboard.command)
app.command("decide", rich_help_panel=LOOK)(decide.command)
app.command("agreement", rich_help_panel=LOOK)(agreement.command)
app.command("plot", rich_help_panel=LOOK)(plot.command)
app.command("export", rich_help_panel=LOOK)(export.command)
app.command("guard", rich_help_panel=LOOK)(guard.command)
app.add_typer(items.app, name="items", rich_help_panel=LOOK)
app.add_typer(results.app, name="results", rich_help_panel=LOOK)
app.add_typer(data.app, name="data", rich_help_panel=PREPARE)
app.add_typer(checkpoint.app, name="checkpoint", rich_help_panel=PREPARE)
app.command("doctor", rich_help_panel=PREPARE)(doctor.command)
app.command("path", rich_help_panel=PREPARE)(path.command)


def main() -> None:
    """Entry point. An error that a user can act on is printed without a traceback, and the exit status is 1."""
    # On a CPU, threads that decode pictures and threads that multiply matrices share the cores: OpenMP's threads must
    # sleep while they wait, not spin (measured on two busy cores: ten times as slow). Read when torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        app()
    except Exception as error:
        from radar_metrics.errors import MetricError  # with its package comes numpy, a third of the start of `radar -h`

        if not isinstance(error, RadarError | MetricError):
            raise
        print(f"radar: {error}", file=sys.stderr)
        raise SystemExit(1) from None

"""`radar results`: a training's results as one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radar_tasks.cli._options import Results
from radar_tasks.cli._runs import runs_of

app = typer.Typer(
    help="Pack results into one file to publish, attach or commit; every command that reads results reads it.",
    no_args_is_help=True,
)


@app.command("pack")
def pack(
    results: Results,
    output: Annotated[Path, typer.Option(help="The packed file to write; its name ends with .parquet.")],
) -> None:
    """Write everything that analysis, report and export read of these results into one file."""
    from radar_tasks.results.packed import pack as write

    runs = runs_of(results)
    write(runs, output)
    questions = sum(len(samples) for run in runs for samples in run.sources.values())
    size = output.stat().st_size
    print(f"{output}: {len(runs)} checkpoint(s), {size / 1e6:.1f} MB, {size / questions:.1f} bytes per answer")


@app.command("unpack")
def unpack(
    file: Annotated[Path, typer.Argument(help="A packed file.")],
    output: Annotated[Path, typer.Option(help="The folder to write; new or empty.")],
) -> None:
    """Write a packed file's results as the harness leaves them: one folder per checkpoint."""
    from radar_tasks.results.unpacked import unpack as write

    for path in write(file, output):
        print(path)

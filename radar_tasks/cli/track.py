"""`radar track`: follow a training run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer


def command(
    checkpoints: Annotated[list[str], typer.Argument(help="Folders, or a pattern in quotes: 'runs/exp1/checkpoint-*'.")],
    output: Annotated[Path, typer.Option(help="Where the results go, one folder a checkpoint.")],
    tasks: Annotated[str, typer.Option(help="Tasks or groups, separated by commas.")] = "radar",
    model_args: Annotated[str, typer.Option(help="Further arguments of the model: dtype=bfloat16,max_pixels=…")] = "",
    every: Annotated[int, typer.Option(min=1, help="Only checkpoints whose step is a multiple of this.")] = 1,
    limit: Annotated[Optional[float], typer.Option(help="So many questions a source, a stratified part.")] = None,
    batch_size: Annotated[str, typer.Option(help="Prompts a batch, or auto.")] = "auto",
    watch: Annotated[bool, typer.Option("--watch", help="Wait for new checkpoints until interrupted.")] = False,
) -> None:
    """Score every checkpoint that has no finished result yet; the same command goes on where it stopped."""
    from lmms_eval.utils import simple_parse_args_string

    from radar_tasks.harness.track import Tracker

    tracker = Tracker(
        patterns=checkpoints,
        tasks=tasks.split(","),
        output=output,
        model_args=simple_parse_args_string(model_args),
        every=every,
        limit=limit,
        batch_size=batch_size,
    )
    if watch:
        tracker.watch()
    if tracker.once():
        raise typer.Exit(1)

"""`radar doctor`: what works on this machine, what does not, and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from radar_tasks.cli._options import ModelArgs

_COLOUR = {"ok": "green", "note": "yellow", "broken": "red"}


def command(
    checkpoint: Annotated[
        str | None, typer.Argument(help="Also check this checkpoint: its folder, or owner/name on the Hub.")
    ] = None,
    model_args: ModelArgs = "",
) -> None:
    """Check libraries, devices, data, tasks and a checkpoint; exit status 1 if anything is broken."""
    from rich.markup import escape

    from radar_tasks.cli._runs import console
    from radar_tasks.harness.environment import examine
    from radar_tasks.run_arguments import model_arguments
    from radar_tasks.scoring.checkpoints.model_args import options_for

    options = options_for(checkpoint, model_arguments(model_args))[0] if checkpoint else None
    screen = console()
    broken = 0
    with screen.status("looking …"):  # lmms-eval takes 10 to 20 seconds to list its tasks
        for finding in examine(options):
            broken += finding.state == "broken"
            word = f"[{_COLOUR[finding.state]}]{finding.state:<6}[/]"
            screen.print(f"{word}  {finding.what:<18}  {escape(finding.found)}", soft_wrap=True)
            if finding.remedy:
                screen.print(f"{'':28}→ {escape(finding.remedy)}", soft_wrap=True)
    if broken:
        raise typer.Exit(1)

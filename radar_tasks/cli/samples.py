"""`radar samples`: the questions that moved most between two runs, as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radar_tasks.cli._options import each_once
from radar_tasks.cli._runs import runs_of


def command(
    first: Annotated[str, typer.Argument(help="Results folder or packed file of the first run.")],
    second: Annotated[str, typer.Argument(help="Results folder or packed file of the second run.")],
    *,
    output: Annotated[Path, typer.Option(help="The page to write, one HTML file.")] = Path("samples.html"),
    count: Annotated[int, typer.Option(min=1, help="Number of questions.")] = 60,
    source: Annotated[
        list[str] | None, typer.Option(callback=each_once, help="Only this source (default: all); may be repeated.")
    ] = None,
) -> None:
    """Write a page with the questions whose right answer gained or lost most between two runs, with their pictures."""
    from radar_tasks.analysis.movers import movers
    from radar_tasks.errors import ResultsError
    from radar_tasks.files import write_whole
    from radar_tasks.report.movers import movers_page

    runs = [run for path in (first, second) for run in runs_of([path])]
    if len(runs) != 2:
        raise ResultsError(f"two runs are needed, there are {len(runs)}: {', '.join(str(run.file) for run in runs)}.")
    metric, found = movers(runs[0], runs[1], count, source or ())
    write_whole(output, movers_page(runs[0], runs[1], metric, found))
    gained = sum(mover.change > 0 for mover in found)
    print(f"{output}: {len(found)} questions, {gained} gained and {len(found) - gained} lost ({metric}).")

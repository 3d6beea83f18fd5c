"""How commands take runs: results folders and files, or rows of the paper."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from radar_tasks.cli._reading import reading_progress

if TYPE_CHECKING:
    from radar_tasks.published import PublishedModel
    from radar_tasks.results import CheckpointResult


def console(width: int = 240) -> Console:
    """The terminal; a table that goes to a file or a pipe has this width, and is not squeezed into 80 columns.

    Names are the user's: `:x:` in one is no emoji.
    """
    return Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else width)


def runs_of(paths: Sequence[str]) -> list[CheckpointResult]:
    """The runs in these folders and files; results that were left out for a newer one are named on stderr.

    Raises:
        ResultsError: as `radar_tasks.results.find_runs`.
    """
    from radar_tasks.results import find_runs

    with reading_progress() as progress:
        runs = find_runs(paths, progress)
    for message in dict.fromkeys(message for run in runs for message in run.left_out):
        print(message, file=sys.stderr)
    return runs


def sides_of(names: Sequence[str]) -> list[list[CheckpointResult] | PublishedModel]:
    """As `runs_of`, a side a name and in the order given, with `published:NAME` for a model of the paper."""
    from radar_tasks.published import PREFIX, published_model
    from radar_tasks.results.merging import named_apart

    found = [[] if name.startswith(PREFIX) else runs_of([name]) for name in names]
    runs = iter(named_apart([run for part in found for run in part]))
    return [
        published_model(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else [next(runs) for _ in part]
        for name, part in zip(names, found, strict=True)
    ]

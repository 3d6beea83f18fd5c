"""What the commands of `radar data` share: bars, and readers into the store."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich import progress
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from radar_tasks.sources.source_reader import SourceReader


def fill_store(readers: Sequence[SourceReader], skip_bad: bool) -> None:
    """Prepare the sources, and print of each what came and what was left out."""
    from radar_tasks.store.preparation import prepare as fill

    notes: list[str] = []
    with question_bars() as bar:
        rows = {reader.source: bar.add_task(reader.source, total=len(reader)) for reader in readers}
        manifests = fill(readers, skip_bad, lambda source, count: bar.advance(rows[source], count), notes.append)
    for manifest in manifests:
        left_out = [
            f"{len(manifest.skipped)} broken ones skipped" if manifest.skipped else "",
            f"{manifest.too_many_images} with more than 12 images left out" if manifest.too_many_images else "",
            *(f"{count:,} left out: {why}" for why, count in manifest.left_out.items()),
            "a stand-in" if manifest.stand_in else "",
        ]
        print(", ".join([f"{manifest.source}: {manifest.questions:,} questions", *filter(None, left_out)]))
    for note in notes:
        print(f"Note: {note}")


class _Rate(progress.ProgressColumn):
    """Questions per second, once there is a rate."""

    def render(self, task: progress.Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} questions/s")


@contextlib.contextmanager
def question_bars(of_bytes: bool = False) -> Iterator[progress.Progress]:
    """A bar per source with its rate and the time left, on stderr; nothing where that is no terminal."""
    rate: list[progress.ProgressColumn] = (
        [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        if of_bytes
        else [progress.MofNCompleteColumn(), _Rate()]
    )
    screen = Console(stderr=True)
    with progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *rate,
        progress.TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
    ) as bar:
        yield bar

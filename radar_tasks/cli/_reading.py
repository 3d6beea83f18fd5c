"""How far reading has come: a bar on a terminal, and elsewhere a line every few seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress, TaskID

PATIENCE = 2.0
"""Seconds before a bar is shown: what is over by then needs none."""
EVERY = 5.0
"""Seconds between lines where there is no terminal."""


@contextmanager
def reading_progress() -> Iterator[Callable[[str, int, int], None]]:
    """What `radar_tasks.results.find_runs` calls as it reads; on stderr, and gone when it is over."""
    told = _Bar() if sys.stderr.isatty() else _Lines()
    try:
        yield told
    finally:
        told.close()


class _Lines:
    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last >= EVERY:
            self._last = now
            # A few files say nothing of the rest: imports and the first reading of texts are in their time.
            if told := 50 * done >= total > 0:
                left = (now - self._began) * (total - done) / done
            share = f"{100 * done // total}%, about {left:.0f} s left" if told else "just begun"
            print(f"reading {what}: {share}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Lines stay."""


class _Bar:
    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if self._shown is None and time.monotonic() - self._began >= PATIENCE:
            self._shown = self._start(total)
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, completed=done, total=total, description=f"reading {what}")

    def _start(self, total: int) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        what = TextColumn("{task.description}", markup=False)
        columns = (what, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        shown = Progress(*columns, console=Console(stderr=True), transient=True)
        self._task = shown.add_task("reading", total=total)
        shown.start()
        return shown

    def close(self) -> None:
        """The bar goes, whatever happened."""
        if self._shown is not None:
            self._shown.stop()

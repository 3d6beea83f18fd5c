"""Progress over all checkpoints of a `radar track`: a bar with the time left, and a line per checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

if TYPE_CHECKING:
    from accelerate import PartialState


class Progress:
    """Counts questions; shown by rank 0 alone, which counts for all. The bar needs a terminal, the lines do not.

    Args:
        names: the checkpoints to score, in order.
        questions: questions per checkpoint.
        ranks: the processes that share them.
        say: prints a line.
    """

    def __init__(self, names: Sequence[str], questions: int, ranks: PartialState, say: Callable[[str], None]) -> None:
        self._names = list(names)
        self._questions = questions
        self._ranks = ranks.num_processes
        self._main = ranks.is_main_process
        self._say = say
        self._scored = 0
        self._started = self._begun = time.perf_counter()
        self._bar = tqdm(
            total=len(names) * questions,
            unit=" questions",
            leave=False,
            smoothing=0,  # the time left counts loading, too
            disable=None if self._main and names else True,
        )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.close()

    def start(self, name: str) -> None:
        """A checkpoint's turn."""
        self._begun = time.perf_counter()
        self._bar.set_description(f"{name} [{self._names.index(name) + 1}/{len(self._names)}]")

    def one_more(self) -> None:
        """This rank has scored a question."""
        self._scored += self._ranks
        self._bar.update(self._ranks)

    def finish(self, name: str, reason: str, scores: str) -> None:
        """A checkpoint is done, with its scores in words, or has failed for a reason."""
        number = self._names.index(name) + 1
        now = time.perf_counter()
        taken, passed = now - self._begun, now - self._started
        self._bar.n = number * self._questions
        self._bar.refresh()
        if not self._main:
            return
        speed = f"{clock(taken)}, {self._scored / passed:.1f} questions/s"
        what = f"FAILED: {reason}" if reason else f"{scores}; {speed}" if scores else speed
        left = f"; {clock(passed / number * (len(self._names) - number))} left" if number < len(self._names) else ""
        with tqdm.external_write_mode():
            self._say(f"[{number}/{len(self._names)}] {name}: {what}{left}")


def clock(seconds: float) -> str:
    """`1:02:03` or `2:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

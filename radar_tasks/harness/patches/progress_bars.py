"""lmms-eval's bars, one a task and each over in a moment, silenced while checkpoint after checkpoint is scored.

`radar track` and the model show how far they are; between them lmms-eval's own would fill the screen.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from radar_tasks.harness.patches.patch import Patch


@contextmanager
def quiet_bars() -> Iterator[None]:
    """Silence the bars of lmms-eval's evaluator inside, and no others."""
    from lmms_eval import evaluator

    shown = evaluator.tqdm

    def silent(*args: Any, **settings: Any) -> Any:
        return tqdm(*args, **{**settings, "disable": True})

    evaluator.tqdm = silent
    try:
        yield
    finally:
        evaluator.tqdm = shown


PATCH = Patch(
    seen_in="0.7.3",
    changes="while `radar track` scores, its own progress bars are silent",
)

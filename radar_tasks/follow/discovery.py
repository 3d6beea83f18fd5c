"""The checkpoints of a training run: which there are, at which step, and whether one is finished being written."""

from __future__ import annotations

import glob
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from radar_tasks.errors import CheckpointError
from radar_tasks.results import step_of

UNFINISHED = ("*.tmp", "*.incomplete", "*.part", "*.lock", "tmp-*", ".tmp*")
"""Names that trainers and download tools give to what they are still writing."""

Signature = tuple[tuple[str, int, int], ...]
"""Name, size and time of change (ns) of every file."""


@dataclass(frozen=True, order=True)
class TrackedCheckpoint:
    """A checkpoint of a run.

    Attributes:
        step: training step, as `radar_tasks.results.step_of` reads it from the folder's name.
        name: the folder's name; results are kept under it.
        folder: where it is.
    """

    step: int
    name: str
    folder: Path


def find_checkpoints(patterns: Sequence[str], every: int = 1) -> list[TrackedCheckpoint]:
    """The checkpoints that match, by step.

    Args:
        patterns: folders or glob patterns such as `runs/exp1/checkpoint-*`.
        every: keep those whose step is a multiple of this number.

    Raises:
        CheckpointError: nothing matches, a name holds no step, or two folders claim the same step.
    """
    matches = {Path(match) for pattern in patterns for match in glob.glob(pattern)}  # noqa: PTH207, absolute ones, too
    folders = sorted(match for match in matches if match.is_dir())
    if not folders:
        raise CheckpointError(
            f"No folder matches {' '.join(patterns)!r}. Give folders or a pattern in quotes: 'runs/exp1/checkpoint-*'."
        )
    found = sorted(TrackedCheckpoint(_step(folder), folder.name, folder) for folder in folders)
    for former, later in pairwise(found):
        if former.step == later.step:
            raise CheckpointError(f"{former.folder} and {later.folder} are both step {later.step}; track them apart.")
    kept = [checkpoint for checkpoint in found if checkpoint.step % every == 0]
    if not kept:
        raise CheckpointError(f"None of the {len(found)} checkpoints has a step that is a multiple of {every}.")
    return kept


def signature(folder: Path) -> Signature:
    """What changes when any file of a folder does; empty while files come and go."""
    try:
        return tuple(
            (str(file.relative_to(folder)), file.stat().st_size, file.stat().st_mtime_ns)
            for file in sorted(folder.rglob("*"))
            if file.is_file()
        )
    except FileNotFoundError:
        return ()


def is_settled(files: Signature, quiet_seconds: float) -> bool:
    """Whether nothing in a folder looks unfinished and nothing has changed for a while."""
    if not files or any(Path(name).match(pattern) for name, _, _ in files for pattern in UNFINISHED):
        return False
    return time.time() - max(changed for _, _, changed in files) / 1e9 >= quiet_seconds


def _step(folder: Path) -> int:
    step = step_of(folder.name)
    if step is None:
        raise CheckpointError(
            f"The training step of {folder} cannot be told from its name. Name checkpoints like checkpoint-500, "
            "step-500 or global_step500; a link with such a name will do."
        )
    return step

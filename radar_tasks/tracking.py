"""The checkpoints of a training run: which there are, at which step, and whether one is finished being written."""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from radar_tasks.errors import CheckpointError

UNFINISHED = ("*.tmp", "*.incomplete", "*.lock", "tmp-*", ".tmp*")
"""Names that trainers and download tools give to what they are still writing."""


@dataclass(frozen=True, order=True)
class TrackedCheckpoint:
    """A checkpoint of a run.

    Attributes:
        step: training step, the last whole number in the folder's name.
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
        CheckpointError: nothing matches, a name holds no step, or two folders claim the same step or name.
    """
    folders = sorted({Path(match) for pattern in patterns for match in glob.glob(pattern) if Path(match).is_dir()})
    if not folders:
        raise CheckpointError(
            f"No folder matches {' '.join(patterns)!r}. Give folders or a pattern in quotes, e.g. 'runs/exp1/checkpoint-*'."
        )
    found = sorted(TrackedCheckpoint(step_of(folder.name), folder.name, folder) for folder in folders)
    for former, later in zip(found, found[1:], strict=False):
        if former.step == later.step:
            raise CheckpointError(f"{former.folder} and {later.folder} are both step {later.step}; track them apart.")
    kept = [checkpoint for checkpoint in found if checkpoint.step % every == 0]
    if not kept:
        raise CheckpointError(f"None of the {len(found)} checkpoints has a step that is a multiple of {every}.")
    return kept


def step_of(name: str) -> int:
    """The training step in a checkpoint's name: its last whole number, as in `checkpoint-500` or `global_step1000`.

    Raises:
        CheckpointError: the name holds no number.
    """
    numbers = re.findall(r"\d+", name)
    if not numbers:
        raise CheckpointError(
            f"The training step cannot be told from the name {name!r}. Name checkpoints like checkpoint-500, step-500 "
            "or global_step500; a link with such a name will do."
        )
    return int(numbers[-1])


def is_settled(folder: Path, quiet_seconds: float) -> bool:
    """Whether nothing in a folder looks unfinished and nothing has changed for a while."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    if not files or any(file.match(pattern) for file in files for pattern in UNFINISHED):
        return False
    return time.time() - _last_change(files) >= quiet_seconds


def _last_change(files: Iterable[Path]) -> float:
    return max(file.stat().st_mtime for file in files)

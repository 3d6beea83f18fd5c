"""The checkpoints of a training run: which there are, at which step, and whether one is finished being written."""

from __future__ import annotations

import glob
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from radar_tasks.errors import CheckpointError
from radar_tasks.results import step_of

UNFINISHED = ("*.tmp", "*.incomplete", "*.part", "*.lock", "tmp-*", ".tmp*")
"""Names that trainers and download tools give to what they are still writing."""

PARTS = ("config.json", "adapter_config.json", "*.safetensors", "*.bin", "*.pt", "*.distcp")
"""What makes a folder inside a training's folder a checkpoint, where its name has a step; `logs-2026` is none."""

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
    """The checkpoints that match, by step; of a training's folder those inside it.

    Args:
        patterns: folders or glob patterns such as `runs/exp1/checkpoint-*`, or the folder `runs/exp1` itself.
        every: keep those whose step is a multiple of this number.

    Raises:
        CheckpointError: nothing matches, a name holds no step, or two folders claim the same step.
    """
    # A folder that is there is meant as it is called, brackets and stars in its name included.
    found_by = (
        [pattern] if Path(pattern).is_dir() else glob.glob(pattern)  # noqa: PTH207, absolute ones, too
        for pattern in patterns
    )
    matches = {Path(match) for among in found_by for match in among}
    folders = {folder for match in matches if match.is_dir() for folder in _checkpoints_at(match)}
    if not folders:
        raise CheckpointError(
            f"No folder matches {' '.join(patterns)!r}. Give folders or a pattern in quotes: 'runs/exp1/checkpoint-*'."
        )
    found = sorted(TrackedCheckpoint(_step(folder), folder.name, folder) for folder in folders)
    for former, later in pairwise(found):
        if former.step == later.step:
            raise CheckpointError(
                f"{former.folder} and {later.folder} are both step {later.step}; track them separately."
            )
    kept = [checkpoint for checkpoint in found if checkpoint.step % every == 0]
    if not kept:
        raise CheckpointError(f"None of the {len(found)} checkpoints has a step that is a multiple of {every}.")
    return kept


def _checkpoints_at(folder: Path) -> list[Path]:
    """The checkpoints inside a training's folder; any other folder stands for itself.

    A Trainer leaves the last model in the training's folder, beside the checkpoints: without a step in its name a
    folder is the training's even if it holds a model.
    """
    if step_of(folder.name) is not None and (folder / "config.json").exists():
        return [folder]
    try:
        children = [child for child in folder.iterdir() if child.is_dir() and step_of(child.name) is not None]
        inside = [child for child in children if any(next(child.glob(part), None) for part in PARTS)]
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error}") from None
    return inside or [folder]


def signature(folder: Path) -> Signature:
    """What changes when any file of a folder does; empty while files come and go. No file is opened.

    Raises:
        CheckpointError: there is something that is not a file (a named pipe, a device), which reading would wait for.
    """
    files = []
    for file in sorted(folder.rglob("*")):
        try:
            about = file.stat()
        except FileNotFoundError:
            if file.is_symlink():  # it leads nowhere; what needs the file says so
                continue
            return ()
        if stat.S_ISREG(about.st_mode):
            files.append((str(file.relative_to(folder)), about.st_size, about.st_mtime_ns))
        elif not stat.S_ISDIR(about.st_mode):
            raise CheckpointError(f"{file} is not a file but a pipe, a socket or a device: put a file in its place.")
    return tuple(files)


def is_settled(files: Signature, quiet_seconds: float, unchanged_seconds: float = 0.0) -> bool:
    """Whether nothing in a folder looks unfinished and nothing has changed for a while.

    Args:
        files: the folder's.
        quiet_seconds: the while.
        unchanged_seconds: for how long these files have been seen unchanged. The files' own times tell more at the
            first look, but come from the clock of the machine that wrote them, which may be ahead.
    """
    if not files or any(Path(name).match(pattern) for name, _, _ in files for pattern in UNFINISHED):
        return False
    return max(unchanged_seconds, -seconds_ahead(files)) >= quiet_seconds


def seconds_ahead(files: Signature) -> float:
    """By how much the newest file is dated later than now; negative for a time in the past."""
    return max(changed for _, _, changed in files) / 1e9 - time.time()


def _step(folder: Path) -> int:
    step = step_of(folder.name)
    if step is None:
        raise CheckpointError(
            f"The training step of {folder} cannot be told from its name, and there are no checkpoints inside. Name "
            "checkpoints like checkpoint-500, step-500 or global_step500; a link with such a name will do."
        )
    return step

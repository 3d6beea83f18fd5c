"""What works on this machine and what does not, with the remedy: what `radar doctor` says."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from radar_tasks.errors import RadarError
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.store import data_home, open_source, stored_names

State = Literal["ok", "note", "broken"]

LIBRARIES = ("lmms-eval-radar", "lmms-eval", "lm-eval", "transformers", "torch", "torchvision", "accelerate", "peft")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        what: its name.
        state: `broken` keeps some command from working; `note` is worth knowing and keeps none.
        found: what was found, such as a version.
        remedy: what to do; empty where nothing has to be done.
    """

    what: str
    state: State
    found: str
    remedy: str = ""


def examine(checkpoint: CheckpointOptions | None = None) -> Iterator[Finding]:
    """Looks at libraries, devices, data, tasks and, where one is given, a checkpoint; quick things first.

    What goes wrong in one look is its finding, and the others go on.
    """
    looks: list[tuple[str, Callable[[], Finding]]] = [
        ("Python", lambda: Finding("Python", "ok", f"{platform.python_version()} on {platform.system()}")),
        *((name, functools.partial(_library, name)) for name in LIBRARIES),
        ("torchvision loads", _torchvision),
        ("devices", _devices),
        ("data home", _data_home),
        ("M3-Bench", _benchmark),
        ("own sources", _own_sources),
        ("tasks in lmms-eval", _tasks),
    ]
    if checkpoint is not None:
        looks.append(("checkpoint", lambda: _checkpoint(checkpoint)))
    for what, look in looks:
        try:
            yield look()
        except RadarError as error:
            yield Finding(what, "broken", str(error))
        except Exception as error:  # a broken installation fails in any way there is, and that is what is looked for
            yield Finding(what, "broken", f"{type(error).__name__}: {error}", "Reinstall lmms-eval-radar.")


def _library(name: str) -> Finding:
    try:
        return Finding(name, "ok", importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "broken", "not installed", "Reinstall lmms-eval-radar, which brings it.")


def _torchvision() -> Finding:
    """Processors of pictures need it, and beside a torch of another build it fails on import."""
    try:
        import torchvision  # noqa: F401  # its import is the test
    except Exception as error:
        remedy = "Install torch and torchvision of one build and matching versions."
        return Finding("torchvision loads", "broken", f"{type(error).__name__}: {error}", remedy)
    return Finding("torchvision loads", "ok", "yes")


def _devices() -> Finding:
    import torch

    if not torch.cuda.is_available():
        remedy = "" if torch.version.cuda is None else "If this machine has a GPU, it needs its driver."
        return Finding("devices", "note", f"no GPU; {os.cpu_count()} CPU cores", remedy)
    gpus = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return Finding("devices", "ok", ", ".join(f"{gpu.name} ({gpu.total_memory / 2**30:.0f} GiB)" for gpu in gpus))


def _data_home() -> Finding:
    home = data_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        return Finding("data home", "broken", f"{home}: {error}", "Set RADAR_HOME to a writable folder.")
    return Finding("data home", "ok", str(home))


def _benchmark() -> Finding:
    there = [name for name in PUBLISHED if name in stored_names()]
    unreadable = [name for name in there if not _opens(name)]
    if unreadable:
        remedy = "Bring them again: radar data prepare FOLDER_OR_ZIP."
        return Finding("M3-Bench", "broken", f"cannot be read: {', '.join(unreadable)}", remedy)
    missing = [name for name in PUBLISHED if name not in there]
    found = f"{len(there)} of {len(PUBLISHED)} sources"
    if not missing:
        return Finding("M3-Bench", "ok", found)
    remedy = "radar data download, or radar data prepare FOLDER_OR_ZIP. radar_mini needs no data."
    return Finding("M3-Bench", "note", f"{found}; missing: {', '.join(missing)}", remedy)


def _own_sources() -> Finding:
    own = [name for name in stored_names() if name not in PUBLISHED]
    unreadable = [name for name in own if not _opens(name)]
    if unreadable:
        return Finding("own sources", "broken", f"cannot be read: {', '.join(unreadable)}", "Make them again.")
    return Finding("own sources", "ok", ", ".join(own) or "none")


def _opens(source: str) -> bool:
    try:
        open_source(source)
    except RadarError:
        return False
    return True


def _tasks() -> Finding:
    """Asks lmms-eval in the way that its own command does: with all its tasks, and its doors for plugins."""
    import lmms_eval.models  # noqa: F401  # loads the plugins
    from lmms_eval.tasks import TaskManager
    from loguru import logger

    logger.remove()
    ours = [task for task in TaskManager(verbosity="ERROR").all_tasks if task.startswith("radar_")]
    if not ours:
        remedy = "Reinstall lmms-eval-radar into the environment of lmms_eval: its entry points are missing."
        return Finding("tasks in lmms-eval", "broken", "none of this project", remedy)
    return Finding("tasks in lmms-eval", "ok", f"{len(ours)} of this project, radar_mini among them")


def _checkpoint(options: CheckpointOptions) -> Finding:
    from radar_tasks.scoring.checkpoints.explain import explain

    shown = explain(options)
    size = sum(shown.sizes.values())
    found = f"{shown.recognised.model_type}, {size:,} parameters, prompt format {shown.recognised.form.name}"
    return Finding("checkpoint", "ok", found)

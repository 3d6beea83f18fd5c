"""What is changed in lmms-eval, one file per patch.

lmms-eval has doors for models from outside and none for what is done here, so functions of its own are wrapped. Each
file ends with its `Patch`: what it changes, and in which release that was seen. The tests compare the functions that
are wrapped with what they were then, so that a release which changes one of them is noticed. Runs without a task or a
model of this project are as they were.

lmms-eval loads plugins while it is itself half imported, and its evaluator does not exist yet. `install` therefore
takes two steps, and the second waits for the first `TaskManager`, which every way of starting lmms-eval builds after
all imports and before it evaluates.
"""

from __future__ import annotations

import functools
import importlib.metadata
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from radar_tasks.harness.patches.patch import Patch

TESTED = ("0.7.3",)
"""Releases of lmms-eval that the tests have run with."""

logger = logging.getLogger("radar")


@functools.cache
def all_patches() -> tuple[Patch, ...]:
    """Every patch, in the order in which they are put in place."""
    # Imported here, since each of them asks this package for something.
    from radar_tasks.harness.patches import (
        command_end,
        progress_bars,
        response_cache,
        results_files,
        run_record,
        sample_limit,
        task_index,
    )

    modules = (task_index, response_cache, results_files, command_end, sample_limit, run_record, progress_bars)
    return tuple(module.PATCH for module in modules)


@functools.cache
def install() -> None:
    """Put all patches in place; calling it again changes nothing.

    What is changed is told to the logger `radar` (level DEBUG). A release of lmms-eval that nobody has tried gets one
    warning that names it.
    """
    version = importlib.metadata.version("lmms-eval")
    if version not in TESTED and os.environ.get("RANK", "0") == "0":
        logger.warning(
            "lmms-eval %s has not been tried with this project, which changes parts of it (tried: %s). Check the "
            "results, or install a release that was tried.",
            version,
            ", ".join(TESTED),
        )
    for patch in all_patches():
        patch.install()
        logger.debug("lmms-eval %s: %s", version, patch.changes)


@functools.cache
def install_in_evaluator() -> None:
    """The second step of `install`; `task_index` takes it when a `TaskManager` is built."""
    for patch in all_patches():
        patch.install_in_evaluator()

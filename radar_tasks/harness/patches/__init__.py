"""What is changed in lmms-eval, one file a patch.

lmms-eval has doors for models from outside and none for what is done here, so functions of its own are wrapped. Each
file says what it changes (`CHANGES`) and in which release that was seen (`SEEN_IN`); the tests compare the functions
that are wrapped with what they were then, so that a release which changes one of them is noticed. Nothing of a run
without a task or a model of this project is changed.

lmms-eval loads plugins while it is itself half imported: its evaluator does not exist yet. `install` therefore takes
two steps, and the second waits for the first `TaskManager`, which every way of starting lmms-eval builds after all
imports and before it evaluates.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import logging
import os

EARLY = ("task_index", "response_cache", "results_files")
"""Patches of modules that lmms-eval's evaluator imports; they must be in place before it does."""

OF_THE_EVALUATOR = ("sample_limit", "run_record")
"""Patches of `lmms_eval.evaluator` itself."""

TESTED = ("0.7.3",)
"""Releases of lmms-eval that the tests have run with."""

logger = logging.getLogger("radar")


@functools.cache
def install() -> tuple[str, ...]:
    """Put all patches in place; calling it again changes nothing.

    A release of lmms-eval that nobody has tried gets one warning that names it.

    Returns:
        A sentence a patch: what it changes.
    """
    version = importlib.metadata.version("lmms-eval")
    if version not in TESTED and os.environ.get("RANK", "0") == "0":
        logger.warning(
            "lmms-eval %s has not been tried with this project, which changes parts of it (tried: %s). Check the "
            "results, or install a release that was tried.",
            version,
            ", ".join(TESTED),
        )
    changes = tuple(_install(name) for name in EARLY)
    for sentence in changes:
        logger.debug("lmms-eval %s: %s", version, sentence)
    return changes


@functools.cache
def install_in_evaluator() -> None:
    """The second step of `install`; `task_index` takes it when a `TaskManager` is built."""
    for name in OF_THE_EVALUATOR:
        _install(name)


def _install(name: str) -> str:
    patch = importlib.import_module(f"{__name__}.{name}")
    patch.install()
    changes: str = patch.CHANGES
    return changes

"""A full disk, and results to write on it."""

import resource
from contextlib import contextmanager

import pytest

from radar_tasks import paths
from radar_tasks.harness import evaluation as run_module
from radar_tasks.harness.evaluation import Harness


@contextmanager
def files_of_at_most(size):
    """What a full disk looks like to a program: a write fails after so many bytes of a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def results_of_a_run(folder):
    """What lmms-eval hands over after a run of 40 questions."""
    taken = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_module, "save", lambda results, _: taken.append(results))
        checkpoint = max(paths.checkpoints().glob("step-*"))
        Harness(["radar_mini_colour"]).evaluate({"pretrained": str(checkpoint)}, folder, limit=40)
    return taken[0]

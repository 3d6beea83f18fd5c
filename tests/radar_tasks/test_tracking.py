"""Finding the checkpoints of a run."""

import os
import time

import pytest

from radar_tasks.errors import CheckpointError
from radar_tasks.tracking import find_checkpoints, is_settled, step_of


def folders(root, *names):
    for name in names:
        (root / name).mkdir()


def test_checkpoints_are_sorted_by_step_and_not_by_name(tmp_path):
    folders(tmp_path, "checkpoint-1000", "checkpoint-200", "checkpoint-30")
    assert [c.step for c in find_checkpoints([str(tmp_path / "checkpoint-*")])] == [30, 200, 1000]


def test_every_keeps_multiples(tmp_path):
    folders(tmp_path, "step-0", "step-50", "step-100")
    assert [c.step for c in find_checkpoints([str(tmp_path / "*")], every=100)] == [0, 100]
    with pytest.raises(CheckpointError, match="multiple of 7"):
        find_checkpoints([str(tmp_path / "step-50")], every=7)


@pytest.mark.parametrize(("name", "step"), [("global_step1000", 1000), ("iter_0001", 1), ("v2-step-5", 5)])
def test_the_step_is_the_last_number(name, step):
    assert step_of(name) == step


def test_what_cannot_be_tracked_says_why(tmp_path):
    with pytest.raises(CheckpointError, match="No folder matches"):
        find_checkpoints([str(tmp_path / "nothing-*")])
    folders(tmp_path, "final")
    with pytest.raises(CheckpointError, match="cannot be told from the name 'final'"):
        find_checkpoints([str(tmp_path / "final")])
    folders(tmp_path, "a-5", "b-5")
    with pytest.raises(CheckpointError, match="both step 5"):
        find_checkpoints([str(tmp_path / "?-5")])


def test_a_folder_still_being_written_is_not_settled(tmp_path):
    assert not is_settled(tmp_path, 0)
    weights = tmp_path / "model.safetensors"
    weights.touch()
    assert not is_settled(tmp_path, quiet_seconds=60)
    os.utime(weights, (time.time() - 120, time.time() - 120))
    assert is_settled(tmp_path, quiet_seconds=60)
    unfinished = tmp_path / "model-2.safetensors.tmp"
    unfinished.touch()
    os.utime(unfinished, (0, 0))
    assert not is_settled(tmp_path, quiet_seconds=60)

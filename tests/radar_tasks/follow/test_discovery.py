"""Finding the checkpoints of a run."""

import os
import time

import pytest

from radar_tasks.errors import CheckpointError
from radar_tasks.follow.discovery import find_checkpoints, is_settled, signature


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


def test_what_cannot_be_tracked_says_why(tmp_path):
    with pytest.raises(CheckpointError, match="No folder matches"):
        find_checkpoints([str(tmp_path / "nothing-*")])
    folders(tmp_path, "final")
    with pytest.raises(CheckpointError, match="final cannot be told from its name"):
        find_checkpoints([str(tmp_path / "final")])
    folders(tmp_path, "Qwen2-VL-7B")  # its size is no step
    with pytest.raises(CheckpointError, match="cannot be told"):
        find_checkpoints([str(tmp_path / "Qwen*")])
    folders(tmp_path, "a-step5", "b-step5")
    with pytest.raises(CheckpointError, match="both step 5"):
        find_checkpoints([str(tmp_path / "?-step5")])


def test_a_folder_still_being_written_is_not_settled(tmp_path):
    def settled():
        return is_settled(signature(tmp_path), quiet_seconds=60)

    assert not settled()
    weights = tmp_path / "model.safetensors"
    weights.touch()
    assert not settled()
    os.utime(weights, (time.time() - 120, time.time() - 120))
    assert settled()
    unfinished = tmp_path / "model-2.safetensors.tmp"
    unfinished.touch()
    os.utime(unfinished, (0, 0))
    assert not settled()


def test_a_signature_changes_with_any_file(tmp_path):
    (tmp_path / "sub").mkdir()
    weights = tmp_path / "sub" / "weights"
    weights.write_text("abc")
    first = signature(tmp_path)
    weights.write_text("abd")
    os.utime(weights, (0, 0))
    assert signature(tmp_path) != first
    assert signature(tmp_path) == signature(tmp_path)

"""Finding the checkpoints of a run."""

import os
import socket
import time

import pytest

from radar_tasks.errors import CheckpointError
from radar_tasks.follow.discovery import find_checkpoints, is_settled, seconds_ahead, signature


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


def test_a_trainings_folder_stands_for_the_checkpoints_inside(tmp_path):
    run = tmp_path / "exp-2024"  # a number in its name, and a Trainer's last model in it
    for name in ("", "checkpoint-500", "checkpoint-1000"):
        (run / name).mkdir(exist_ok=True)
        (run / name / "model.safetensors").touch()
    folders(run, "logs-2026", "checkpoint-1500")  # no checkpoint, and none yet
    assert [c.step for c in find_checkpoints([str(run)])] == [500, 1000]
    other = tmp_path / "exp"
    other.mkdir()
    (other / "config.json").touch()
    (run / "checkpoint-500").rename(other / "global_step500")
    assert [c.name for c in find_checkpoints([str(other)])] == ["global_step500"]
    (run / "config.json").touch()  # now it says that it is a checkpoint itself, and its name has a step
    assert [c.step for c in find_checkpoints([str(run)])] == [2024]


def test_files_of_a_clock_that_is_ahead_are_settled_when_they_are_left_alone(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.touch()
    os.utime(weights, (time.time() + 7200,) * 2)
    files = signature(tmp_path)
    assert seconds_ahead(files) == pytest.approx(7200, abs=60)
    assert not is_settled(files, 20, unchanged_seconds=19)
    assert is_settled(files, 20, unchanged_seconds=20)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_what_is_no_file_is_named_and_not_waited_for(tmp_path, kind, monkeypatch):
    file = tmp_path / "model.safetensors"
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "socket":
        socket.socket(socket.AF_UNIX).bind(file.name)
    else:
        file.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match=r"model.safetensors is not a file"):
        signature(tmp_path)


def test_a_link_that_leads_nowhere_is_no_change(tmp_path):
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "config.json").touch()
    assert [name for name, _, _ in signature(tmp_path)] == ["config.json"]


def test_a_folder_is_meant_as_it_is_called(tmp_path):
    for name in ("a [x]", "a *", "a x"):
        (tmp_path / name / "step-100").mkdir(parents=True)
        (tmp_path / name / "step-100" / "config.json").write_text("{}")
    for name in ("a [x]", "a *"):
        assert [c.folder for c in find_checkpoints([str(tmp_path / name)])] == [tmp_path / name / "step-100"]
    assert [c.folder.parent.name for c in find_checkpoints([str(tmp_path / "a [xy]" / "step-*")])] == ["a x"]

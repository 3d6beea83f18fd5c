"""A checkpoint spread over ranks by transformers' tensor-parallel plan: the scores of one process, groups of ranks."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import checkpoint_options, load
from radar_tasks.scoring.checkpoints.formats import FORMATS
from radar_tasks.scoring.checkpoints.recognition import recognise
from radar_tasks.scoring.checkpoints.tensor_parallel import refuse_undivided

SCRIPT = Path(__file__).with_name("tensor_parallel_scoring.py")
TESTS = Path(__file__).parents[3]
LAUNCH = ["-m", "torch.distributed.run", "--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]


def spread_over(ranks, folders, output):
    """What came out of each checkpoint, by the name of its folder."""
    command = [sys.executable, *LAUNCH, "--nproc_per_node", ranks, SCRIPT, output, *folders]
    path = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    done = subprocess.run(list(map(str, command)), env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(output.read_text())


@pytest.mark.timeout(700)
@pytest.mark.parametrize(
    ("ranks", "shares", "families"), [(2, 1, ["qwen2_vl", "gemma3", "llava_onevision"]), (4, 2, ["qwen2_vl"])]
)
def test_scores_are_those_of_one_process(tmp_path, ranks, shares, families):
    folders = {family: tiny_models.build(family, tmp_path / family) for family in families}
    found = spread_over(ranks, folders.values(), tmp_path / "many.json")
    for family in families:
        told = found[family]
        assert (told["shares"], told["same"], set(told["scores"])) == (shares, True, set(map(str, range(7))))
        assert told["alone"].keys() == told["scores"].keys()
        for index, logprobs in told["alone"].items():
            assert told["scores"][index] == pytest.approx(logprobs, abs=1e-5), family


def refused(folder, tp):
    found = recognise(checkpoint_options({"pretrained": str(folder)}))
    refuse_undivided(found, FORMATS[found.kind].parts(found), tp)


def test_what_cannot_be_divided_is_refused_before_loading(tmp_path):
    folder = tiny_models.build("qwen2_vl", tmp_path / "checkpoint")
    refused(folder, 2)
    with pytest.raises(CheckpointError, match=r"num_attention_heads is 4, which tp=3 does not divide"):
        refused(folder, 3)
    with pytest.raises(CheckpointError, match=r"num_key_value_heads is 2, which tp=4 does not divide"):
        refused(folder, 4)
    with pytest.raises(
        CheckpointError, match=r"tp=2 needs a number of processes that is a multiple of 2, and .* are 1"
    ):
        load(checkpoint_options({"pretrained": str(folder), "tp": 2}))


def test_no_weight_is_read_where_heads_do_not_divide(tmp_path, monkeypatch):
    folder = tiny_models.build("qwen2_vl", tmp_path / "checkpoint")

    def read(*_, **__):
        raise AssertionError("weights are read")

    monkeypatch.setattr("transformers.PreTrainedModel.from_pretrained", read)
    monkeypatch.setenv("WORLD_SIZE", "3")
    with pytest.raises(CheckpointError, match=r"num_attention_heads is 4, which tp=3 does not divide"):
        load(checkpoint_options({"pretrained": str(folder), "tp": 3}))


@pytest.mark.parametrize("more", [{"device": "cpu"}, {"device_map": "auto"}])
def test_tp_decides_about_devices(more):
    with pytest.raises(CheckpointError, match=r"leave device and device_map out"):
        checkpoint_options({"pretrained": "x", "tp": 2, **more})

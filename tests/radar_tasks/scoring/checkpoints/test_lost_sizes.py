"""A configuration that lost its sizes means the published model's: told before the memory of that one is taken."""

import json
import shutil
from pathlib import Path

import pytest
import tiny_models
import torch
import torch.distributed.checkpoint as dcp
import transformers
from parity_data import LLAVA, PARITY
from safetensors.torch import save_file

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import checkpoint_options, load

SIZES = {
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
    "head_dim", "layer_types", "rope_parameters", "rope_scaling",
}  # fmt: skip


@pytest.fixture(scope="module")
def qwen(tmp_path_factory):
    return tiny_models.build("qwen2_vl", tmp_path_factory.mktemp("models") / "qwen2_vl")


@pytest.fixture(autouse=True)
def nothing_is_made(monkeypatch):
    def made(*_, **__):
        raise AssertionError("a model was made")

    monkeypatch.setattr(transformers.PreTrainedModel, "from_pretrained", made)


def lose(file, *parts):
    """Takes the sizes out of a part of a configuration."""
    config = json.loads(file.read_text())
    part = config
    for name in parts:
        part = part[name]
    for name in SIZES & part.keys():
        del part[name]
    file.write_text(json.dumps(config))


def as_one_file(folder, weights):
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def as_bin(folder, weights):
    torch.save(weights, folder / "pytorch_model.bin")


def as_shards(folder, weights):
    names, places = sorted(weights), {}
    for number, half in enumerate((names[::2], names[1::2]), 1):
        file = f"model-{number:05d}-of-00002.safetensors"
        save_file({name: weights[name] for name in half}, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(half, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))


def as_gathered_state(folder, weights):
    torch.save(weights, folder / "pytorch_model_fsdp.bin")


def as_distributed(folder, weights):
    dcp.save({"model": weights}, checkpoint_id=folder, no_dist=True)


def as_zero(folder, weights):
    (folder / "global_step1").mkdir()
    torch.save({"module": weights}, folder / "global_step1" / "mp_rank_00_model_states.pt")


@pytest.mark.parametrize(
    "written", [as_one_file, as_bin, as_shards, as_gathered_state, as_distributed, as_zero], ids=lambda f: f.__name__
)
def test_of_a_native_model(qwen, tmp_path, written):
    folder = Path(shutil.copytree(qwen, tmp_path / "copy"))
    (folder / "model.safetensors").unlink()
    written(folder, tiny_models.make("qwen2_vl")[0].state_dict())
    lose(folder / "config.json", "text_config")
    with pytest.raises(CheckpointError, match=r"describes a model of [\d,]{11,} parameters"):
        load(checkpoint_options({"pretrained": str(folder)}))


def test_of_the_publishers_internvl(tmp_path):
    folder = Path(shutil.copytree(PARITY / "internvl_chat" / "model", tmp_path / "copy"))
    lose(folder / "config.json", "llm_config")
    with pytest.raises(CheckpointError, match=r"describes a model of [\d,]{11,} parameters"):
        load(checkpoint_options({"pretrained": str(folder)}))


def test_what_does_not_fit_is_named(tmp_path):
    folder = Path(shutil.copytree(PARITY / "internvl_chat" / "model", tmp_path / "copy"))
    config = json.loads((folder / "config.json").read_text())
    config["llm_config"]["intermediate_size"] *= 100
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"another shape than the configuration says: .*_proj.weight \(.* for \("):
        load(checkpoint_options({"pretrained": str(folder)}))


def test_of_a_projectors_language_model(tmp_path):
    copied = Path(shutil.copytree(LLAVA, tmp_path / "llava"))
    for place in ("projector", "base_llm"):
        lose(copied / place / "config.json")
    parts = {"model_base": "base_llm", "vision_tower": "siglip-tiny-patch14-384", "pretrained": "projector"}
    with pytest.raises(CheckpointError, match=r"describes a model of [\d,]{11,} parameters"):
        load(checkpoint_options({name: str(copied / place) for name, place in parts.items()}))

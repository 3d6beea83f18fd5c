"""Which of the weights in a folder are meant, and what is no weight at all."""

import json
import os
import shutil
from pathlib import Path

import pytest
import tiny_models
import torch
from parity_data import LLAVA
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from radar_tasks.cli.checkpoint import app
from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import checkpoint_options, load, recognise


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_models.build("qwen2_vl", tmp_path_factory.mktemp("models") / "qwen2_vl")


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "step-100"))


def chosen(folder, **more):
    return checkpoint_options({"pretrained": str(folder), **more})


def shards(folder, weights, count=2, suffix="safetensors", index=True):
    """Writes weights in several files, with or without their index."""
    stem, names, weight_map = "model" if suffix == "safetensors" else "pytorch_model", sorted(weights), {}
    for k in range(count):
        file, part = f"{stem}-{k + 1:05}-of-{count:05}.{suffix}", {name: weights[name] for name in names[k::count]}
        if suffix == "bin":
            torch.save(part, folder / file)
        else:
            save_file(part, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    if index:
        (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def new_step(folder):
    return {name: weight + 0.01 for name, weight in load_file(folder / "model.safetensors").items()}


def shards_of_a_new_step(folder):
    shards(folder, new_step(folder))


def shards_without_their_index_yet(folder):
    shards(folder, new_step(folder), index=False)


def two_kinds_of_shards(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards(folder, weights, 2)
    shards(folder, weights, 3, index=False)


def an_index_of_an_older_step(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    shards(folder, weights, 2)
    first = folder / "model-00001-of-00002.safetensors"
    save_file({f"{name}.new": weight for name, weight in load_file(first).items()}, first)


def shards_of_transformers(folder):
    shutil.copy(folder / "model.safetensors", folder / "shard-00001-model-00001-of-00001.safetensors")


def bin_twice(folder):
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    shards(folder, weights, suffix="bin")


def an_adapter(folder):
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(folder)}))
    shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")


def a_projector(folder):
    torch.save({}, folder / "mm_projector.bin")


def weights_named_in_the_configuration(folder):
    config = json.loads((folder / "config.json").read_text())
    shutil.copy(folder / "model.safetensors", folder / "other.safetensors")
    (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": "other.safetensors"}))


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (shards_of_a_new_step, r"weights twice, model.safetensors and model.safetensors.index.json"),
        (shards_without_their_index_yet, r"shards that do not belong .*model-00001-of-00002.safetensors"),
        (two_kinds_of_shards, r"shards that do not belong .*model-00001-of-00003.safetensors"),
        (
            an_index_of_an_older_step,
            r"model-00001-of-00002.safetensors holds other weights than model.safetensors.index",
        ),
        (shards_of_transformers, r"shards that do not belong .*shard-00001-model"),
        (bin_twice, r"weights twice, pytorch_model.bin and"),
        (an_adapter, r"a PEFT adapter and whole weights"),
        (a_projector, r"a LLaVA projector .*and whole weights"),
        (weights_named_in_the_configuration, r"names a file of weights of its own"),
    ],
)
def test_two_sets_of_weights_are_refused(folder, leave, message):
    leave(folder)
    with pytest.raises(CheckpointError, match=message):
        recognise(chosen(folder))


def a_bin_file(folder):
    torch.save(new_step(folder), folder / "pytorch_model.bin")
    return "pytorch_model.bin"


def bin_shards(folder):
    shards(folder, new_step(folder), suffix="bin")
    return "pytorch_model.bin.index.json"


def a_gathered_state(folder):
    torch.save(new_step(folder), folder / "pytorch_model_fsdp.bin")
    return "pytorch_model_fsdp.bin"


def a_sharded_state(folder):
    (folder / "pytorch_model_fsdp_0").mkdir()
    return "pytorch_model_fsdp_0"


def deepspeeds_state(folder):
    (folder / "global_step100").mkdir()
    return "global_step100"


@pytest.mark.parametrize("leave", [a_bin_file, bin_shards, a_gathered_state, a_sharded_state, deepspeeds_state])
def test_what_lies_beside_is_said(folder, made, leave, caplog):
    name = leave(folder)
    found = recognise(chosen(folder))
    assert [file.name for file in found.files] == ["model.safetensors"]
    assert found.beside == (name,)
    assert f"not read: {name}" in CliRunner().invoke(app, ["show", str(folder)]).output
    state = load(chosen(folder)).model.state_dict()
    assert f"not read: {name}" in caplog.text
    expected = load(chosen(made)).model.state_dict()
    assert all(torch.equal(state[weight], expected[weight]) for weight in expected)


def test_safetensors_shards_come_before_a_bin_file(folder, made):
    """As transformers takes them: what is fingerprinted is what is loaded."""
    weights = load_file(folder / "model.safetensors")
    a_bin_file(folder)
    (folder / "model.safetensors").unlink()
    shards(folder, weights)
    assert {file.suffix for file in recognise(chosen(folder)).files} == {".safetensors"}
    state, expected = (load(chosen(place)).model.state_dict() for place in (folder, made))
    assert all(torch.equal(state[name], expected[name]) for name in expected)


def test_a_folder_called_snapshots_is_not_the_hubs(made, tmp_path):
    """Only the cache's own layout is known by its commit; other weights in `snapshots/NAME` are other weights."""
    for place in ("snapshots/step-100", "snapshots/" + "a" * 40):
        folder = Path(shutil.copytree(made, tmp_path / place))
        first = recognise(chosen(folder)).fingerprint()
        save_file(new_step(folder), folder / "model.safetensors", metadata={"format": "pt"})
        assert first.startswith("xxh3-")
        assert recognise(chosen(folder)).fingerprint() != first
    of_hub = Path(shutil.copytree(made, tmp_path / "models--a--b" / "snapshots" / ("b" * 40)))
    assert recognise(chosen(of_hub)).fingerprint() == "b" * 40


# What is no file


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "more/template.jinja", "x"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.timeout(60)
def test_a_pipe_or_device_is_refused(folder, name, kind):
    place = folder / name
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("/dev/zero")
    with pytest.raises(CheckpointError, match=rf"{name} is not a file but a pipe"):
        recognise(chosen(folder))


@pytest.mark.timeout(60)
def test_a_pipe_in_any_part_is_refused(tmp_path, made):
    copied = Path(shutil.copytree(LLAVA, tmp_path / "llava"))
    (copied / "base_llm" / "tokenizer.json").unlink()
    os.mkfifo(copied / "base_llm" / "tokenizer.json")
    parts = {"model_base": str(copied / "base_llm"), "vision_tower": str(copied / "siglip-tiny-patch14-384")}
    with pytest.raises(CheckpointError, match=r"tokenizer.json is not a file but a pipe"):
        recognise(chosen(copied / "projector", **parts))
    with pytest.raises(CheckpointError, match=r"tokenizer.json is not a file but a pipe"):
        recognise(chosen(made, processor=str(copied / "base_llm")))


def test_a_link_that_leads_nowhere_is_not_in_the_way(folder):
    (folder / "latest").symlink_to("gone")
    assert recognise(chosen(folder)).kind == "native"


@pytest.mark.parametrize("levels", [101, 5_000, 200_000])
def test_json_nested_too_deep(folder, levels):
    (folder / "config.json").write_text('{"a":' * levels + "1" + "}" * levels)
    with pytest.raises(CheckpointError, match=r"nested (too deep|deeper than 100)"):
        recognise(chosen(folder))
    (folder / "config.json").write_text('{"a": ' + "[" * levels + "]" * levels + "}")
    with pytest.raises(CheckpointError, match=r"nested (too deep|deeper than 100)"):
        recognise(chosen(folder))


@pytest.mark.parametrize("file", ["tokenizer_config.json", "processor_config.json", "generation_config.json"])
def test_other_json_nested_too_deep(folder, file):
    (folder / file).write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(CheckpointError):
        load(chosen(folder))


def test_a_header_nested_too_deep(folder):
    header = b'{"a":' * 50_000 + b"1" + b"}" * 50_000
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(CheckpointError, match=r"cut short"):
        recognise(chosen(folder))


def test_a_pointer_of_git_lfs_is_told_as_such(folder):
    (folder / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 5\n")
    with pytest.raises(CheckpointError, match=r"model\.safetensors is a pointer of Git LFS.*git lfs pull"):
        recognise(chosen(folder))


def test_a_revision_of_a_folder_is_refused(folder):
    with pytest.raises(CheckpointError, match="revision=step-5 is one of the Hub, and .* is a folder here"):
        recognise(chosen(folder, revision="step-5"))
    assert recognise(chosen(folder, revision="main")).folder == folder


def test_show_takes_what_lmms_eval_takes_and_one_checkpoint(folder):
    shown = CliRunner().invoke(app, ["show", str(folder), "--model-args", "scoring=shared,prior=blind,strict=true"])
    assert shown.exit_code == 0
    other = CliRunner().invoke(app, ["show", str(folder), "--model-args", "pretrained=elsewhere"])
    assert isinstance(other.exception, CheckpointError)
    assert "the checkpoint is named already" in str(other.exception)

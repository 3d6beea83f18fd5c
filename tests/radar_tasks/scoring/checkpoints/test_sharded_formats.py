"""Checkpoints as a sharded training leaves them: torch's distributed ones, DeepSpeed's; read, converted, explained."""

import contextlib
import json
import math
import os
import shutil
import sys
import types
from pathlib import Path

import pytest
import tiny_models
import torch
import torch.distributed.checkpoint as dcp
from parity_data import one_option
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageWriter
from transformers.distributed import consolidate_distributed_checkpoint
from typer.testing import CliRunner

from radar_tasks.cli.checkpoint import app
from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import checkpoint_options, load, recognise
from radar_tasks.scoring.checkpoints.convert import convert

QUESTION = tiny_models.question(images=1)
WEIGHTS = ("*.safetensors", "*.bin")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_models.build("qwen2_vl", tmp_path_factory.mktemp("models") / "qwen2_vl")


@pytest.fixture(scope="module")
def state(made):
    return load(chosen(made)).model.state_dict()


@pytest.fixture
def folder(made, tmp_path):
    """Configuration and processor, no weights yet."""
    place = Path(shutil.copytree(made, tmp_path / "step-100"))
    (place / "model.safetensors").unlink()
    return place


def chosen(folder, **more):
    return checkpoint_options({"pretrained": str(folder), "dtype": "float32", **more})


def scores(checkpoint):
    encoded = checkpoint.encode(QUESTION)
    return [one_option(checkpoint.model, encoded, k)[0] for k in range(len(encoded.scored))]


def same(folder, made, **more):
    found = load(chosen(folder, **more))
    assert scores(found) == scores(load(chosen(made)))
    return found


# torch's distributed checkpoints


def optimizer(state):
    return {"state": {f"{name}.exp_avg": value for name, value in state.items()}, "step": 3}


NESTINGS = {
    "accelerate": lambda s: {"model": s},
    "torchtitan": lambda s: {**s, "optimizer": optimizer(s), "train_state": {"step": 100}},
    "an app": lambda s: {"app": {"model": s, "optim": optimizer(s)}},
    "compiled": lambda s: {"model": {f"_orig_mod.{name}": value for name, value in s.items()}},
    "recomputed": lambda s: {
        "model": {name.replace("layers.0.", "layers.0._checkpoint_wrapped_module."): v for name, v in s.items()}
    },
    "beside an average": lambda s: {"model": s, "ema": {name: value + 1 for name, value in s.items()}},
    "a loop of one's own": lambda s: {"trained": {"net": s}},
}


@pytest.mark.parametrize("nesting", NESTINGS)
def test_a_distributed_checkpoint_is_read(folder, made, state, nesting):
    dcp.save(NESTINGS[nesting](state), checkpoint_id=folder, no_dist=True)
    found = same(folder, made)
    assert (found.kind, found.model_type) == ("torch_distributed", "qwen2_vl")


@pytest.mark.parametrize("below", ["pytorch_model_fsdp_0", "model", "model_and_optim"])
def test_it_may_lie_one_folder_below(folder, made, state, below):
    dcp.save({"model": state}, checkpoint_id=folder / below, no_dist=True)
    dcp.save(optimizer(state), checkpoint_id=folder / "optimizer_0", no_dist=True)
    same(folder, made)
    dcp.save({"model": state}, checkpoint_id=folder / "another", no_dist=True)
    with pytest.raises(CheckpointError, match=r"several distributed checkpoints \(another, "):
        recognise(chosen(folder))


def test_configuration_and_processor_from_elsewhere(tmp_path, made, state):
    """A loop that saves its state alone."""
    alone = tmp_path / "step-100"
    dcp.save({"model": state}, checkpoint_id=alone, no_dist=True)
    with pytest.raises(CheckpointError, match=r"shards of a training and no config.json: .*config=FOLDER_OR_NAME"):
        recognise(chosen(alone))
    same(alone, made, config=str(made))
    found = recognise(chosen(alone, config=str(made)))
    assert found.describe()["name"] == "step-100"
    assert {file.parent for file in found.files} == {alone}


def test_the_fingerprint_is_of_the_shards_also_beside_a_configuration_of_the_hub(tmp_path, made, state):
    hub = Path(shutil.copytree(made, tmp_path / "models--a--b" / "snapshots" / ("c" * 40)))
    prints = set()
    for step in (1, 2):
        place = tmp_path / f"step-{step}"
        dcp.save({"model": {n: v + step for n, v in state.items()}}, checkpoint_id=place, no_dist=True)
        prints.add(recognise(chosen(place, config=str(hub))).fingerprint())
    assert len(prints) == 2
    assert all(print_.startswith("xxh3-") for print_ in prints)


def test_names_that_are_not_transformers(folder, state):
    dcp.save({"model": {"tok_embeddings.weight": torch.ones(4, 4)}}, checkpoint_id=folder / "a", no_dist=True)
    with pytest.raises(CheckpointError, match=r"no weights under the names of transformers' model .*tok_embeddings"):
        load(chosen(folder))
    shutil.rmtree(folder / "a")
    partly = {name: value for name, value in state.items() if "layers.1.mlp" not in name}
    dcp.save({"model": partly}, checkpoint_id=folder / "b", no_dist=True)
    with pytest.raises(CheckpointError, match=r"weights are missing: \S*layers.1.mlp"):
        load(chosen(folder))
    shutil.rmtree(folder / "b")
    dcp.save({"student": state, "teacher": state}, checkpoint_id=folder / "c", no_dist=True)
    with pytest.raises(CheckpointError, match=r"holds the model several times: under student., teacher."):
        load(chosen(folder))


def test_a_missing_rank(folder, state):
    dcp.save({"model": state}, checkpoint_id=folder, no_dist=True)
    (folder / "__0_0.distcp").unlink()
    with pytest.raises(CheckpointError, match=r"lacks __0_0.distcp"):
        recognise(chosen(folder))


def test_megatron_is_told(folder, state):
    dcp.save({"model": state}, checkpoint_id=folder / "iter_0000100", no_dist=True)
    torch.save({}, folder / "iter_0000100" / "common.pt")
    with pytest.raises(CheckpointError, match=r"a checkpoint of Megatron.*Export it"):
        recognise(chosen(folder))


@pytest.mark.parametrize("file", ["mp_rank_00/model_optim_rng.pt", "iter_0000100/mp_rank_01/model_optim_rng.pt"])
def test_megatrons_older_format_is_told_with_and_without_a_configuration(folder, file):
    (folder / file).parent.mkdir(parents=True)
    (folder / file).touch()
    for _ in range(2):
        with pytest.raises(CheckpointError, match=r"a checkpoint of Megatron.*Export it"):
            recognise(chosen(folder))
        (folder / "config.json").unlink(missing_ok=True)


def test_pieces_that_transformers_leaves_of_a_sharded_model_are_told_and_read_when_they_are_put_together(
    folder, made, state, tmp_path
):
    writer = HuggingFaceStorageWriter(path=str(folder), save_distributed=True, enable_consolidation=False)
    dcp.save(dict(state), storage_writer=writer)
    with pytest.raises(CheckpointError, match=r"distributed_checkpoint=True\): put them together .*NEW_FOLDER"):
        recognise(chosen(folder))
    together = tmp_path / "together"
    consolidate_distributed_checkpoint(str(folder), str(together))
    for file in folder.glob("*.json"):
        shutil.copy(file, together)
    same(together, made)


def test_show_and_convert(folder, made, state, tmp_path):
    dcp.save({"model": state}, checkpoint_id=folder / "pytorch_model_fsdp_0", no_dist=True)
    shown = CliRunner().invoke(app, ["show", str(folder)])
    assert shown.exit_code == 0, shown.output
    assert "torch_distributed" in shown.output
    assert "__0_0.distcp" in shown.output
    convert(chosen(folder), tmp_path / "whole")
    assert same(tmp_path / "whole", made).kind == "native"


# DeepSpeed


@contextlib.contextmanager
def deepspeed_named():
    """Classes under DeepSpeed's names, which its files hold, for as long as a file is written."""
    names = {"deepspeed.runtime.fp16.loss_scaler": "LossScaler", "deepspeed.runtime.zero.config": "ZeroStageEnum"}
    kinds = {kind: type(kind, (), {"__module__": name}) for name, kind in names.items()}
    modules = {}
    for name, kind in names.items():
        parts = name.split(".")
        for end in range(1, len(parts) + 1):
            modules.setdefault(".".join(parts[:end]), types.ModuleType(".".join(parts[:end])))
        setattr(modules[name], kind, kinds[kind])
    sys.modules.update(modules)
    try:
        yield kinds
    finally:
        for name in modules:
            del sys.modules[name]


def write_zero(folder, state, stage, ranks, frozen=()):
    """A folder as DeepSpeed 0.19 writes it, from what is known of its layout and not from the reader's code."""
    place = folder / "global_step100"
    place.mkdir()
    (folder / "latest").write_text("global_step100")
    (folder / "zero_to_fp32.py").write_text("raise SystemExit('code of the checkpoint')")
    buffers = {"rope.offset": torch.tensor([3.0])}
    trained = [name for name in state if name not in frozen]
    shapes = [{name: state[name].shape for name in trained[k::2]} for k in range(2)]
    common = {
        "ds_config": {"zero_optimization": {"stage": stage}}, "ds_version": "0.19.8", "dp_world_size": ranks,
        "mp_world_size": 1, "param_shapes": shapes, "buffer_names": list(buffers), "shared_params": [],
        "frozen_param_shapes": {name: state[name].shape for name in frozen} or None,
    }  # fmt: skip
    with deepspeed_named() as kinds:
        for rank in range(ranks):
            part, flat = {}, []
            for group in shapes:
                for name in group:
                    size = math.ceil(state[name].numel() / ranks)
                    padded = torch.zeros(size * ranks)
                    padded[: state[name].numel()] = state[name].reshape(-1).float()
                    flat.append(padded[rank * size : (rank + 1) * size])
            for name in frozen:
                size = math.ceil(state[name].numel() / ranks)
                part[name] = state[name].reshape(-1)[rank * size : (rank + 1) * size].clone()
            if stage == 3:
                empty = {name: torch.empty(0) for name in state} | buffers
                model = common | {"module": empty, "frozen_param_fragments": part or None}
                torch.save(model, place / f"zero_pp_rank_{rank}_mp_rank_00_model_states.pt")
            elif rank == 0:
                torch.save(common | {"module": state | buffers}, place / "mp_rank_00_model_states.pt")
            cut = len(flat) // 2
            inner = {
                "loss_scaler": kinds["LossScaler"](), "zero_stage": kinds["ZeroStageEnum"](), "partition_count": ranks,
                "fp32_flat_groups": [torch.cat(flat[:cut]), torch.cat(flat[cut:])],
            }  # fmt: skip
            optim = {"optimizer_state_dict": inner, "ds_config": {}, "ds_version": "0.19.8"}
            torch.save(optim, place / f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt")
    return place


@pytest.mark.parametrize(("stage", "ranks"), [(1, 2), (2, 4), (3, 1), (3, 2), (3, 4), (3, 12)])
def test_a_zero_folder_is_read(folder, made, state, stage, ranks):
    write_zero(folder, state, stage, ranks)
    found = same(folder, made)
    assert found.kind == "deepspeed_zero"
    same(folder / "global_step100", made, config=str(made))


def test_frozen_weights_of_zero_3(folder, made, state):
    write_zero(folder, state, 3, 3, frozen=[name for name in state if "visual" in name])
    same(folder, made)


def test_zero_without_its_latest_and_converted(folder, made, state, tmp_path):
    write_zero(folder, state, 3, 2)
    (folder / "latest").unlink()
    shown = CliRunner().invoke(app, ["show", str(folder)]).output
    assert "deepspeed_zero" in shown
    convert(chosen(folder), tmp_path / "whole")
    assert same(tmp_path / "whole", made).kind == "native"


def test_a_rank_of_zero_is_missing(folder, state):
    place = write_zero(folder, state, 3, 3)
    (place / "bf16_zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    with pytest.raises(CheckpointError, match=r"the models of 3 ranks and the optimizers of 0: one is missing"):
        recognise(chosen(folder))
    for kind in ("model", "optim"):
        for file in place.glob(f"*rank_[12]_*{kind}_states.pt"):
            file.unlink()
    with pytest.raises(CheckpointError, match=r"of \[3\] ranks, and the files are of 1"):
        load(chosen(folder))


def test_zero_with_tensor_parallelism_is_told(folder, state):
    place = write_zero(folder, state, 1, 1)
    shutil.copy(place / "mp_rank_00_model_states.pt", place / "mp_rank_01_model_states.pt")
    with pytest.raises(CheckpointError, match=r"tensor or pipeline parallelism"):
        recognise(chosen(folder))


class Runs:
    def __init__(self, mark):
        self._mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self._mark}",)


@pytest.mark.parametrize("stage", [1, 3])
def test_code_in_zeros_files_does_not_run(folder, state, stage, tmp_path):
    place = write_zero(folder, state, stage, 1)
    for file in place.iterdir():
        content = torch.load(file, weights_only=False, pickle_module=_LENIENT)
        torch.save(content | {"args": Runs(tmp_path / "ran")}, file)
    with pytest.raises(CheckpointError, match=r"of which nothing was run|posix"):
        load(chosen(folder))
    assert not (tmp_path / "ran").exists()


class _LENIENT:
    """For this test's own file: any class is a dict."""

    import pickle as _pickle

    load = staticmethod(_pickle.load)

    class Unpickler(_pickle.Unpickler):
        def find_class(self, module, name):
            return dict if module.startswith("deepspeed") else super().find_class(module, name)


def test_whole_weights_are_read_before_shards(made, state, tmp_path, folder):
    shutil.copy(made / "model.safetensors", folder)
    write_zero(folder, {name: value + 1 for name, value in state.items()}, 3, 2)
    found = same(folder, made)
    assert found.kind == "native"
    assert found.recognised.beside == ("global_step100",)


def test_an_index_of_what_is_known_of_every_kind(folder, made, state):
    """`describe` holds the kind, so that results of a sharded checkpoint say what was read."""
    dcp.save({"model": state}, checkpoint_id=folder, no_dist=True)
    said = recognise(chosen(folder)).describe()
    assert said["kind"] == "torch_distributed"
    json.dumps(said)

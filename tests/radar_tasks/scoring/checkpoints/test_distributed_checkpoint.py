"""torch's distributed checkpoints: read to the bit, and nothing in them runs."""

import collections
import os
import pickle
import resource
import shutil

import pytest
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import Metadata

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.distributed_checkpoint import sharded_tensors

TENSORS = {
    "a.weight": torch.arange(12.0).reshape(3, 4),
    "half": torch.arange(5).bfloat16(),
    "scalar": torch.tensor(3.5, dtype=torch.float64),
    "empty": torch.empty(0, 4),
    "count": torch.tensor([7]),
}


@pytest.fixture
def folder(tmp_path):
    state = {"model": TENSORS, "step": 7, "optimizer": {"betas": [0.9, 0.95]}}
    dcp.save(state, checkpoint_id=tmp_path / "dcp", no_dist=True)
    return tmp_path / "dcp"


def test_tensors_are_read_as_they_were_saved(folder):
    found = {name: tensor.read() for name, tensor in sharded_tensors(folder).items()}
    assert set(found) == {f"model.{name}" for name in TENSORS}
    for name, tensor in TENSORS.items():
        assert found[f"model.{name}"].dtype == tensor.dtype
        assert torch.equal(found[f"model.{name}"], tensor)


class Runs:
    """Un-pickled, it calls something."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.system, exec, eval, getattr, pickle.loads, shutil.rmtree, collections.Counter])
@pytest.mark.parametrize("place", ["alone", "state_dict_metadata", "planner_data", "storage_data", "storage_meta"])
def test_nothing_in_the_metadata_runs(folder, tmp_path, function, place):
    bomb = Runs(function, f"touch {tmp_path / 'ran'}")
    metadata = bomb if place == "alone" else Metadata(**{"state_dict_metadata": {}, place: {"x": bomb}})
    (folder / ".metadata").write_bytes(pickle.dumps(metadata))
    with pytest.raises(CheckpointError, match=r"nothing in it was run .*none of torch's metadata"):
        sharded_tensors(folder)
    assert not (tmp_path / "ran").exists()


def test_torchs_classes_are_left_as_they_are(folder):
    """A pickle can set attributes of a class that it names; of torch's it must not."""
    state = b"\x80\x04ctorch.distributed.checkpoint.metadata\nMetadata\n(N}\x8c\x04evilK\x01stb."
    (folder / ".metadata").write_bytes(state)
    with pytest.raises(CheckpointError, match=r"nothing in it was run"):
        sharded_tensors(folder)
    assert not hasattr(Metadata, "evil")


def test_one_damaged_byte_takes_no_gigabytes(folder):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    (folder / ".metadata").write_bytes(b"\x80\x04Nr\x00\x00\x00\x08.")
    with pytest.raises(CheckpointError, match=r"is not the metadata"):
        sharded_tensors(folder)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KiB


def change(folder, edit):
    """Rewrites the metadata."""
    file = folder / ".metadata"
    metadata = pickle.loads(file.read_bytes())
    edit(metadata)
    file.write_bytes(pickle.dumps(metadata))


def weight(metadata):
    return next(info for index, info in metadata.storage_data.items() if index.fqn == "model.a.weight")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda m: setattr(weight(m), "relative_path", "../secret"), "outside its folder"),
        (lambda m: setattr(weight(m), "relative_path", "/etc/passwd"), "outside its folder"),
        (lambda m: setattr(weight(m), "relative_path", "__1_0.distcp"), "lacks __1_0.distcp"),
        (lambda m: setattr(weight(m), "length", 1 << 60), "cut short"),
        (lambda m: setattr(weight(m), "offset", -1), "damaged"),
        (lambda m: setattr(weight(m), "transform_descriptors", ["zstd"]), "compressed"),
        (lambda m: setattr(m.state_dict_metadata["model.a.weight"], "size", torch.Size([1 << 40, 4])), "do not make"),
        (lambda m: m.state_dict_metadata["model.a.weight"].chunks.clear(), "do not make the whole"),
        (lambda m: m.storage_data.clear(), "damaged"),
        (lambda m: setattr(m, "storage_data", None), "damaged"),
    ],
)
def test_metadata_that_does_not_fit_its_files(folder, edit, message):
    change(folder, edit)
    with pytest.raises(CheckpointError, match=message):
        sharded_tensors(folder)


def test_a_file_with_something_else_at_the_place(folder):
    change(folder, lambda m: setattr(weight(m), "offset", 0))
    tensor = sharded_tensors(folder)["model.a.weight"]
    with pytest.raises(CheckpointError, match=r"__0_0.distcp"):
        tensor.read()


def test_code_in_the_place_of_a_tensor_does_not_run(folder, tmp_path):
    bomb = tmp_path / "bomb"
    torch.save(Runs(os.system, f"touch {tmp_path / 'ran'}"), bomb)
    (folder / "__0_0.distcp").write_bytes(bomb.read_bytes())

    def point_at_it(metadata):
        weight(metadata).offset, weight(metadata).length = 0, bomb.stat().st_size
        metadata.state_dict_metadata = {"model.a.weight": metadata.state_dict_metadata["model.a.weight"]}

    change(folder, point_at_it)
    with pytest.raises(CheckpointError, match=r"cannot be read"):
        sharded_tensors(folder)["model.a.weight"].read()
    assert not (tmp_path / "ran").exists()

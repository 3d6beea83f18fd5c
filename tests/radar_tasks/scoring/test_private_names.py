"""Private names of torch and transformers that the engine touches: where, and whether they are as they were seen."""

import ast
import importlib
import inspect
from pathlib import Path

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.testing._internal.distributed.fake_pg import FakeStore

import radar_tasks
from radar_tasks.scoring.engine.sharded_parts import parts_of

PACKAGE = Path(radar_tasks.__file__).parent
LIBRARIES = ("torch", "transformers", "accelerate", "deepspeed")

SEEN = {
    "scoring/checkpoints/tensor_parallel.py": {
        "transformers.distributed.utils._ensure_torch_distributed": ["device_type"],
        "transformers.distributed.utils._bind_local_device": ["device_type", "local_rank"],
    },
    "scoring/engine/collectives.py": {
        "torch.utils._python_dispatch": None,
        "torch.utils._pytree": None,
    },
    "scoring/engine/sharded_parts.py": {
        "torch.distributed.fsdp._common_utils": None,
        "torch.distributed.fsdp._fully_shard._fsdp_common": None,
        "torch.distributed.fsdp._init_utils": None,
        "torch.distributed.fsdp._runtime_utils": None,
        "torch.distributed.fsdp._runtime_utils._lazy_init": ["state", "root_module"],
        "torch.distributed.fsdp._runtime_utils._reshard": ["state", "handle", "free_unsharded_flat_param"],
        "torch.distributed.fsdp._runtime_utils._unshard": ["state", "handle", "unshard_stream", "pre_unshard_stream"],
    },
    "scoring/engine/watchdog.py": {
        "torch.distributed.distributed_c10d._get_default_store": [],
    },
}
"""By file the private names and modules, seen in torch 2.15 and transformers 5.23, with the arguments of functions."""


def private(name):
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def private_names(file):
    """Dotted names of these libraries that a file reaches by its imports, as far as they are private."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    known, found = {}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                known[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
                found.add(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module:
            known |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names if private(alias.name))}
    for node in ast.walk(tree):
        chain, inner = [], node
        while isinstance(inner, ast.Attribute):
            chain.append(inner.attr)
            inner = inner.value
        if chain and isinstance(inner, ast.Name) and inner.id in known and private(chain[0]):
            found.add(".".join([known[inner.id], *reversed(chain)]))
    return {name for name in found if name.split(".")[0] in LIBRARIES and private(name)}


def test_private_names_are_touched_where_the_table_says():
    touched = {str(file.relative_to(PACKAGE)): private_names(file) for file in PACKAGE.rglob("*.py")}
    elsewhere = {
        file: names
        for file, names in touched.items()
        if names and not file.startswith("harness/patches/") and file not in ("scoring/families.py", *SEEN)
    }
    assert not elsewhere
    assert {file: touched[file] for file in SEEN} == {file: set(names) for file, names in SEEN.items()}


@pytest.mark.parametrize(("name", "arguments"), [item for names in SEEN.values() for item in names.items()])
def test_they_are_as_they_were_seen(name, arguments):
    if arguments is None:
        importlib.import_module(name)
        return
    module, function = name.rsplit(".", 1)
    assert list(inspect.signature(getattr(importlib.import_module(module), function)).parameters) == arguments


def test_transformers_asks_one_function_for_its_mesh():
    """`tensor_parallel.py` puts another in its place; the class of the mesh takes two."""
    mixin, utils = (importlib.import_module(f"transformers.distributed.{name}") for name in ("mixin", "utils"))
    assert mixin.initialize_distributed_mesh is utils.initialize_distributed_mesh
    assert "initialize_distributed_mesh(" in inspect.getsource(mixin)
    assert next(iter(inspect.signature(utils.initialize_distributed_mesh).parameters)) == "distributed_config"
    assert len(inspect.signature(utils.TransformersDeviceMesh).parameters) == 2


@pytest.fixture
def two_ranks():
    """The other of which is torch's own pretence: operations do nothing."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield
    distributed.destroy_process_group()


def sharded(way):
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    if way == "fsdp1":
        return FullyShardedDataParallel(model, use_orig_params=True, device_id=torch.device("cpu"))
    mesh = init_device_mesh("cpu", (2,))
    fully_shard(model[0], mesh=mesh)
    return fully_shard(model, mesh=mesh)


@pytest.mark.parametrize("way", ["fsdp1", "fsdp2"])
def test_attributes_of_sharded_modules_are_as_they_were_seen(two_ranks, way):
    """All that `sharded_parts.py` touches of FSDP's objects: a part is gathered, lent, left and put back."""
    model = sharded(way)
    parts = parts_of(model)
    undo = [part.quiet() for part in parts]
    for part in parts:
        assert (part.whole, part.in_use) == (False, False)
        part.gather()
        assert part.whole
        part.lend()
        assert part.whole
        part.release()
        assert not part.whole
        part.gather()
        part.abandon()
        assert not part.whole
        assert part.dtype is None
        assert part.device == torch.device("cpu")
    for put_back in undo:
        put_back()
    with torch.no_grad():
        assert model(torch.ones(2, 4)).shape == (2, 4)

"""Every operation among ranks is announced, whoever begins it, when its memory is there; one that fails is told."""

import pytest
import torch
from torch import distributed, nn
from torch.distributed import _functional_collectives as functional
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode

from radar_tasks.scoring.engine.collectives import BeforeCollectives


@pytest.fixture(scope="module")
def mesh():
    """Of two ranks, the other of which is torch's own pretence: operations do nothing, but go the same way."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield init_device_mesh("cpu", (2,))
    distributed.destroy_process_group()


def never(error):
    raise AssertionError("an operation has failed") from error


def by_plan_of_torch(mesh):
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    parallelize_module(layers, mesh, {"0": ColwiseParallel(), "1": RowwiseParallel()})
    return lambda: layers(torch.ones(2, 4))


def operations(mesh):
    one = torch.ones(4)
    partial, sharded = DTensor.from_local(one, mesh, [Partial()]), DTensor.from_local(one, mesh, [Shard(0)])
    matrix = DTensor.from_local(torch.ones(2, 4), mesh, [Shard(0)])
    group = mesh.get_group()
    return {
        "all_reduce": lambda: distributed.all_reduce(one.clone()),
        "all_gather": lambda: distributed.all_gather([one.clone(), one.clone()], one),
        "broadcast": lambda: distributed.broadcast(one, 0),
        "all_to_all": lambda: distributed.all_to_all_single(one.clone(), one),
        "functional": lambda: functional.all_reduce(one, "sum", group).wait(),
        "functional, of several": lambda: functional.all_reduce_coalesced([one, one], "sum", group),
        "functional, gathered": lambda: functional.all_gather_tensor(one, 0, group).wait(),
        "functional, summed and spread": lambda: functional.reduce_scatter_tensor(one, "sum", 0, group).wait(),
        "functional, exchanged": lambda: functional.all_to_all_single(one, [2, 2], [2, 2], group).wait(),
        "with gradients": lambda: functional.all_gather_tensor_autograd(one, 0, group).wait(),
        "DTensor, summed": lambda: partial.redistribute(placements=[Replicate()]).to_local(),
        "DTensor, gathered": lambda: sharded.redistribute(placements=[Replicate()]).to_local(),
        "DTensor, spread otherwise": lambda: matrix.redistribute(placements=[Shard(1)]).to_local(),
        "a plan of torch": by_plan_of_torch(mesh),
    }


def test_each_operation_among_ranks_is_announced_before_it_runs(mesh):
    silent = []
    for name, operation in operations(mesh).items():
        announced = []
        with BeforeCollectives(lambda announced=announced: announced.append(1), never):
            operation()
        if not announced:
            silent.append(name)
    assert not silent


def test_what_is_raised_comes_instead_of_the_operation(mesh):
    def refuse():
        raise ValueError("not now")

    summed = torch.ones(4)
    with pytest.raises(ValueError, match="not now"), BeforeCollectives(refuse, never):
        distributed.all_reduce(summed)
    with pytest.raises(ValueError, match="not now"), BeforeCollectives(refuse, never):
        DTensor.from_local(summed, mesh, [Partial()]).redistribute(placements=[Replicate()]).to_local()


def test_nothing_else_is_announced_and_the_functions_own_operations_are_not(mesh):
    announced = []

    def announce():
        announced.append(1)
        distributed.all_reduce(torch.ones(1))

    with BeforeCollectives(announce, never):  # waiting needs no other rank
        functional.wait_tensor(torch.ones(2) @ torch.ones(2))
        assert not announced
        distributed.all_reduce(torch.ones(1))
    assert len(announced) == 1


class Seen(TorchDispatchMode):
    """Writes down what is done, and raises instead of one operation."""

    def __init__(self, broken=None):
        super().__init__()
        self.names, self.broken = [], broken

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        if str(func) == self.broken:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return func(*args, **(kwargs or {}))


def test_the_memory_of_a_result_is_there_when_the_operation_is_announced(mesh):
    with Seen() as seen, BeforeCollectives(lambda: seen.names.append("announced"), never):
        functional.all_reduce(torch.ones(4), "sum", mesh.get_group()).wait()
    kept = [name for name in seen.names if name == "announced" or "empty_like" in name or "functional" in name]
    assert kept[1:3] == ["aten.empty_like.default", "announced"]
    assert [name for name in kept if "all_reduce" in name] == [kept[0], kept[3]]  # by its shapes alone, then itself


def test_memory_that_is_not_there_is_no_failure_of_the_operation(mesh):
    announced = []
    with (
        pytest.raises(torch.OutOfMemoryError),
        Seen("aten.empty_like.default"),
        BeforeCollectives(lambda: announced.append(1), never),
    ):
        functional.all_reduce(torch.ones(4), "sum", mesh.get_group()).wait()
    assert not announced


def test_an_operation_that_fails_is_told(mesh):
    def told(error):
        raise ValueError(f"told: {error}")

    with (
        pytest.raises(ValueError, match="told: CUDA out of memory"),
        Seen("c10d.allreduce_.default"),
        BeforeCollectives(lambda: None, told),
    ):
        distributed.all_reduce(torch.ones(4))

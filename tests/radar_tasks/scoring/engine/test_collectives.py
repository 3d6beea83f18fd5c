"""Every operation among ranks is announced, whoever begins it; torch's private names for them are as they were."""

import pytest
import torch
from torch import distributed, nn
from torch.distributed import _functional_collectives as functional
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.testing._internal.distributed.fake_pg import FakeStore

from radar_tasks.scoring.engine.collectives import BeforeCollectives


@pytest.fixture(scope="module")
def mesh():
    """Of two ranks, the other of which is torch's own pretence: operations do nothing, but go the same way."""
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    yield init_device_mesh("cpu", (2,))
    distributed.destroy_process_group()


def by_plan_of_torch(mesh):
    layers = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    parallelize_module(layers, mesh, {"0": ColwiseParallel(), "1": RowwiseParallel()})
    return lambda: layers(torch.ones(2, 4))


def operations(mesh):
    one = torch.ones(4)
    partial, sharded = DTensor.from_local(one, mesh, [Partial()]), DTensor.from_local(one, mesh, [Shard(0)])
    group = mesh.get_group()
    return {
        "all_reduce": lambda: distributed.all_reduce(one.clone()),
        "all_gather": lambda: distributed.all_gather([one.clone(), one.clone()], one),
        "broadcast": lambda: distributed.broadcast(one, 0),
        "all_to_all": lambda: distributed.all_to_all_single(one.clone(), one),
        "functional": lambda: functional.all_reduce(one, "sum", group).wait(),
        "DTensor, summed": lambda: partial.redistribute(placements=[Replicate()]).to_local(),
        "DTensor, gathered": lambda: sharded.redistribute(placements=[Replicate()]).to_local(),
        "a plan of torch": by_plan_of_torch(mesh),
    }


def test_each_operation_among_ranks_is_announced_before_it_runs(mesh):
    silent = []
    for name, operation in operations(mesh).items():
        announced = []
        with BeforeCollectives(lambda announced=announced: announced.append(1)):
            operation()
        if not announced:
            silent.append(name)
    assert not silent


def test_what_is_raised_comes_instead_of_the_operation(mesh):
    def refuse():
        raise ValueError("not now")

    summed = torch.ones(4)
    with pytest.raises(ValueError, match="not now"), BeforeCollectives(refuse):
        distributed.all_reduce(summed)
    with pytest.raises(ValueError, match="not now"), BeforeCollectives(refuse):
        DTensor.from_local(summed, mesh, [Partial()]).redistribute(placements=[Replicate()]).to_local()


def test_nothing_else_is_announced_and_the_functions_own_operations_are_not(mesh):
    announced = []

    def announce():
        announced.append(1)
        distributed.all_reduce(torch.ones(1))

    with BeforeCollectives(announce):  # waiting needs no other rank
        functional.wait_tensor(torch.ones(2) @ torch.ones(2))
        assert not announced
        distributed.all_reduce(torch.ones(1))
    assert len(announced) == 1

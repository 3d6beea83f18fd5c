"""The model inside what a training puts around it."""

import pytest
import torch
from tiny_models import make, question
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.checkpoints.wrappers import called_model, unwrapped_model


@pytest.fixture
def one_rank():
    torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


def test_wrappers_are_taken_off_in_any_order(one_rank):
    model, processor = make("qwen2_vl")
    wrapped = [
        DistributedDataParallel(model),
        torch.compile(DistributedDataParallel(model), backend="eager"),
        DistributedDataParallel(torch.compile(model, backend="eager")),
        DataParallel(model),
    ]
    scores = list(Scorer(from_model(model, processor)).score([question()]))
    for each in wrapped:
        assert unwrapped_model(each) is model
        assert called_model(each) is model
        assert list(Scorer(from_model(each, processor)).score([question()])) == scores


def test_an_adapter_stays_on():
    import peft

    model, processor = make("qwen2_vl")
    adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"], init_lora_weights=False))
    assert unwrapped_model(adapted) is adapted
    ((_, with_adapter),) = Scorer(from_model(adapted, processor)).score([question()])
    with adapted.disable_adapter():
        ((_, without),) = Scorer(from_model(adapted, processor)).score([question()])
    assert with_adapter != without


def test_a_foreign_module_says_what_to_pass():
    class Policy(nn.Module):
        def __init__(self):
            super().__init__()
            self.vlm = make("qwen2_vl")[0]

    with pytest.raises(CheckpointError, match=r"a Policy is not a model of transformers: pass the one in it, `\.vlm`"):
        from_model(Policy(), None)
    with pytest.raises(CheckpointError, match="a Linear is not a model of transformers"):
        from_model(nn.Linear(1, 1), None)
    with pytest.raises(CheckpointError, match="str is not a model"):
        from_model("Qwen/Qwen2-VL-2B", None)

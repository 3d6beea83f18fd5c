"""What a training puts around a model, and the model inside.

torch.compile(DistributedDataParallel(model))          -> model
deepspeed.initialize(model=model)[0]                   -> model
FullyShardedDataParallel(model), fully_shard(model)    -> model, but the wrapped one must be called
"""

from __future__ import annotations

import sys
from typing import Any

from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DataParallel, DistributedDataParallel
from transformers import PreTrainedModel

from radar_tasks.errors import CheckpointError


def called_model(model: Any) -> Any:
    """The module to call: compiled graphs and wrappers that only serve gradients are taken off, FSDP's stay.

    DistributedDataParallel's and DeepSpeed's forwards prepare for a backward that will not come; a compiled model would
    be compiled anew for the shapes of questions. FSDP's forward gathers the weights.
    """
    while True:
        if _is_of("torch._dynamo", "OptimizedModule", model):
            model = model._orig_mod
        elif isinstance(model, DistributedDataParallel | DataParallel) or _is_of("deepspeed", "DeepSpeedEngine", model):
            model = model.module
        else:
            return model


def unwrapped_model(model: Any) -> Any:
    """The transformers model (perhaps with a PEFT adapter) inside whatever a training has put around it.

    Raises:
        CheckpointError: there is none.
    """
    inner = called_model(model)
    while isinstance(inner, FullyShardedDataParallel):
        inner = called_model(inner.module)
    if isinstance(inner, PreTrainedModel) or _is_of("peft", "PeftModel", inner):
        return inner
    if isinstance(inner, nn.Module):
        inside = [name for name, module in inner.named_modules() if isinstance(module, PreTrainedModel)]
        hint = f": pass the one in it, `.{inside[0]}`" if inside else ""
        raise CheckpointError(
            f"a {type(inner).__name__} is not a model of transformers{hint}. RADAR scores multimodal models of "
            "transformers, bare or wrapped by DistributedDataParallel, FSDP, DeepSpeed, torch.compile or PEFT."
        )
    raise CheckpointError(f"{type(inner).__name__} is not a model of transformers.")


def _is_of(package: str, class_name: str, model: Any) -> bool:
    """Whether a model is of a class of a package that is slow to import, or not there: what made it has imported it."""
    module = sys.modules.get(package)
    return module is not None and isinstance(model, getattr(module, class_name))

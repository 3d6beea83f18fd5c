"""A checkpoint spread over the ranks of a group by transformers' own tensor-parallel plan (`tp=4`).

The ranks of a job stand in groups of `tp`; each group has the whole model between its ranks, and a share of the
questions.

Private names, seen in transformers 5.23: its mesh takes every rank that is not tensor-parallel for one of FSDP, and has
no groups that hold a model each. So the function that makes the mesh is another one while a model is loaded
(`tests/radar_tasks/scoring/test_private_names.py` fails where it changes).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
from transformers.distributed import mixin, utils
from transformers.distributed.configuration_utils import DistributedConfig

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Recognised

DIVIDED = ("num_attention_heads", "num_key_value_heads", "intermediate_size", "hidden_size")
"""What a plan divides among the ranks of a group."""


def refuse_untold_groups(tp: int) -> None:
    """Raises `CheckpointError` unless the ranks of this job make whole groups."""
    ranks = distributed.get_world_size() if distributed.is_initialized() else int(os.environ.get("WORLD_SIZE", "1"))
    if ranks % tp:
        raise CheckpointError(
            f"tp={tp} needs a number of processes that is a multiple of {tp}, and there are {ranks}: start them with "
            f"torchrun --nproc_per_node {tp} -m lmms_eval … (or radar track)."
        )


def refuse_undivided(found: Recognised, parts: Parts, tp: int) -> None:
    """Raises `CheckpointError`, before any weight is read, for a model that cannot be divided among `tp` ranks."""
    if found.adapter is not None:
        raise CheckpointError(
            f"{found.adapter}: an adapter cannot be merged into a model that is spread over ranks: write them as one "
            f"first, radar checkpoint convert {found.adapter} NEW_FOLDER."
        )
    model_class: Any = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(parts.config)]
    with torch.device("meta"):
        model = model_class(parts.config)
    if not model.tp_plan:
        raise CheckpointError(
            f"{found.folder}: transformers has no tensor-parallel plan for {parts.config.model_type}: leave tp out, or "
            "use device_map=auto."
        )
    text = parts.config.get_text_config(decoder=True)
    for name in DIVIDED:
        size = getattr(text, name, None)
        if isinstance(size, int) and size % tp:
            raise CheckpointError(f"{found.folder}: {name} is {size}, which tp={tp} does not divide; use a smaller tp.")


@contextmanager
def divided_among(tp: int) -> Iterator[dict[str, Any]]:
    """While it lasts, `from_pretrained` with these arguments gives each group of `tp` ranks a model; alone, as ever."""
    if tp == 1:
        yield {}
        return
    where: Any = mixin
    own, where.initialize_distributed_mesh = where.initialize_distributed_mesh, _mesh_of_groups
    try:
        yield {"distributed_config": DistributedConfig(tp_size=tp, tp_plan="auto")}
    finally:
        where.initialize_distributed_mesh = own


def _mesh_of_groups(config: DistributedConfig) -> tuple[Any, Any]:
    """As transformers', with as many replicas of the model as there are groups."""
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    kind = "cpu" if accelerator is None else accelerator.type
    utils._ensure_torch_distributed(kind)
    groups, tp = distributed.get_world_size() // int(config.tp_size or 1), int(config.tp_size or 1)
    place = utils._bind_local_device(kind, int(os.environ.get("LOCAL_RANK", "0")))
    dense = init_device_mesh(kind, (1, groups, 1, tp), mesh_dim_names=("pp", "dp_replicate", "fsdp", "tp"))
    experts = init_device_mesh(kind, (1, groups, tp, 1), mesh_dim_names=("pp", "dp_replicate", "efsdp", "ep"))
    return place, utils.TransformersDeviceMesh(dense, experts)

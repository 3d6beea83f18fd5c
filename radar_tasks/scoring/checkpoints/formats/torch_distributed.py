"""torch's distributed checkpoints (`.metadata`, `*.distcp`) of FSDP, the Trainer and loops like torchtitan's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.distributed_checkpoint import METADATA, sharded_tensors
from radar_tasks.scoring.checkpoints.formats import native
from radar_tasks.scoring.checkpoints.formats.sharded import load_shards, recognise_shards
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Recognised
from radar_tasks.scoring.checkpoints.weight_files import sets_of_weights

MEGATRON = (
    "latest_checkpointed_iteration.txt",
    *(f"{below}{name}" for below in ("", "*/") for name in ("common.pt", "mp_rank_*/model_optim_rng.pt")),
)
"""Files of a training's folder and of a single checkpoint, in Megatron's newer format and in the older one."""

parts = native.parts


def lies_in(folder: Path) -> bool:
    """`.metadata` there or one folder below, or Megatron's files, and no whole weights, which would be read instead."""
    return not sets_of_weights(folder) and (bool(_places(folder)) or _is_of_megatron(folder))


def recognise(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:  # noqa: ARG001 - all in one place
    """The shards of one model, and the configuration and processor beside them or given."""
    if _is_of_megatron(folder):
        raise CheckpointError(
            f"{folder} is a checkpoint of Megatron: its weights have names and an order of its own, which only its own "
            "code can turn into transformers'. Export it from there first."
        )
    places = _places(folder)
    if len(places) > 1:
        names = ", ".join(place.name for place in places)
        raise CheckpointError(f"{folder} holds several distributed checkpoints ({names}): give the folder of one.")
    place = places[0]
    files = dict.fromkeys(piece.file for tensor in sharded_tensors(place).values() for piece in tensor.pieces)
    return recognise_shards("torch_distributed", options, folder, (place / METADATA, *sorted(files)))


def load_model(found: Recognised, parts: Parts, **loading: Any) -> Any:
    """The model, each weight put together from its pieces."""
    tensors = sharded_tensors(found.files[0].parent)
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    return load_shards(found, parts, shapes, lambda name: tensors[name].read(), **loading)


def _is_of_megatron(folder: Path) -> bool:
    return any(file.is_file() for pattern in MEGATRON for file in folder.glob(pattern))


def _places(folder: Path) -> list[Path]:
    """The folders that hold a model's metadata: the given one, or those right below it but the optimizer's."""
    if (folder / METADATA).is_file():
        return [folder]
    below = sorted(file.parent for file in folder.glob(f"*/{METADATA}") if file.is_file())
    return [place for place in below if not place.name.startswith("optim")]

"""Checkpoints of DeepSpeed's ZeRO 1, 2 and 3, as the Trainer leaves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.deepspeed_shards import deepspeed_folder, deepspeed_weights, state_files
from radar_tasks.scoring.checkpoints.formats import native
from radar_tasks.scoring.checkpoints.formats.sharded import load_shards, recognise_shards
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Recognised
from radar_tasks.scoring.checkpoints.weight_files import check_whole, sets_of_weights

parts = native.parts


def lies_in(folder: Path) -> bool:
    """States of DeepSpeed, and no whole weights, which would be read instead."""
    return not sets_of_weights(folder) and deepspeed_folder(folder) is not None


def recognise(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:  # noqa: ARG001 - all in one place
    """The states of all ranks, and the configuration and processor beside them or given."""
    states = deepspeed_folder(folder)
    if states is None:
        raise CheckpointError(f"{folder} holds no states of DeepSpeed.")
    files = state_files(states)
    for file in files:
        check_whole(file)
    return recognise_shards("deepspeed_zero", options, folder, files)


def load_model(found: Recognised, parts: Parts, **loading: Any) -> Any:
    """The model: of ZeRO 1 and 2 the weights as they were trained, of ZeRO 3 the optimizer's in float32."""
    weights = deepspeed_weights(found.files)
    shapes = {name: tuple(value.shape) for name, value in weights.items()}
    return load_shards(found, parts, shapes, weights.__getitem__, **loading)

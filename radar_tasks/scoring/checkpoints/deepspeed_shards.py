"""DeepSpeed's checkpoints (ZeRO 1, 2 and 3), put together without DeepSpeed and without code of theirs.

    checkpoint-500/latest                                              global_step500
    checkpoint-500/global_step500/mp_rank_00_model_states.pt           ZeRO 1 and 2: all weights, as they were trained
    .../zero_pp_rank_K_mp_rank_00_model_states.pt                      ZeRO 3: buffers, frozen weights in pieces
    .../bf16_zero_pp_rank_K_mp_rank_00_optim_states.pt                 ZeRO 3: a K-th of every weight, in float32

The folder's own `zero_to_fp32.py` is code of the checkpoint, and DeepSpeed un-pickles with no restriction. Here
`torch.load` reads tensors and plain values; whatever class a file names becomes an object that does nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import get_unsafe_globals_in_checkpoint, safe_globals

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.weights import in_words

_RANK = re.compile(r"zero_pp_rank_(\d+)_mp_rank_\d+_(model|optim)_states\.pt$")


def deepspeed_folder(folder: Path) -> Path | None:
    """The folder of the states: the one that `latest` names, or the given one itself; None where there is none."""
    for place in (folder, *_named_by_latest(folder), *sorted(folder.glob("global_step*"))):
        if any(place.glob("*model_states.pt")):
            return place
    return None


def state_files(states: Path) -> list[Path]:
    """The files that hold weights, the ranks' in order.

    Raises:
        CheckpointError: the model was split by tensor parallelism, or a rank's file is missing.
    """
    if any(states.glob("*mp_rank_01_model_states.pt")):
        raise CheckpointError(
            f"{states} was saved with tensor or pipeline parallelism (mp_rank_01): its weights are parts of matrices "
            "in an order that only the training's own code knows. Save a whole model from the training."
        )
    whole = states / "mp_rank_00_model_states.pt"
    if whole.is_file():
        return [whole]
    models, optimizers = (_by_rank(states, kind) for kind in ("model", "optim"))
    if len(models) != len(optimizers) or not optimizers:
        raise CheckpointError(
            f"{states} holds the models of {len(models)} ranks and the optimizers of {len(optimizers)}: one is "
            "missing, or it is still being written. (ZeRO 3 keeps the weights with the optimizer's states.)"
        )
    return [*models, *optimizers]


def deepspeed_weights(files: Sequence[Path]) -> dict[str, Tensor]:
    """All weights and buffers by name.

    Args:
        files: as from `state_files`.

    Raises:
        CheckpointError: a file cannot be read, is of another form, or holds less than it says.
    """
    try:
        if len(files) == 1:
            return dict(_tensors(_read(files[0])["module"]))
        half = len(files) // 2
        return _of_zero_3(list(map(_read, files[:half])), list(map(_read, files[half:])))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RuntimeError) as error:
        raise CheckpointError(
            f"{files[0].parent} is not as DeepSpeed writes ZeRO's states ({type(error).__name__}: {error})."
        ) from error


def _of_zero_3(models: Sequence[Mapping[str, Any]], optimizers: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
    """Every rank holds an equal part of each weight, laid flat; the last is padded."""
    first, ranks = models[0], len(models)
    states = [optimizer["optimizer_state_dict"] for optimizer in optimizers]
    counts = {count for state in states for count in _ints(state["partition_count"])}
    if counts != {ranks}:
        raise ValueError(f"it is of {sorted(counts)} ranks, and the files are of {ranks}")
    flat = [torch.cat([part.reshape(-1) for part in state["fp32_flat_groups"]]) for state in states]
    weights = {name: value for name, value in _tensors(first["module"]) if name in first["buffer_names"]}
    shapes = {name: tuple(shape) for group in first["param_shapes"] for name, shape in group.items()}
    start = 0
    for name, shape in shapes.items():
        size = math.ceil(math.prod(shape) / ranks)
        weights[name] = _whole([rank[start : start + size] for rank in flat], shape)
        start += size
    for name, shape in (first.get("frozen_param_shapes") or {}).items():
        weights[name] = _whole([model["frozen_param_fragments"][name] for model in models], tuple(shape))
    for name, same in first.get("shared_params") or ():
        weights[name] = weights[same]
    return weights


def _whole(parts: Sequence[Tensor], shape: tuple[int, ...]) -> Tensor:
    return torch.cat([part.reshape(-1) for part in parts])[: math.prod(shape)].reshape(shape)


def _tensors(state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    return ((name, value) for name, value in state.items() if isinstance(value, Tensor))


def _ints(value: int | Sequence[int]) -> Sequence[int]:
    return (value,) if isinstance(value, int) else value


def _read(file: Path) -> dict[str, Any]:
    try:
        names = get_unsafe_globals_in_checkpoint(file)
        with safe_globals([(_Nothing, name) for name in names]):
            content = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises many types on damaged files
        raise CheckpointError(f"{file} cannot be read ({in_words(error)}).") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no states of DeepSpeed.")
    return content


class _Nothing:
    """Stands for an object of any class that a file names: it is made, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass

    def __setitem__(self, key: Any, value: Any) -> None:
        pass


def _named_by_latest(folder: Path) -> list[Path]:
    latest = folder / "latest"
    if not latest.is_file() or latest.stat().st_size > 1000:
        return []
    return [folder / Path(latest.read_text(encoding="utf-8", errors="replace").strip()).name]


def _by_rank(states: Path, kind: str) -> list[Path]:
    found = {}
    for file in states.iterdir():
        if (match := _RANK.search(file.name)) and match[2] == kind:
            found[int(match[1])] = file
    return [found[rank] for rank in sorted(found)] if sorted(found) == list(range(len(found))) else []

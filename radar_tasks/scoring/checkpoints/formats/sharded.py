"""What checkpoints that a training left in shards have in common: names to be found, a configuration from elsewhere.

A training saves its model's own names, under whatever it called the model, with what its wrappers put between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import PROCESSOR_FILES, holds_one_of, resolve_folder
from radar_tasks.scoring.checkpoints.formats import native
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Kind, Recognised
from radar_tasks.scoring.checkpoints.weight_files import refuse_unfinished
from radar_tasks.scoring.checkpoints.weights import check_sizes, empty_model

WRAPPERS = re.compile(r"(?:(?<=^)|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
"""What torch.compile, FSDP 1 and activation checkpointing put into names."""

USUAL = ("model.", "", "app.model.", "module.", "state.model.", "model.module.")
"""Where trainings keep the model; accelerate's and most loops' comes first."""


def recognise_shards(kind: Kind, options: CheckpointOptions, folder: Path, files: Sequence[Path]) -> Recognised:
    """A training's folder, with configuration and processor in it or given beside.

    Raises:
        CheckpointError: there is no configuration or processor, or the model cannot be scored.
    """
    refuse_unfinished(folder)
    if options.config is not None:
        place = resolve_folder(options.config, options.revision, "config")
    elif (folder / "config.json").is_file():
        place = folder
    else:
        raise CheckpointError(
            f"{folder} holds shards of a training and no config.json: say where the model's configuration is, "
            "config=FOLDER_OR_NAME, e.g. the checkpoint training began with."
        )
    processor = options.processor or next((str(p) for p in (folder, place) if holds_one_of(p, PROCESSOR_FILES)), None)
    with_processor = options.model_copy(update={"processor": processor})
    return native.recognise_model(kind, with_processor, place, tuple(files))


def load_shards(
    found: Recognised,
    parts: Parts,
    shapes: Mapping[str, tuple[int, ...]],
    read: Callable[[str], Tensor],
    **loading: Any,
) -> Any:
    """The model out of the tensors that a training saved.

    Args:
        found: the checkpoint.
        parts: of it.
        shapes: of all tensors that are there, by name, optimizer states among them.
        read: gives a tensor by its name.
        loading: further arguments of `from_pretrained`.

    Raises:
        CheckpointError: the names are not those of the model, or it is much larger.
    """
    model_class: Any = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(parts.config)]
    empty = empty_model(model_class, parts.config)
    own = set(empty.state_dict())
    if any(_is_one_of(own, name) for name in shapes):  # else it is a matter of names, not of sizes
        check_sizes(model_class, parts.config, shapes, found.files[0].parent)
    tied = set(empty.all_tied_weights_keys)
    places = _places(shapes.keys(), own, own - tied, found.files[0].parent)
    return native.built(found, parts, {name: read(place) for name, place in places.items()}, **loading)


def _is_one_of(own: Collection[str], name: str) -> bool:
    """Whether a name, less what a training put in front of it, is one of the model's."""
    parts = name.split(".")
    return any(".".join(parts[start:]) in own for start in range(len(parts)))


def _places(names: Collection[str], own: Collection[str], needed: Collection[str], where: Path) -> Mapping[str, str]:
    """Name in the model -> name in the checkpoint."""
    cleaned = {WRAPPERS.sub("", name): name for name in names}
    anchor = max(needed, key=len)
    prefixes = [name.removesuffix(anchor) for name in cleaned if name == anchor or name.endswith("." + anchor)]
    whole = [prefix for prefix in prefixes if all(prefix + name in cleaned for name in needed)]
    chosen = next((prefix for prefix in USUAL if prefix in whole), whole[0] if len(whole) == 1 else None)
    if chosen is not None:
        return {name: cleaned[chosen + name] for name in own if chosen + name in cleaned}
    if whole:
        raise CheckpointError(f"{where} holds the model several times: under {', '.join(sorted(whole))}.")
    if prefixes:
        missing = sorted(name for name in needed if prefixes[0] + name not in cleaned)
        raise CheckpointError(f"{where}: weights are missing: {', '.join(missing[:8])}.")
    shown = ", ".join(sorted(cleaned)[:3])
    raise CheckpointError(
        f"{where} holds no weights under the names of transformers' model ({anchor}, say; it holds {shown}, ...): a "
        "model of the training's own has to be saved under transformers' names first."
    )

"""CheckpointOptions -> `Checkpoint`, with its weights looked at; or a model in memory -> `Checkpoint`."""

from __future__ import annotations

import copy
import logging
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.adapters import merge_adapter
from radar_tasks.scoring.checkpoints.checkpoint import Checkpoint
from radar_tasks.scoring.checkpoints.formats import FORMATS
from radar_tasks.scoring.checkpoints.formats.native import check_processor, native_vision
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions, checkpoint_options
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognition import recognise
from radar_tasks.scoring.checkpoints.tensor_parallel import divided_among, refuse_undivided, refuse_untold_groups
from radar_tasks.scoring.checkpoints.weights import check_values, check_vocabulary
from radar_tasks.scoring.checkpoints.wrappers import unwrapped_model
from radar_tasks.scoring.encoding.prompt_formats import resolve_format

logger = logging.getLogger("radar")


def load(options: CheckpointOptions) -> Checkpoint:
    """Loads a checkpoint.

    Raises:
        CheckpointError: everything that `recognise` raises for; weights left over, missing, of another shape, NaN,
            infinite or matrices of zeros; a tokenizer with more tokens than the model; no memory.
    """
    disable_progress_bar()  # type: ignore[no-untyped-call]  # one per checkpoint would bury what is said of the scores
    found = recognise(options, weights=True)
    if found.beside:
        logger.warning("%s: reading %s; not read: %s", options.pretrained, found.files[0], ", ".join(found.beside))
    form = FORMATS[found.kind]
    parts = form.parts(found)
    if options.tp > 1:
        refuse_untold_groups(options.tp)
        refuse_undivided(found, parts, options.tp)
    with divided_among(options.tp) as divided:
        model = form.load_model(found, parts, **_loading(options), **divided)
    if found.adapter is not None:
        model = merge_adapter(model, found.adapter)
    model = _placed(model, options)
    check_vocabulary(model, parts.processor.tokenizer, options.pretrained)
    check_values(model, options.pretrained)
    model.requires_grad_(False).eval()
    return Checkpoint(options, model, parts, found.form, found)


def from_model(model: Any, processor: Any, **options: Any) -> Checkpoint:
    """A checkpoint of a model that is in memory already, e.g. a trainer's. The model is not changed.

    Args:
        model: of transformers, in its native format; also with a PEFT adapter, or wrapped by a training.
        processor: its processor; a copy is used.
        options: `prompt_format`, `blind`, `min_pixels`, `max_pixels`, `max_tiles`, as in `CheckpointOptions`.

    Raises:
        CheckpointError: it is not a model of transformers, the processor does not fit, or an option is wrong.
    """
    model = unwrapped_model(model)
    chosen = checkpoint_options({"pretrained": "(in memory)", **options})
    check_processor(processor, "processor")
    processor = copy.deepcopy(processor)
    config = model.config
    form = resolve_format(chosen.prompt_format, config.model_type, config.to_dict())
    vision = native_vision(processor, config, form, chosen)
    return Checkpoint(chosen, model, Parts(type(model), config, processor, vision), form)


def _loading(options: CheckpointOptions) -> dict[str, Any]:
    """Arguments of `from_pretrained`; those that the user left alone are left to transformers."""
    chosen: dict[str, Any] = {"dtype": options.dtype}
    for name in ("attn_implementation", "device_map"):
        if (value := getattr(options, name)) is not None:
            chosen[name] = value
    return chosen


def _placed(model: Any, options: CheckpointOptions) -> Any:
    """The model on its device, unless a device map or tensor parallelism has put it there."""
    if options.device_map is not None or options.tp > 1:
        return model
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(
            f"{options.pretrained} cannot be put on {device} ({error}): another device, device_map=auto or "
            "dtype=bfloat16 may help."
        ) from error

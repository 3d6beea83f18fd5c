"""Checkpoints in transformers' own format, of any family of `AutoModelForImageTextToText`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import PROCESSOR_FILES, processor_folder, read_json
from radar_tasks.scoring.checkpoints.foreign_code import refuse_in_config, refuse_in_processor
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Kind, Recognised
from radar_tasks.scoring.checkpoints.weight_files import left_beside, weights_of
from radar_tasks.scoring.checkpoints.weights import (
    build,
    check_loading,
    check_sizes,
    in_words,
    read_weights,
    stored_shapes,
)
from radar_tasks.scoring.encoding.placeholders import find_placeholder, image_token_ids
from radar_tasks.scoring.encoding.processor_call import ProcessorCall, image_part, start_token
from radar_tasks.scoring.encoding.prompt_formats import PromptFormat, resolve_format
from radar_tasks.scoring.encoding.vision import ProcessorVision
from radar_tasks.scoring.families import family_of

if TYPE_CHECKING:
    from torch import Tensor

LOADING_ERRORS = (ValueError, OSError, ImportError, KeyError, AttributeError, TypeError, RuntimeError)
"""What transformers raises for checkpoints that it cannot load."""


def lies_in(folder: Path) -> bool:  # noqa: ARG001 - as every format's
    """Whatever no other format knows is taken for transformers'."""
    return True


def recognise(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:  # noqa: ARG001 - all in one place
    """A folder that `save_pretrained` could have written."""
    found = recognise_model("native", options, folder, ())
    return replace(found, files=weights_of(folder), beside=left_beside(folder))


def recognise_model(kind: Kind, options: CheckpointOptions, folder: Path, files: tuple[Path, ...]) -> Recognised:
    """What the configuration in a folder says of a model of transformers, whose weights are in these files.

    Raises:
        CheckpointError: the model cannot be scored, or there is no processor.
    """
    config = read_json(folder / "config.json")
    model_type = str(config.get("model_type") or "")
    _check_architecture(folder, config, model_type, options.trust_remote_code)
    refuse_in_config(config, folder, options.trust_remote_code)
    processor = processor_folder(folder, options.processor, PROCESSOR_FILES)
    refuse_in_processor(processor, options.trust_remote_code)
    form = resolve_format(options.prompt_format, model_type, config)
    return Recognised(options, kind, folder, config, model_type, processor, form, files)


def parts(found: Recognised) -> Parts:
    """Configuration, processor and the way with images.

    Raises:
        CheckpointError: transformers cannot make them, or a limit was given that the family does not have.
    """
    from transformers import AutoConfig, AutoModelForImageTextToText

    try:
        config = AutoConfig.from_pretrained(found.folder, trust_remote_code=found.options.trust_remote_code)
    except LOADING_ERRORS as error:
        raise CheckpointError(f"{found.folder}: transformers cannot read its configuration ({error})") from error
    processor = load_processor(found)
    vision = native_vision(processor, config, found.form, found.options)
    return Parts(AutoModelForImageTextToText, config, processor, vision)


def load_model(found: Recognised, parts: Parts, **loading: Any) -> Any:
    """The model as transformers loads it, or from a gathered state of FSDP."""
    if any(file.name == "pytorch_model_fsdp.bin" for file in found.files):  # accelerate's name for a gathered state
        return built(found, parts, dict(read_weights(found.files)), **loading)
    if "auto_map" not in found.config:  # code of its own decides about its sizes
        check_sizes(parts.model_class, parts.config, stored_shapes(found.files), found.folder)
    try:
        model, info = parts.model_class.from_pretrained(
            found.folder, output_loading_info=True, trust_remote_code=found.options.trust_remote_code, **loading
        )
    except Exception as error:  # transformers, and what reads the files for it, raise many types
        raise CheckpointError(f"{found.folder}: transformers cannot load it ({in_words(error)})") from error
    check_loading(info, found.folder, unexpected=False)
    return model


def built(found: Recognised, parts: Parts, weights: dict[str, Tensor], **loading: Any) -> Any:
    """The model out of weights by its own names, as a training has them in memory."""
    from transformers import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

    model_class = MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING[type(parts.config)]
    return build(model_class, parts.config, weights, found.files[0].parent, **loading)


def load_processor(found: Recognised) -> Any:
    """The checkpoint's processor.

    Raises:
        CheckpointError: transformers cannot make it, or it has no part for images or text.
    """
    from transformers import AutoProcessor

    try:
        processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            found.processor, trust_remote_code=found.options.trust_remote_code
        )
    except LOADING_ERRORS as error:
        raise CheckpointError(f"{found.processor}: its processor cannot be loaded ({error})") from error
    check_processor(processor, found.processor)
    return processor


def check_processor(processor: Any, where: object) -> None:
    """Raises `CheckpointError` unless a processor has a tokenizer and an image processor."""
    parts = {"tokenizer": getattr(processor, "tokenizer", None), "image_processor": image_part(processor)}
    for name, part in parts.items():
        if part is None:
            raise CheckpointError(f"{where}: the processor ({type(processor).__name__}) has no {name}; use processor=…")


def native_vision(processor: Any, config: Any, form: PromptFormat, options: CheckpointOptions) -> ProcessorVision:
    """How a native checkpoint's images are encoded. Sets the limits of the processor's image part.

    Raises:
        CheckpointError: a limit was given that the family does not have, or its processor takes no image with a text.
    """
    set_limits(processor, form, options, config.model_type)
    family = family_of(config.model_type)
    call = ProcessorCall(processor, family, start_token(config, processor.tokenizer))
    return ProcessorVision(
        call,
        find_placeholder(call, config),
        image_token_ids(processor, config),
        resize_first=form.official and form.rules.resizes_twice,
        only_placeholders=family.only_placeholders,
    )


def set_limits(processor: Any, form: PromptFormat, options: CheckpointOptions, model_type: str) -> None:
    """Sets how large images get. What the user says wins; then `pixel_limits`; tiles as the official script.

    Raises:
        CheckpointError: the user gave a limit that this family does not have.
    """
    image_processor = image_part(processor)
    wanted = {name: getattr(options, name) for name in ("min_pixels", "max_pixels", "max_tiles")}
    size: Any = getattr(image_processor, "size", None)
    has_area = hasattr(image_processor, "merge_size") and _edge(size, "longest_edge") is not None
    tiles = next((n for n in ("max_patches", "max_num_tiles", "max_image_tiles") if hasattr(image_processor, n)), None)
    for name, possible in (("min_pixels", has_area), ("max_pixels", has_area), ("max_tiles", tiles is not None)):
        if wanted[name] is not None and not possible:
            raise CheckpointError(f"{name}: images of {model_type} checkpoints have no such limit.")
    if has_area:
        own = int(_edge(size, "shortest_edge") or 0), int(_edge(size, "longest_edge") or 0)
        least, most = pixel_limits(own, form, wanted["min_pixels"], wanted["max_pixels"])
        image_processor.size = type(size)(**{**dict(size), "shortest_edge": least, "longest_edge": most})
        for name, value in (("min_pixels", least), ("max_pixels", most)):
            if getattr(image_processor, name, None) is not None:
                setattr(image_processor, name, value)
    if tiles is not None and (most_tiles := wanted["max_tiles"] or form.rules.most_tiles):
        setattr(image_processor, tiles, most_tiles)


def pixel_limits(
    own: tuple[int, int], form: PromptFormat, min_pixels: int | None, max_pixels: int | None
) -> tuple[int, int]:
    """The least and largest area of an image in pixels.

    The official script's limits hold for `official`, and for Qwen2-VL's format as long as the checkpoint's processor
    still has its publisher's: a checkpoint trained with limits of its own keeps them. What the user gives wins.
    """
    limits = form.rules.pixels
    if limits is not None and (form.official or own == limits.published):
        own = limits.script
    least = own[0] if min_pixels is None else min_pixels
    most = own[1] if max_pixels is None else max_pixels
    if min_pixels is None:
        least = min(least, most)
    if max_pixels is None:
        most = max(least, most)
    return least, most


def _edge(size: Any, name: str) -> int | None:
    if size is None:
        return None
    value = size.get(name) if hasattr(size, "get") else getattr(size, name, None)
    return None if value is None else int(value)


def _check_architecture(folder: Path, config: dict[str, Any], model_type: str, trust_remote_code: bool) -> None:
    """Raises `CheckpointError` with the reason for what cannot be scored."""
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    if reason := family_of(model_type).refused:
        raise CheckpointError(f"{folder}: {model_type} checkpoints cannot be scored here: {reason}.")
    if model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return
    if trust_remote_code and "auto_map" in config:
        return
    if model_type in CONFIG_MAPPING:
        raise CheckpointError(f"{folder} is not a multimodal checkpoint: {model_type} takes no images with text.")
    written = config.get("transformers_version") or config.get("_transformers_version")
    named = model_type or "(none named)"
    raise CheckpointError(
        f"{folder}: transformers {transformers.__version__} does not know the architecture {named}"
        + (f" (written by {written}). A newer transformers may." if written else ".")
        + (" The checkpoint brings its own code: trust_remote_code=True runs it." if "auto_map" in config else "")
    )

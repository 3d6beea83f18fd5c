"""InternVL checkpoints in their publisher's format, `internvl_chat`, as transformers' own InternVL classes.

The vision tower is InternViT, the projector `mlp1`, the language model any that transformers knows (Qwen2, Qwen3, ...).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import processor_folder, read_json
from radar_tasks.scoring.checkpoints.foreign_code import refuse_in_config
from radar_tasks.scoring.checkpoints.formats.foreign import configuration, load_tokenizer, stored_dtype
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Recognised
from radar_tasks.scoring.checkpoints.weight_files import left_beside, weights_of
from radar_tasks.scoring.checkpoints.weights import build, renamed
from radar_tasks.scoring.encoding.prompt_formats import WORDINGS, resolve_format
from radar_tasks.scoring.encoding.text import tokens_in_front
from radar_tasks.scoring.encoding.vision import TiledVision

if TYPE_CHECKING:
    from torch import Tensor

MOST_TILES = WORDINGS["internvl_chat"].most_tiles or 1
START, CONTEXT, END = "<img>", "<IMG_CONTEXT>", "</img>"

_VISION_LAYER = {
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "attn.proj": "attention.projection_layer",
    "attn.q_norm": "attention.q_norm",
    "attn.k_norm": "attention.k_norm",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
}

_PREFIXES = {
    "vision_model.embeddings.class_embedding": "model.vision_tower.embeddings.cls_token",
    "vision_model.embeddings.position_embedding": "model.vision_tower.embeddings.position_embeddings",
    "vision_model.embeddings.patch_embedding": "model.vision_tower.embeddings.patch_embeddings.projection",
    "mlp1.0": "model.multi_modal_projector.layer_norm",
    "mlp1.1": "model.multi_modal_projector.linear_1",
    "mlp1.3": "model.multi_modal_projector.linear_2",
    "language_model.model": "model.language_model",
    "language_model.lm_head": "lm_head",
}


def lies_in(folder: Path) -> bool:
    """The publisher's config.json names the format."""
    return read_json(folder / "config.json").get("model_type") == "internvl_chat"


def recognise(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:  # noqa: ARG001 - all in one place
    """The publisher's folder, whole."""
    config = read_json(folder / "config.json")
    refuse_in_config(config, folder, options.trust_remote_code)
    processor = processor_folder(folder, options.processor)
    form = resolve_format(options.prompt_format, "internvl", config)
    template = config.get("template")
    if form.wording == "internvl_chat" and template != "internvl2_5":
        raise CheckpointError(
            f"{folder} has the chat template {template!r}; only internvl2_5 (InternVL 2.5, 3, 3.5) is known here. "
            "Use prompt_format=plain."
        )
    return Recognised(
        options, "internvl_chat", folder, config, "internvl", processor, form, weights_of(folder),
        beside=left_beside(folder),
    )  # fmt: skip


def parts(found: Recognised) -> Parts:
    """Configuration and processor in transformers' format, and the publisher's way with images.

    Raises:
        CheckpointError: a variant that transformers' classes do not cover.
    """
    from transformers import InternVLForConditionalGeneration

    tokenizer = load_tokenizer(found.processor)
    config = internvl_config(found, tokenizer)
    vision = TiledVision(
        start=tokens_in_front(tokenizer),
        tokens=(_token(tokenizer, START, found), config.image_token_id, _token(tokenizer, END, found)),
        tokens_per_tile=config.image_seq_length,
        size=config.vision_config.image_size[0],
        max_tiles=found.options.max_tiles or MOST_TILES,
    )
    return Parts(InternVLForConditionalGeneration, config, _processor(found, config, tokenizer), vision)


def load_model(found: Recognised, parts: Parts, **loading: Any) -> Any:
    """The publisher's weights under transformers' names."""
    return build(parts.model_class, parts.config, renamed(found.files, rename), found.folder, **loading)


def internvl_config(found: Recognised, tokenizer: Any) -> Any:
    """transformers' configuration for a publisher's config.json.

    Raises:
        CheckpointError: a setting that transformers' InternVL does not have.
    """
    from transformers import InternVLConfig

    config, where = found.config, found.folder
    _require(config, where, {"ps_version": "v2", "select_layer": -1})
    vision, llm = config.get("vision_config") or {}, config.get("llm_config") or {}
    size = int(config.get("force_image_size") or vision.get("image_size", 448))
    vision_config = configuration(
        "internvl_vision",
        vision,
        where,
        image_size=size,
        attention_bias=bool(vision.get("qkv_bias", True)),
        use_qk_norm=bool(vision.get("qk_normalization", False)),
    )
    text_config = configuration(str(llm.get("model_type") or ""), llm, where, tie_word_embeddings=False)
    ratio = float(config.get("downsample_ratio", 0.5))
    side = size // vision_config.patch_size[0]
    return InternVLConfig(  # type: ignore[call-arg]  # system_message is kept beside its fields
        vision_config=vision_config,
        text_config=text_config,
        image_token_id=_token(tokenizer, CONTEXT, found),
        image_seq_length=int(side * side * ratio**2),
        downsample_ratio=ratio,
        tie_word_embeddings=False,
        dtype=stored_dtype(config) or stored_dtype(llm),
        system_message=config.get("system_message", ""),
    )


def rename(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A weight of the publisher's format under transformers' name; query, key and value come apart."""
    layer_prefix = "vision_model.encoder.layers."
    if name.startswith(layer_prefix):
        number, _, rest = name.removeprefix(layer_prefix).partition(".")
        layer = f"model.vision_tower.encoder.layer.{number}"
        if rest.startswith("attn.qkv."):
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                yield f"{layer}.attention.{letter}_proj.{rest.rpartition('.')[2]}", part
            return
        for old, new in _VISION_LAYER.items():
            if rest == old or rest.startswith(old + "."):
                yield f"{layer}.{new}{rest[len(old) :]}", tensor
                return
    for old, new in _PREFIXES.items():
        if name == old or name.startswith(old + "."):
            yield new + name[len(old) :], tensor
            return
    yield name, tensor  # left over: loading says so


def _require(config: Mapping[str, Any], where: object, expected: Mapping[str, Any]) -> None:
    for name, value in expected.items():
        if config.get(name, value) != value:
            raise CheckpointError(f"{where}: {name} is {config[name]!r}; only {value!r} is supported.")


def _token(tokenizer: Any, name: str, found: Recognised) -> int:
    id_ = tokenizer.convert_tokens_to_ids(name)
    if id_ is None or id_ == tokenizer.unk_token_id:
        raise CheckpointError(f"{found.processor}: the tokenizer has no token {name}, which stands for images.")
    return int(id_)


def _processor(found: Recognised, config: Any, tokenizer: Any) -> Any:
    """transformers' processor for the converted checkpoint; its tokenizer is the publisher's with its tokens named."""
    from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

    names = {"start_image_token": START, "end_image_token": END, "context_image_token": CONTEXT}
    # The class insists on a token for videos. A new one needs a row in the embeddings; some checkpoints have none free.
    room = len(tokenizer) < config.text_config.vocab_size
    video = "<video>" if room or "<video>" in tokenizer.get_vocab() else tokenizer.pad_token
    named = load_tokenizer(found.processor, extra_special_tokens={**names, "video_token": video})
    size = {"height": config.vision_config.image_size[0], "width": config.vision_config.image_size[0]}
    return InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(
            size=size, crop_to_patches=True, max_patches=int(found.config.get("max_dynamic_patch") or MOST_TILES),
            image_mean=list(TiledVision.MEAN), image_std=list(TiledVision.STD),
        ),
        tokenizer=named,
        video_processor=InternVLVideoProcessor(size=size),
        image_seq_length=config.image_seq_length,
    )  # fmt: skip

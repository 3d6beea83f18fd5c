"""LLaVA-OneVision's projector stage: a projector file, a language model and a SigLIP tower in three folders.

    image -> SigLIP without its last layer -> mm_projector (Linear, GELU, Linear) -> language model

They become transformers' own LLaVA classes. The official loader deletes the tower's last layer and takes the output
of the layer before, without the final norm; in LLaVA's terms that is `vision_feature_layer=-2`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import processor_folder, read_json, resolve_folder
from radar_tasks.scoring.checkpoints.foreign_code import refuse_in_config
from radar_tasks.scoring.checkpoints.formats.foreign import configuration, load_tokenizer, stored_dtype
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Recognised
from radar_tasks.scoring.checkpoints.weight_files import sets_of_weights, weights_of
from radar_tasks.scoring.checkpoints.weights import build, renamed
from radar_tasks.scoring.encoding.prompt_formats import resolve_format
from radar_tasks.scoring.encoding.text import tokens_in_front
from radar_tasks.scoring.encoding.vision import SquareVision

if TYPE_CHECKING:
    from torch import Tensor

IMAGE_TOKEN = "<image>"  # noqa: S105 - no password
PROJECTOR = {"0": "linear_1", "2": "linear_2"}


def lies_in(folder: Path) -> bool:
    """A projector alone, as LLaVA's trainer saves it."""
    return (folder / "mm_projector.bin").is_file()


def recognise(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:
    """The projector and, where the user says they are, its language model and tower."""
    if whole := sets_of_weights(folder):
        raise CheckpointError(
            f"{folder} holds a LLaVA projector (mm_projector.bin) and whole weights ({whole[0]}): nobody can tell "
            "which is meant. Move the other away."
        )
    config = read_json(folder / "config.json")
    for name in ("model_base", "vision_tower"):
        if getattr(options, name) is None:
            raise CheckpointError(
                f"{folder} holds a LLaVA projector alone (mm_projector.bin): say where its other parts are, "
                "model_base=LANGUAGE_MODEL,vision_tower=SIGLIP_TOWER."
            )
    base = resolve_folder(str(options.model_base), None, "model_base", weights)
    tower = resolve_folder(str(options.vision_tower), None, "vision_tower", weights)
    for part in (folder, base, tower):
        refuse_in_config(read_json(part / "config.json"), part, options.trust_remote_code)
    processor = processor_folder(base, options.processor)
    form = resolve_format(options.prompt_format, "llava", config, trained_with="llava_onevision")
    files = (folder / "mm_projector.bin", *weights_of(base), *weights_of(tower))
    return Recognised(
        options, "llava_projector", folder, config, "llava", processor, form, files,
        language_model=base, vision_tower=tower,
    )  # fmt: skip


def parts(found: Recognised) -> Parts:
    """Configuration and processor in transformers' format, and the official way with images."""
    from transformers import LlavaForConditionalGeneration

    tokenizer = load_tokenizer(found.processor)
    tokenizer.add_tokens([IMAGE_TOKEN], special_tokens=True)
    image_token = int(tokenizer.convert_tokens_to_ids(IMAGE_TOKEN))
    config = llava_config(found, image_token)
    side = config.vision_config.image_size
    tokens = (side // config.vision_config.patch_size) ** 2
    vision = SquareVision(tokens_in_front(tokenizer), image_token, tokens, side)
    return Parts(LlavaForConditionalGeneration, config, _processor(config, tokenizer), vision)


def load_model(found: Recognised, parts: Parts, **loading: Any) -> Any:
    """Three parts put together as transformers' LLaVA."""
    weights = renamed(found.files, rename)
    text_config = parts.config.text_config
    text_config.vocab_size = _room_for(parts.config.image_token_id, weights)
    if text_config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    return build(parts.model_class, parts.config, weights, found.folder, **loading)


def llava_config(found: Recognised, image_token: int) -> Any:
    """transformers' LLaVA configuration for the three parts.

    The language model's shape is taken from the projector's config.json, as the official loader does.

    Raises:
        CheckpointError: a projector or tower of another make.
    """
    from transformers import LlavaConfig

    where, said = found.folder, found.config
    if (kind := said.get("mm_projector_type", "mlp2x_gelu")) != "mlp2x_gelu":
        raise CheckpointError(f"{where}: mm_projector_type is {kind!r}; only 'mlp2x_gelu' is supported.")
    if said.get("mm_use_im_start_end"):
        raise CheckpointError(f"{where}: mm_use_im_start_end is set, which the official script does not support.")
    tower = read_json(Path(found.vision_tower or "") / "config.json")
    vision = tower.get("vision_config", tower)
    if not str(tower.get("model_type", "")).startswith("siglip"):
        raise CheckpointError(f"{found.vision_tower} is a {tower.get('model_type')} tower; only SigLIP is supported.")
    base = read_json(Path(found.language_model or "") / "config.json")
    vision_config = configuration("siglip_vision_model", vision, found.vision_tower, vision_use_head=False)
    text_config = configuration(str(base.get("model_type") or ""), {**base, **said}, where)
    return LlavaConfig(  # type: ignore[call-arg]  # fields by their old names
        vision_config=vision_config,
        text_config=text_config,
        image_token_id=image_token,
        image_seq_length=(vision_config.image_size // vision_config.patch_size) ** 2,
        vision_feature_layer=-2,
        vision_feature_select_strategy="full",
        projector_hidden_act="gelu",
        tie_word_embeddings=text_config.tie_word_embeddings,
        dtype=stored_dtype(said) or stored_dtype(base),
    )


def rename(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A weight of one of the three parts under transformers' name; what the official loader drops is dropped."""
    if "mm_projector." in name:
        number, _, rest = name.rpartition("mm_projector.")[2].partition(".")
        yield f"model.multi_modal_projector.{PROJECTOR.get(number, number)}.{rest}", tensor
    elif name.startswith("vision_model."):
        if not name.startswith("vision_model.head."):
            yield "model.vision_tower." + name.removeprefix("vision_model."), tensor
    elif name.startswith("model."):
        yield "model.language_model." + name.removeprefix("model."), tensor
    elif not name.startswith(("text_model.", "logit_scale", "logit_bias")):
        yield name, tensor


def _room_for(token: int, weights: dict[str, Tensor]) -> int:
    """Rows of the vocabulary, after adding a row for the image token where the embeddings have none free.

    Its value is never used: image features take its place. Its logit is 0.
    """
    import torch

    name = "model.language_model.embed_tokens.weight"
    if name not in weights:
        raise CheckpointError(f"model_base has no {name.removeprefix('model.language_model.')}: not a language model?")
    rows = weights[name].shape[0]
    if token < rows:
        return int(rows)
    for matrix in (name, "lm_head.weight"):
        if matrix in weights:
            value = weights[matrix]
            weights[matrix] = torch.cat([value, value.new_zeros(token + 1 - rows, value.shape[1])])
    return token + 1


def _processor(config: Any, tokenizer: Any) -> Any:
    """transformers' processor for the converted checkpoint."""
    from transformers import LlavaProcessor, SiglipImageProcessor

    side = config.vision_config.image_size
    return LlavaProcessor(  # type: ignore[no-untyped-call]
        image_processor=SiglipImageProcessor(size={"height": side, "width": side}),
        tokenizer=tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy="full",
        image_token=IMAGE_TOKEN,
        num_additional_image_tokens=0,
    )

"""`Checkpoint`: a model with everything that turns a question into what it sees.

CheckpointOptions --recognise--> Recognised --load--> Checkpoint --encode--> EncodedQuestion
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.questions import Question
from radar_tasks.scoring.encoding import QuestionEncoder
from radar_tasks.scoring.options import CheckpointOptions
from radar_tasks.scoring.prompts import PromptFormat, resolve_format
from radar_tasks.scoring.recognition import Kind, Recognised, recognise
from radar_tasks.scoring.tokens import TextTokenizer
from radar_tasks.scoring.types import EncodedQuestion
from radar_tasks.scoring.vision import VisionEncoder

__all__ = ["Checkpoint", "CheckpointOptions", "Recognised", "from_model", "load", "recognise"]

TYPED_TEXT = {"paligemma": ("token_type_ids",)}
"""Token inputs that a family wants for prompts without images, too: PaliGemma's mark what sees itself whole."""


@dataclass
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        options: as given; None for a model that was in memory already.
        model: of transformers, in evaluation mode; its weights take no gradients (a trainer's model is left as it is).
        processor: of transformers.
        tokenizer: the processor's.
        kind: how it was loaded.
        model_type: the model's type in transformers.
        form: the resolved prompt format.
        vision: what happens to images.
        max_length: the model's context in tokens.
        blind: whether images are left out (True) or grey (`blank`).
        recognised: what was found on disk; None for a model that was in memory already.
    """

    options: CheckpointOptions | None
    model: Any
    processor: Any
    tokenizer: Any
    kind: Kind
    model_type: str
    form: PromptFormat
    vision: VisionEncoder
    max_length: int
    blind: bool | str = False
    recognised: Recognised | None = None

    @property
    def prompt_format(self) -> str:
        """Name of the resolved prompt format, never `auto`."""
        return self.form.name

    @cached_property
    def encoder(self) -> QuestionEncoder:
        """Questions to tokens and tensors."""
        tokens = TextTokenizer(self.tokenizer, self.vision.image_token_ids)
        typed = TYPED_TEXT.get(self.model_type, ())
        return QuestionEncoder(tokens, self.vision, self.form, self.max_length, self.blind, typed)

    def encode(self, question: Question) -> EncodedQuestion:
        """A question as this checkpoint sees it; needs the CPU only, safe to call from several threads.

        Raises:
            QuestionError: the question cannot be asked (image, option or length); names it.
            CheckpointError: tokenizer or processor do not do what the prompt format needs.
        """
        return self.encoder(question)

    def describe(self) -> dict[str, Any]:
        """What goes into results: plain values."""
        said = self.recognised.describe() if self.recognised else {"kind": self.kind, "model_type": self.model_type}
        return said | {
            "prompt_format": self.prompt_format,
            "dtype_loaded": str(self.model.dtype).removeprefix("torch."),
        }


def load(options: CheckpointOptions) -> Checkpoint:
    """Loads a checkpoint.

    Raises:
        CheckpointError: everything that `recognise` raises for; weights left over, missing, of another shape, NaN or
            infinite; a tokenizer with more tokens than the model; no memory.
    """
    found = recognise(options, weights=True)
    model, processor, vision = _load_parts(found)
    if found.adapter is not None:
        from radar_tasks.scoring.adapters import merge_adapter

        model = merge_adapter(model, found.adapter)
    model = _placed(model, options)
    checkpoint = Checkpoint(
        options=options,
        model=model,
        processor=processor,
        tokenizer=processor.tokenizer,
        kind=found.kind,
        model_type=found.model_type,
        form=found.form,
        vision=vision,
        max_length=context_length(model.config),
        blind=options.blind,
        recognised=found,
    )
    _check(checkpoint, options.pretrained)
    model.requires_grad_(False).eval()
    return checkpoint


def from_model(
    model: Any, processor: Any, *, prompt_format: str = "auto", blind: bool | str = False, **limits: Any
) -> Checkpoint:
    """A checkpoint of a model that is in memory already, e.g. a trainer's. The model is not changed.

    Args:
        model: of transformers, native format, also wrapped (DataParallel, PEFT, accelerate).
        processor: its processor; a copy is used.
        prompt_format, blind: as in `CheckpointOptions`.
        limits: `min_pixels`, `max_pixels`, `max_tiles`.

    Raises:
        CheckpointError: the processor does not fit, or an option is wrong.
    """
    import copy

    from radar_tasks.scoring.native import check_processor, native_vision

    options = CheckpointOptions(pretrained="(in memory)", prompt_format=prompt_format, blind=blind, **limits)  # type: ignore[arg-type]
    check_processor(processor, "processor")
    processor = copy.deepcopy(processor)
    config = model.config
    form = resolve_format(prompt_format, config.model_type, "native", getattr(config, "system_message", ""))
    vision = native_vision(processor, config, form, options.model_dump())
    return Checkpoint(
        None, model, processor, processor.tokenizer, "native", config.model_type, form, vision,
        context_length(config), blind,
    )  # fmt: skip


def context_length(config: Any) -> int:
    """The most tokens that a model can attend to; very large where its configuration sets no limit."""
    text = config.get_text_config(decoder=True)
    for name in ("max_position_embeddings", "max_sequence_length", "n_positions", "seq_length"):
        if isinstance(value := getattr(text, name, None), int):
            return value
    return 1 << 30


def _load_parts(found: Recognised) -> tuple[Any, Any, VisionEncoder]:
    """Model, processor and what happens to images, by kind."""
    loading = _loading(found.options)
    if found.kind == "internvl_chat":
        from radar_tasks.scoring.internvl_chat import load_internvl_chat

        return load_internvl_chat(found, **loading)
    if found.kind == "llava_projector":
        from radar_tasks.scoring.llava_projector import load_llava_projector

        return load_llava_projector(found, **loading)
    from radar_tasks.scoring.native import load_native, native_vision

    model, processor = load_native(found, **loading)
    return model, processor, native_vision(processor, model.config, found.form, found.options.model_dump())


def _loading(options: CheckpointOptions) -> dict[str, Any]:
    """Arguments of `from_pretrained`."""
    chosen: dict[str, Any] = {"dtype": options.dtype}
    for name in ("attn_implementation", "device_map"):
        if (value := getattr(options, name)) is not None:
            chosen[name] = value
    return chosen


def _placed(model: Any, options: CheckpointOptions) -> Any:
    """The model on its device, unless a device map has put it there."""
    import torch

    if options.device_map is not None:
        return model
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(
            f"{options.pretrained} cannot be put on {device} ({error}): another device, device_map=auto or "
            "dtype=bfloat16 may help."
        ) from error


def _check(checkpoint: Checkpoint, where: str) -> None:
    from radar_tasks.scoring.weights import check_finite, check_vocabulary

    check_vocabulary(checkpoint.model, checkpoint.tokenizer, where)
    check_finite(checkpoint.model, where)


def sample_tokens(checkpoint: Checkpoint, ids: Sequence[int]) -> list[str]:
    """Tokens by name, for people to read."""
    return [str(name) for name in checkpoint.tokenizer.convert_ids_to_tokens(list(ids))]

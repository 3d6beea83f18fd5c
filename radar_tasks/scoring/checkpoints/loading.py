"""`Checkpoint`: a model with everything that turns a question into what it sees.

CheckpointOptions --recognise--> Recognised --load--> Checkpoint --encode--> EncodedQuestion
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.questions import Question
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions, checkpoint_options
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognition import Kind, Recognised, recognise
from radar_tasks.scoring.encoding.prompt_formats import PromptFormat, resolve_format
from radar_tasks.scoring.encoding.question_encoder import QuestionEncoder
from radar_tasks.scoring.encoding.text import TextTokenizer
from radar_tasks.scoring.types import EncodedQuestion

__all__ = ["Checkpoint", "CheckpointOptions", "Recognised", "checkpoint_options", "from_model", "load", "recognise"]

TYPED_TEXT = {"paligemma": ("token_type_ids",)}
"""Token inputs that a family wants for prompts without images, too: PaliGemma's mark what sees itself whole."""


@dataclass
class Checkpoint:
    """A checkpoint in memory.

    Attributes:
        options: as given, or what stands for them if the model was in memory already.
        model: of transformers; loaded here it is in evaluation mode and its weights take no gradients, a trainer's is
            left as it is.
        parts: configuration, processor and the way with images.
        form: the resolved prompt format.
        recognised: what was found on disk; None for a model that was in memory already.
    """

    options: CheckpointOptions
    model: Any
    parts: Parts
    form: PromptFormat
    recognised: Recognised | None = None

    @property
    def processor(self) -> Any:
        """The processor of transformers."""
        return self.parts.processor

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.parts.processor.tokenizer

    @property
    def kind(self) -> Kind:
        """How the checkpoint was loaded."""
        return self.recognised.kind if self.recognised else "native"

    @property
    def model_type(self) -> str:
        """The model's type in transformers."""
        return str(self.parts.config.model_type)

    @property
    def prompt_format(self) -> str:
        """Name of the resolved prompt format, never `auto`."""
        return self.form.name

    @property
    def max_length(self) -> int:
        """The model's context in tokens."""
        return context_length(self.parts.config)

    @cached_property
    def encoder(self) -> QuestionEncoder:
        """Questions to tokens and tensors."""
        return question_encoder(self.parts, self.form, self.options.blind)

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
        loaded = {
            "prompt_format": self.prompt_format,
            "dtype_loaded": str(self.model.dtype).removeprefix("torch."),
            "images": self.parts.vision.settings(),
        }
        return said | loaded


def load(options: CheckpointOptions) -> Checkpoint:
    """Loads a checkpoint.

    Raises:
        CheckpointError: everything that `recognise` raises for; weights left over, missing, of another shape, NaN or
            infinite; a tokenizer with more tokens than the model; no memory.
    """
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # type: ignore[no-untyped-call]  # one a checkpoint would bury what is said of the scores
    found = recognise(options, weights=True)
    parts = find_parts(found)
    model = _load_model(found, parts)
    if found.adapter is not None:
        from radar_tasks.scoring.checkpoints.adapters import merge_adapter

        model = merge_adapter(model, found.adapter)
    model = _placed(model, options)
    _check_weights(model, parts, options.pretrained)
    model.requires_grad_(False).eval()
    return Checkpoint(options, model, parts, found.form, found)


def from_model(model: Any, processor: Any, **options: Any) -> Checkpoint:
    """A checkpoint of a model that is in memory already, e.g. a trainer's. The model is not changed.

    Args:
        model: of transformers, in its native format; also with a PEFT adapter.
        processor: its processor; a copy is used.
        options: `prompt_format`, `blind`, `min_pixels`, `max_pixels`, `max_tiles`, as in `CheckpointOptions`.

    Raises:
        CheckpointError: the processor does not fit, or an option is wrong.
    """
    from radar_tasks.scoring.checkpoints.formats.native import check_processor, native_vision

    chosen = checkpoint_options({"pretrained": "(in memory)", **options})
    check_processor(processor, "processor")
    processor = copy.deepcopy(processor)
    config = model.config
    form = resolve_format(chosen.prompt_format, config.model_type, "native", config.to_dict())
    vision = native_vision(processor, config, form, chosen)
    return Checkpoint(chosen, model, Parts(type(model), config, processor, vision), form)


def find_parts(found: Recognised) -> Parts:
    """Everything of a recognised checkpoint but its weights.

    Raises:
        CheckpointError: a part cannot be made.
    """
    if found.kind == "internvl_chat":
        from radar_tasks.scoring.checkpoints.formats.internvl_chat import internvl_chat_parts

        return internvl_chat_parts(found)
    if found.kind == "llava_projector":
        from radar_tasks.scoring.checkpoints.formats.llava_projector import llava_projector_parts

        return llava_projector_parts(found)
    from radar_tasks.scoring.checkpoints.formats.native import native_parts

    return native_parts(found)


def question_encoder(parts: Parts, form: PromptFormat, blind: bool | str = False) -> QuestionEncoder:
    """Questions to tokens and tensors for a checkpoint with these parts."""
    tokens = TextTokenizer(parts.processor.tokenizer, parts.vision.image_token_ids)
    typed = TYPED_TEXT.get(parts.config.model_type, ())
    return QuestionEncoder(tokens, parts.vision, form, context_length(parts.config), blind=blind, typed_text=typed)


def context_length(config: Any) -> int:
    """The most tokens that a model can attend to; very large where its configuration sets no limit."""
    text = config.get_text_config(decoder=True)
    for name in ("max_position_embeddings", "max_sequence_length", "n_positions", "seq_length"):
        if isinstance(value := getattr(text, name, None), int):
            return value
    return 1 << 30


def _load_model(found: Recognised, parts: Parts) -> Any:
    loading = _loading(found.options)
    if found.kind == "internvl_chat":
        from radar_tasks.scoring.checkpoints.formats.internvl_chat import load_internvl_chat

        return load_internvl_chat(found, parts, **loading)
    if found.kind == "llava_projector":
        from radar_tasks.scoring.checkpoints.formats.llava_projector import load_llava_projector

        return load_llava_projector(found, parts, **loading)
    from radar_tasks.scoring.checkpoints.formats.native import load_native

    return load_native(found, parts, **loading)


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


def _check_weights(model: Any, parts: Parts, where: str) -> None:
    from radar_tasks.scoring.checkpoints.weights import check_finite, check_vocabulary

    check_vocabulary(model, parts.processor.tokenizer, where)
    check_finite(model, where)

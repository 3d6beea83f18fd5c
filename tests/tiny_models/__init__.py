"""Small random checkpoints of every family, with tokenizer and processor of their own; each saved takes < 3 MB.

folder = build("qwen2_vl", tmp_path / "qwen")        # a folder as transformers saves it
model, processor = make("gemma3")                    # in memory
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from tiny_models.by_hand import BY_HAND, BY_HAND_IMAGES, QWEN_SPECIALS
from tiny_models.questions import opened, picture, question
from tiny_models.table import NOT_MADE, TABLE, made_by_table, made_with_t5
from tiny_models.tokenizers import tokenizer

__all__ = [
    "BY_HAND",
    "FAMILIES",
    "NOT_MADE",
    "QWEN_SPECIALS",
    "build",
    "call_of",
    "image_of",
    "make",
    "opened",
    "picture",
    "question",
    "tokenizer",
]

FAMILIES = sorted({*BY_HAND, *TABLE} & {*MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES})
"""Every type of the installed transformers of which a checkpoint can be made."""


def make(family: str, seed: int = 0, *, t5: bool = False) -> tuple[Any, Any]:
    """Model and processor of a family, the weights spread so that every input changes the scores visibly.

    Args:
        family: one of `FAMILIES`.
        seed: of the weights.
        t5: whether the language model of one of BLIP's kind is T5.
    """
    torch.manual_seed(seed)
    if t5:
        model, processor = made_with_t5(family)
    else:
        model, processor = BY_HAND[family]() if family in BY_HAND else made_by_table(family)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                spread = 0.15 if family in BY_HAND else max(0.15, parameter[0].numel() ** -0.5)
                parameter.normal_(0, spread)
            elif any(word in name for word in ("gate", "gamma", "alpha")) and family not in BY_HAND:
                parameter.fill_(0.5)  # closed at the start of a training: pictures would hardly be seen
            elif "norm" not in name and "ln" not in name and (family in BY_HAND or not bool((parameter == 1).all())):
                parameter.normal_(0, 0.02)
    return model.eval(), processor


def build(family: str, folder: Path, seed: int = 0) -> Path:
    """Saves a checkpoint as transformers does; the folder."""
    model, processor = make(family, seed)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def image_of(family: str) -> str:
    """What a prompt for the family's processor says for an image; "" where the processor says it itself."""
    if family in TABLE:
        return TABLE[family].image
    return BY_HAND_IMAGES[family]


def call_of(family: str) -> dict[str, Any]:
    """Further arguments of a call of the family's processor."""
    return dict(TABLE[family].call) if family in TABLE else {}

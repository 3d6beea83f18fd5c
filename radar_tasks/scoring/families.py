"""What is particular to a model family (a `model_type` of transformers): one table, and nothing else asks for a name.

A family is here only where transformers gives no other way to tell; every other one is `Family()`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TowerOutput = Literal["hidden states", "last state"]


@dataclass(frozen=True)
class Family:
    """A model family; the defaults hold for all that have no entry.

    Attributes:
        refused: why its checkpoints cannot be scored; "" for those that can.
        prompt_format: what `prompt_format=auto` means for it.
        first_position: position of a sequence's first token.
        positions_behind_padding: whether that is the number behind the padding token's id instead, as fairseq counts.
        option_types: value of a token input on option tokens, by name, where it is not the prompt's text's.
        typed_text: token inputs that it wants for prompts without images, too.
        only_placeholders: whether to drop all that its processor puts around an image's placeholders: it writes the
            whole prompt, and the prompt format writes it, too.
        images_want_no_company: whether rows or pictures of a batch change each other in its forward, so that questions
            with images are scored one at a time.
        processor_arguments: further arguments that its processor has to be called with.
        frames: a picture is shown to it as a video of so many equal frames; 0 for a family that takes pictures.
        text_by_decoder: whether prompt and option are what its decoder writes and its encoder sees pictures alone, and
            its processor does not make the decoder's input of them.
        tower_output: what its projector reads of a separate vision tower that takes pictures one by one: the hidden
            states that the configuration names in `vision_feature_layer`, or the last state; None for no such tower.
        last_layer_is_last_state: whether `vision_feature_layer` -1 means the last state to its projector.
    """

    refused: str = ""
    prompt_format: str = "plain"
    first_position: int = 0
    positions_behind_padding: bool = False
    option_types: Mapping[str, int] = field(default_factory=dict)
    typed_text: tuple[str, ...] = ()
    only_placeholders: bool = False
    images_want_no_company: bool = False
    processor_arguments: Mapping[str, Any] = field(default_factory=dict)
    frames: int = 0
    text_by_decoder: bool = False
    tower_output: TowerOutput | None = None
    last_layer_is_last_state: bool = False


_WITH_THINKER = Family(
    refused="it speaks, too: save the part that answers in text, model.thinker.save_pretrained(FOLDER), and its "
    "processor beside it"
)

FAMILIES: Mapping[str, Family] = {
    "aya_vision": Family(tower_output="hidden states"),
    "cohere2_vision": Family(tower_output="last state"),
    # Positions of image tokens are made of these types, and its processor gives them only when asked.
    "cosmos3_edge": Family(processor_arguments={"return_mm_token_type_ids": True}),
    "diffusion_gemma": Family(refused="its text is not written from left to right"),
    "evolla": Family(refused="it takes proteins, no images"),
    "gemma3": Family(tower_output="last state"),
    # Places an image by its number among those of all rows of a batch (transformers 5.23).
    "hunyuan_vl": Family(images_want_no_company=True),
    # Has no part for pictures, and always as many tokens as four frames of a video have.
    "instructblipvideo": Family(frames=4),
    "internvl": Family(
        prompt_format="internvl_chat", tower_output="hidden states", last_layer_is_last_state=True
    ),
    "kosmos-2.5": Family(positions_behind_padding=True),
    "llava": Family(tower_output="hidden states"),
    "llava_next": Family(tower_output="hidden states"),
    "llava_onevision": Family(prompt_format="llava_onevision", tower_output="hidden states"),
    # Pictures packed together change each other's features (transformers 5.23).
    "minicpmv4_6": Family(images_want_no_company=True),
    "minicpmv4_7": Family(images_want_no_company=True),
    "mistral4": Family(refused="it takes no images"),
    "paligemma": Family(
        # Counts positions from 1. Its token types tell the part that sees itself whole (0) from what is read left to
        # right (1): the options; without them later tokens of an answer would be seen by earlier ones.
        prompt_format="paligemma",
        first_position=1,
        option_types={"token_type_ids": 1},
        typed_text=("token_type_ids",),
        only_placeholders=True,
        tower_output="last state",
    ),
    "phi4_multimodal": Family(refused="its images need adapters that are switched on for a prompt, not done here"),
    "pi0": Family(refused="it gives actions, not text"),
    # Its processor takes no text: what its decoder starts from is up to its user.
    "pp_formulanet": Family(text_by_decoder=True),
    "qwen2_5_omni": _WITH_THINKER,
    "qwen2_vl": Family(prompt_format="qwen2_vl"),
    "qwen3_omni_moe": _WITH_THINKER,
    "shieldgemma2": Family(refused="it gives two numbers a policy, no text"),
    # Reads the words of a page, too, and a question brings none: one without letters.
    "udop": Family(processor_arguments={"text_pair": [""], "boxes": [[0, 0, 0, 0]]}),
    # Its processors (TrOCR's, Donut's, Nougat's) make labels of a text, without what the decoder starts from.
    "vision-encoder-decoder": Family(text_by_decoder=True),
}  # fmt: skip


def family_of(model_type: str) -> Family:
    """The entry of a family, or the one that stands for all without an entry."""
    return FAMILIES.get(model_type, Family())

"""What passes between the rooms of the scoring engine.

    Question --encode--> EncodedQuestion --score--> OptionScore, one per option

`encode` belongs to a checkpoint (its prompt, its processor, its tokenizer); scoring sees tokens and tensors only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

VisionInput: TypeAlias = "Tensor | list[Any]"


class TokenNames(NamedTuple):
    """What a model calls its tokens, and the mask over them."""

    ids: str
    mask: str


TOKENS = TokenNames("input_ids", "attention_mask")
DECODER_TOKENS = TokenNames("decoder_input_ids", "decoder_attention_mask")
"""Of an encoder-decoder's decoder. What stands under the other names then is its encoder's."""


def token_names(inputs: Mapping[str, Any]) -> TokenNames:
    """Those of the tokens that options follow, among a model's inputs."""
    return DECODER_TOKENS if DECODER_TOKENS.ids in inputs else TOKENS


@dataclass(frozen=True)
class OptionScore:
    """The score of one candidate answer after image(s) and question.

    Attributes:
        logprob: mean over the option's tokens of the natural log-probability, in nats per token, <= 0.
        logit: mean over the option's tokens of the raw logit (the paper's F in Eq. 3); any finite number.
        tokens: number of the option's tokens, >= 1.
        bytes: length of the option's text in UTF-8 bytes, >= 1.
        logprob_blind, logit_blind: the same two after the question without its image(s); None where nobody asked.
    """

    logprob: float
    logit: float
    tokens: int
    bytes: int
    logprob_blind: float | None = None
    logit_blind: float | None = None


@dataclass(frozen=True)
class EncodedQuestion:
    """A question as one checkpoint sees it, on the CPU, not batched.

        prefix_ids        continuations[j]
        p0 p1 ... pP-1  | m0  c0  c1  c2      (m0: a token that belongs to the prompt but differs between options,
                          `---`-----------'    because the tokenizer merged across the boundary; rarely there)
                          context  scored[j] = 3: the last tokens of the continuation are the option's

    The logits at pP-1 score the first token of a continuation; each token of a continuation scores the next.

    Attributes:
        q_id: the question's, for messages.
        prefix_ids: (P,) int64, P >= 1, the tokens shared by all options, image placeholders expanded.
        continuations: one (L_j,) int64 an option, L_j >= 1.
        scored: how many tokens at the end of each continuation are the option's, 1 <= scored[j] <= L_j.
        option_bytes: UTF-8 length of each option's text.
        token_inputs: further inputs with one value a prefix token, each (P, ...): token types, masks over the pictures.
        option_inputs: the value that each of them, by name, has on every token of a continuation, each (...).
        vision: further inputs that do not run along the tokens, as the processor gives them for this question alone
            (`pixel_values`, `image_grid_thw`, ...): tensors, or lists of things that the processor does not stack.
        vision_axes: along which axis each of them is put together for several questions (lists are joined); None where
            they do not go together, so that the question is scored without company.
        vision_key: equal keys mean equal `vision` (same images, same preprocessing); "" without images.
        by_decoder: whether the tokens are those of an encoder-decoder's decoder; what its encoder reads, the prompt in
            some families and pictures alone in others, is in `vision` then.
        visual_tokens: number of placeholder tokens in `prefix_ids` that image features replace.
        prior: the same question without its image(s), where that is asked, too.
    """

    q_id: str
    prefix_ids: Tensor
    continuations: tuple[Tensor, ...]
    scored: tuple[int, ...]
    option_bytes: tuple[int, ...]
    token_inputs: Mapping[str, Tensor] = field(default_factory=dict)
    option_inputs: Mapping[str, Tensor] = field(default_factory=dict)
    vision: Mapping[str, VisionInput] = field(default_factory=dict)
    vision_axes: Mapping[str, int] | None = field(default_factory=dict)
    vision_key: str = ""
    by_decoder: bool = False
    visual_tokens: int = 0
    prior: EncodedQuestion | None = None

    @property
    def token_names(self) -> TokenNames:
        """What the model calls these tokens."""
        return DECODER_TOKENS if self.by_decoder else TOKENS

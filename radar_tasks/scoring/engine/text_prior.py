"""What a model expects of the options before it has seen the picture: the same questions without theirs.

A question without its picture is its text, and texts repeat: "The image shows" stands in front of thousands of titles,
and a closed vocabulary has the same few options throughout. So every option is scored once behind each prompt, many
options behind one prompt at a time, whatever questions they belong to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from torch import Tensor

from radar_tasks.scoring.types import EncodedQuestion, OptionScore

OPTIONS_AT_ONCE = 16
"""Options behind one prompt in one question: enough to pay for the prompt, few enough to share a batch with others."""

_Key = tuple[bytes, bytes, int]
"""What decides about the score of an option: its prompt, its tokens, and how many of them are the option's."""


class _Option(NamedTuple):
    """An option of an `EncodedQuestion`."""

    tokens: Tensor
    scored: int
    bytes: int


class TextPrior:
    """The scores of options without pictures, each asked for once.

    Lives as long as one run over questions, so that scores of older weights are never used.
    """

    def __init__(self) -> None:
        self._known: dict[_Key, OptionScore] = {}

    def missing(self, questions: Sequence[EncodedQuestion]) -> list[EncodedQuestion]:
        """What has to be scored so that these questions have their prior, as questions of their own.

        Args:
            questions: each with its `prior`.

        Returns:
            Prompts with the options that nobody has asked for yet, each option once.
        """
        prompts: dict[bytes, EncodedQuestion] = {}
        options: dict[bytes, dict[_Key, _Option]] = {}
        for prior in (question.prior for question in questions if question.prior is not None):
            for option, key in enumerate(_keys(prior)):
                if key not in self._known:
                    prompts.setdefault(key[0], prior)
                    found = _Option(prior.continuations[option], prior.scored[option], prior.option_bytes[option])
                    options.setdefault(key[0], {}).setdefault(key, found)
        return [
            question
            for prompt, asked in options.items()
            for question in _side_by_side(prompts[prompt], list(asked.values()))
        ]

    def learn(self, asked: EncodedQuestion, scores: Sequence[OptionScore]) -> None:
        """Keeps what came out for one of `missing`."""
        self._known.update(zip(_keys(asked), scores, strict=True))

    def knows(self, question: EncodedQuestion) -> bool:
        """Whether all options of a question have their prior."""
        return question.prior is None or all(key in self._known for key in _keys(question.prior))

    def added(self, question: EncodedQuestion, scores: Sequence[OptionScore]) -> tuple[OptionScore, ...]:
        """A question's scores, with those without its picture beside them."""
        if question.prior is None:
            return tuple(scores)
        blind = [self._known[key] for key in _keys(question.prior)]
        return tuple(
            replace(score, logprob_blind=without.logprob, logit_blind=without.logit)
            for score, without in zip(scores, blind, strict=True)
        )


def _prompt_key(question: EncodedQuestion) -> bytes:
    digest = hashlib.sha256(question.prefix_ids.numpy().tobytes())
    for inputs in (question.token_inputs, question.option_inputs):
        for name, values in sorted(inputs.items()):
            digest.update(name.encode() + values.numpy().tobytes())
    read_by_encoder = question.vision.get("input_ids")  # an encoder-decoder's prompt
    if isinstance(read_by_encoder, Tensor):
        digest.update(read_by_encoder.numpy().tobytes())
    digest.update(question.vision_key.encode())
    return digest.digest()


def _keys(question: EncodedQuestion) -> list[_Key]:
    prompt = _prompt_key(question)
    continuations = zip(question.continuations, question.scored, strict=True)
    return [(prompt, tokens.numpy().tobytes(), scored) for tokens, scored in continuations]


def _side_by_side(prompt: EncodedQuestion, options: list[_Option]) -> list[EncodedQuestion]:
    """Options behind a prompt, so many at once; those of about the same length stand together."""
    options.sort(key=lambda option: len(option.tokens))
    parts = (options[first : first + OPTIONS_AT_ONCE] for first in range(0, len(options), OPTIONS_AT_ONCE))
    return [
        replace(
            prompt,
            continuations=tuple(option.tokens for option in part),
            scored=tuple(option.scored for option in part),
            option_bytes=tuple(option.bytes for option in part),
        )
        for part in parts
    ]

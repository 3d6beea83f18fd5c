"""Which questions are scored together, and how their tokens are laid side by side.

A batch is the question that has waited longest and its nearest neighbours in length. Pictures are never padded: a
family's own padding of pictures can change their features, so only inputs of equal shape share a batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from radar_tasks.scoring.types import EncodedQuestion, VisionInput

PADDING_SHARE = 0.1
"""Padding that batching adds may take this share of a batch's tokens."""


@dataclass(frozen=True)
class OptionRows:
    """The continuations of a batch, one a row, right-padded; R rows of at most T tokens.

    Attributes:
        question: (R,) int64, which question of the batch a row belongs to; rows of one question are neighbours.
        tokens: (R, T) int64, the continuations.
        present: (R, T) bool, where a row has a token.
        scored: (R, T) bool, where that token belongs to the option (and not to the prompt).
    """

    question: Tensor
    tokens: Tensor
    present: Tensor
    scored: Tensor

    @property
    def lengths(self) -> Tensor:
        """(R,) int64, tokens a row."""
        return self.present.sum(1)

    @property
    def goes_on(self) -> Tensor:
        """(R,) bool, rows of more than one token: the logits at the prompt's end are not enough for them."""
        return self.present[:, 1] if self.present.shape[1] > 1 else torch.zeros(len(self.present), dtype=torch.bool)

    @property
    def follows(self) -> Tensor:
        """(R, T) bool, tokens that another token of the continuation predicts: all but the first."""
        return self.present & (torch.arange(self.present.shape[1]) > 0)


def option_rows(batch: Sequence[EncodedQuestion]) -> OptionRows:
    """Lays the continuations of a batch under each other."""
    continuations = [tokens for question in batch for tokens in question.continuations]
    lengths = torch.tensor([len(tokens) for tokens in continuations])
    scored = torch.tensor([count for question in batch for count in question.scored])
    place = torch.arange(int(lengths.max()))
    present = place < lengths[:, None]
    return OptionRows(
        question=torch.tensor([k for k, question in enumerate(batch) for _ in question.continuations]),
        tokens=pad(continuations, "right"),
        present=present,
        scored=present & (place >= (lengths - scored)[:, None]),
    )


def pad(rows: Sequence[Tensor], side: str) -> Tensor:
    """(R, longest, ...) from R tensors (length, ...); zeros on `side` (`left` or `right`)."""
    return pad_sequence(list(rows), batch_first=True, padding_side=side)


def kind_of(question: EncodedQuestion) -> Hashable:
    """What questions in a batch have in common: the names of their inputs, and all sizes but where they are joined."""
    axes = question.vision_axes or {}
    pictures = tuple(sorted((name, _shape(value, axes.get(name, 0))) for name, value in question.vision.items()))
    along = tuple(sorted((name, tuple(value.shape[1:])) for name, value in question.token_inputs.items()))
    return along, pictures, question.vision_axes is None


def _shape(value: VisionInput, axis: int) -> tuple[int, ...]:
    return tuple(value.shape[:axis] + value.shape[axis + 1 :]) if isinstance(value, Tensor) else ()


def vision_of(questions: Sequence[EncodedQuestion]) -> dict[str, VisionInput]:
    """The vision inputs of several questions of one kind in one, in order."""
    first = questions[0]
    if len(questions) == 1 or not first.vision:
        return dict(first.vision)
    if any(question.vision_axes is None for question in questions):
        raise ValueError("pictures that do not go together are in one batch")
    return {name: _joined(name, questions) for name in first.vision}


def _joined(name: str, questions: Sequence[EncodedQuestion]) -> VisionInput:
    values = [question.vision[name] for question in questions]
    if any(isinstance(value, list) for value in values):
        return [item for value in values for item in value]
    return torch.cat([torch.as_tensor(value) for value in values], dim=(questions[0].vision_axes or {}).get(name, 0))


def next_batch(waiting: Sequence[EncodedQuestion], limit: int) -> list[int]:
    """Picks the questions to score next.

    The first of `waiting` is always taken, so none waits for ever. The others follow by closeness: same pictures
    first (their features are made once), then prompts of nearly the same length, then options of nearly the same
    length, as long as padding stays under `PADDING_SHARE`. What a question pads alone (options of different lengths)
    no choice of batch can avoid, so it is not counted.

    Args:
        waiting: at least one question, in order of arrival.
        limit: most questions in a batch, >= 1.

    Returns:
        Indices into `waiting`, ascending, the first of them 0.
    """
    oldest = waiting[0]

    def distance(index: int) -> tuple[bool, int, int, int]:
        question = waiting[index]
        return (
            question.vision_key != oldest.vision_key,
            abs(len(question.prefix_ids) - len(oldest.prefix_ids)),
            abs(_longest(question) - _longest(oldest)),
            index,
        )

    if oldest.vision and oldest.vision_axes is None:
        return [0]
    kind = kind_of(oldest)
    alike = sorted((k for k, question in enumerate(waiting) if kind_of(question) == kind), key=distance)
    alike.remove(0)
    batch, room = [0], _Room().with_one_more(oldest)
    for index in alike:
        if len(batch) >= limit:
            break
        larger = room.with_one_more(waiting[index])
        if larger.added_padding <= PADDING_SHARE:
            batch.append(index)
            room = larger
    return sorted(batch)


@dataclass(frozen=True)
class _Room:
    """What the tokens of a batch take, so that one more question is weighed without going through those in it.

    The model sees the prompt, and of every continuation all but the last token, which predicts nothing.

    Attributes:
        questions, continuations: how many there are.
        prefix, longest: tokens of the longest prompt and of the longest continuation.
        alone: tokens of all questions if each were scored by itself.
    """

    questions: int = 0
    continuations: int = 0
    prefix: int = 0
    longest: int = 1
    alone: int = 0

    def with_one_more(self, question: EncodedQuestion) -> _Room:
        """With a question more."""
        prefix, count, longest = len(question.prefix_ids), len(question.continuations), _longest(question)
        return _Room(
            self.questions + 1,
            self.continuations + count,
            max(self.prefix, prefix),
            max(self.longest, longest),
            self.alone + prefix + count * (longest - 1),
        )

    @property
    def added_padding(self) -> float:
        """Share of tokens, in [0, 1), that are there only because these questions were put together."""
        return 1 - self.alone / (self.questions * self.prefix + self.continuations * (self.longest - 1))


def _longest(question: EncodedQuestion) -> int:
    return max(len(tokens) for tokens in question.continuations)

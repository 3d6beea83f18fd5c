"""Question to `EncodedQuestion`: the prompt's parts to tokens, the options behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import torch
from PIL import Image as PILImage

from radar_tasks.errors import QuestionError, RadarError
from radar_tasks.questions import AskedQuestion
from radar_tasks.scoring.encoding.images import blank, read_image
from radar_tasks.scoring.encoding.processor_call import SecondReader
from radar_tasks.scoring.encoding.processor_prompt import Seam
from radar_tasks.scoring.encoding.prompt_formats import Image, Prompt, PromptFormat, Text
from radar_tasks.scoring.encoding.segments import Run, Segment, runs_of
from radar_tasks.scoring.encoding.text import TextTokenizer
from radar_tasks.scoring.encoding.vision import EncodedImages, VisionEncoder
from radar_tasks.scoring.families import Family
from radar_tasks.scoring.types import EncodedQuestion

Tail = tuple[tuple[int, ...], int]
"""Tokens of the prompt's last text joined with an option, and how many at their end are the option's."""


class QuestionEncoder:
    """Encodes questions for one checkpoint; safe to call from several threads.

    Args:
        tokens: the checkpoint's tokenizer.
        vision: what it does with images.
        form: the prompt format.
        max_length: the model's context in tokens.
        blind: True leaves images out, `blank` makes them grey.
        family: what is particular to the model's.
        seam: how its processor puts a text behind an image.
        decoder_start: tokens that an encoder-decoder's decoder starts from; () for a model without an encoder.
        second_reader: of a part that reads the prompt beside the pictures, with a tokenizer of its own.
    """

    def __init__(
        self,
        tokens: TextTokenizer,
        vision: VisionEncoder,
        form: PromptFormat,
        max_length: int,
        *,
        blind: bool | str = False,
        family: Family | None = None,
        seam: Seam | None = None,
        decoder_start: tuple[int, ...] = (),
        second_reader: SecondReader | None = None,
    ) -> None:
        self._tokens = tokens
        self._vision = vision
        self._form = form
        self.max_length = max_length
        self._blind = blind
        self._family = family or Family()
        self._seam = seam or Seam()
        self._decoder_start = decoder_start
        self._second_reader = second_reader
        settings = json.dumps(vision.settings(), sort_keys=True, default=str)
        self._settings = hashlib.sha256(f"{settings} {form.official} {blind}".encode()).digest()

    def __call__(self, question: AskedQuestion) -> EncodedQuestion:
        """Encodes a question.

        Raises:
            QuestionError: an image cannot be decoded, an option gives no token, the prompt is longer than the context.
        """
        prompt = self.prompt(question)
        runs = runs_of(prompt.parts)
        images = self._read_apart(question, prompt, self._encode_images(question, runs))
        before, tail_text, first = self._before_tail(runs, images)
        if self._decoder_start and not images.for_decoder:
            return self._answered_by_decoder(question, [*before, self._end(tail_text, first, images)], images)
        tails = [self._tail(question, prompt, tail_text, first, k) for k in range(len(question.options))]
        shared = _shared_length(tails)
        prefix = [*before, _on_text(tails[0][0][:shared], images.segments[-1])]
        if not any(segment.ids for segment in prefix):
            prefix = [_on_text((self._start(question),), images.segments[-1])]
        encoded = self._assemble(question, prefix, [(ids[shared:], scored) for ids, scored in tails], images)
        self._check_length(question, encoded)
        return encoded

    def _read_apart(self, question: AskedQuestion, prompt: Prompt, images: EncodedImages) -> EncodedImages:
        """The pictures with what a second tokenizer makes of the prompt's text, for the part that sees both."""
        if self._second_reader is None or not images.vision:
            return images
        try:
            read = self._second_reader("".join(part.text for part in prompt.parts if isinstance(part, Text)).strip())
        except QuestionError as error:
            raise QuestionError(f"question {question.q_id!r}: {error}.") from error
        axes = None if images.axes is None else {**images.axes, **dict.fromkeys(read, 0)}
        return replace(images, vision={**images.vision, **read}, axes=axes, read_apart=frozenset(read))

    def _end(self, text: str, first: bool, images: EncodedImages) -> Segment:
        """The last text of a prompt that no option follows, and what the processor puts behind it."""
        behind = images.segments[-1]
        joined = _on_text(self._tokens.text(text.rstrip(), first).ids, behind)
        return Segment(
            joined.ids + images.after.ids,
            {name: torch.cat([value, images.after.inputs[name]]) for name, value in joined.inputs.items()},
        )

    def _answered_by_decoder(
        self, question: AskedQuestion, prompt: Sequence[Segment], images: EncodedImages
    ) -> EncodedQuestion:
        """An encoder reads the prompt, and the option is what the decoder writes, behind its start as in training."""
        ids = torch.tensor([id_ for segment in prompt for id_ in segment.ids])
        along = {
            name: torch.cat([s.inputs[name] for s in prompt if s.ids])[None] for name in images.segments[-1].on_text
        }
        answer = Prompt((), joiner="", scored="length")  # all that the decoder writes is the option's
        tails = [self._tail(question, answer, "", True, k) for k in range(len(question.options))]
        encoded = EncodedQuestion(
            q_id=question.q_id,
            prefix_ids=torch.tensor(self._decoder_start),
            continuations=tuple(torch.tensor(tail) for tail, _ in tails),
            scored=tuple(scored for _, scored in tails),
            option_bytes=tuple(len(option.encode("utf-8", "surrogatepass")) for option in question.options),
            vision={"input_ids": ids[None], "attention_mask": torch.ones_like(ids)[None], **along, **images.vision},
            vision_axes=None,
            by_decoder=True,
        )
        self._check_length(question, encoded)
        return encoded

    def prompt(self, question: AskedQuestion) -> Prompt:
        """The question's prompt; without its images if the checkpoint is blind."""
        prompt = self._form.prompt(question)
        if self._blind is True:
            kept = tuple(part for part in prompt.parts if not isinstance(part, Image))
            return Prompt(kept, prompt.joiner, prompt.scored)
        return prompt

    def _encode_images(self, question: AskedQuestion, runs: Sequence[Run]) -> EncodedImages:
        if not question.images or self._blind is True:
            return self._vision([], (0,) * len(runs))
        form = self._form
        pictures = [
            read_image(data, question.q_id, k, form.official, white_behind=form.rules.resizes_twice)
            for k, data in enumerate(question.images)
        ]
        if self._blind == "blank":
            pictures = [blank(picture) for picture in pictures]
        order = [index for run in runs for index in run.images]
        if order == sorted(order):
            return self._encode_pictures(question, pictures, tuple(len(run.images) for run in runs))
        # InternVL's script puts the blocks of images in another order than their pixels: each block alone, then.
        apart = self._encode_pictures(question, pictures, (*(1 for _ in pictures), 0))
        start = len(self._vision([], (0,)).segments[0].ids)
        return replace(apart, segments=_rearranged(apart.segments, runs, start))

    def _encode_pictures(
        self, question: AskedQuestion, pictures: list[PILImage.Image], layout: tuple[int, ...]
    ) -> EncodedImages:
        try:
            return self._vision(pictures, layout)
        except RadarError as error:
            raise type(error)(f"question {question.q_id!r}: {error}") from error
        except MemoryError:
            raise
        except Exception as error:  # processors refuse pictures by whatever they like, e.g. 200 times as long as high
            sizes = ", ".join(f"{picture.width}x{picture.height}" for picture in pictures)
            raise QuestionError(
                f"question {question.q_id!r} of {question.source!r} (image {question.image_id!r}): the checkpoint's "
                f"processor refuses its images ({sizes}): {type(error).__name__}: {error}"
            ) from error

    def _before_tail(self, runs: Sequence[Run], images: EncodedImages) -> tuple[list[Segment], str, bool]:
        """Everything before the last text; that text; and whether the prompt starts with it."""
        segments: list[Segment] = []
        text, first = "", True
        for run, segment in zip(runs, images.segments, strict=True):
            if text:
                segments.append(_on_text(self._tokens.text(text, first).ids, segments[-1]))
                text, first = "", False
            seam = self._seam if run.images and any(isinstance(p, Text) and p.text for p in run.text[:1]) else Seam()
            segments.append(segment.without_last(seam.dropped))
            first = first and (not run.images or seam.begins)
            for part in run.text:
                if isinstance(part, Text):
                    begins = not text and part is run.text[0] and not part.text[:1].isspace()
                    text += seam.blank * begins + part.text
                    continue
                if text:
                    segments.append(_on_text(self._tokens.text(text, first).ids, segment))
                segments.append(_on_text((self._tokens.control(part.token),), segment))
                text, first = "", False
        return segments, text, first

    def _tail(self, question: AskedQuestion, prompt: Prompt, text: str, first: bool, option: int) -> Tail:
        """The last text of the prompt with an option, tokenised together."""
        context = text + prompt.joiner
        joined = self._tokens.text(context + question.options[option], first)
        if prompt.scored == "length":
            start = len(self._tokens.text(text, first).ids) if text else 0
        elif joined.ends is not None:
            start = next((k for k, end in enumerate(joined.ends) if end > len(context)), len(joined.ids))
        else:  # the tokens that the prompt has alone, with or without the joiner
            alone = [self._tokens.text(piece, first).ids for piece in (text, context) if piece]
            start = max((_common_prefix([joined.ids, ids]) for ids in alone), default=0)
        if start >= len(joined.ids):
            raise QuestionError(
                f"question {question.q_id!r}, option {option}: {question.options[option]!r} gives no token of its own."
            )
        return joined.ids, len(joined.ids) - start

    def _start(self, question: AskedQuestion) -> int:
        """Something to predict the first token from, where the prompt is empty."""
        start = self._tokens.fallback_start
        if start is None:
            raise QuestionError(
                f"question {question.q_id!r}: the prompt is empty and the tokenizer has no start token."
            )
        return start

    def _assemble(
        self, question: AskedQuestion, prefix: list[Segment], rest: list[Tail], images: EncodedImages
    ) -> EncodedQuestion:
        ids = [id_ for segment in prefix for id_ in segment.ids]
        on_options = dict(images.segments[-1].on_text)
        inputs = {name: torch.cat([s.inputs[name] for s in prefix if s.ids]) for name in on_options}
        for name in self._family.typed_text:
            inputs.setdefault(name, torch.zeros(len(ids), dtype=torch.int64))
        for name, value in self._family.option_types.items():
            if name in inputs:
                on_options[name] = torch.tensor(value)
        return EncodedQuestion(
            q_id=question.q_id,
            prefix_ids=torch.tensor(ids, dtype=torch.int64),
            continuations=tuple(torch.tensor(tail, dtype=torch.int64) for tail, _ in rest),
            scored=tuple(scored for _, scored in rest),
            option_bytes=tuple(len(option.encode("utf-8", "surrogatepass")) for option in question.options),
            token_inputs=inputs,
            option_inputs=on_options,
            vision=images.vision,
            vision_axes=None if images.for_decoder or self._alone(images) else images.axes,
            by_decoder=images.for_decoder,
            vision_key=self._vision_key(question, images) if question.images and images.vision else "",
            visual_tokens=sum(id_ in self._vision.image_token_ids for id_ in ids),
        )

    def _alone(self, images: EncodedImages) -> bool:
        """Whether the question is to be scored without company."""
        return bool(images.vision) and self._family.images_want_no_company

    def _vision_key(self, question: AskedQuestion, images: EncodedImages) -> str:
        digest = hashlib.sha256(self._settings)
        if self._blind == "blank":  # grey pictures of one size are the same, whatever they stand for
            for name, value in sorted(images.vision.items()):
                for part in value if isinstance(value, list) else [value]:
                    content = part.numpy().tobytes() if isinstance(part, torch.Tensor) else repr(part).encode()
                    digest.update(f"{name} {getattr(part, 'shape', '')} ".encode() + content)
            return digest.hexdigest()
        for data in question.images:
            digest.update(hashlib.sha256(data).digest())
        for name in sorted(images.read_apart):
            digest.update(torch.as_tensor(images.vision[name]).numpy().tobytes())
        return digest.hexdigest()

    def _check_length(self, question: AskedQuestion, encoded: EncodedQuestion) -> None:
        length = len(encoded.prefix_ids) + max(map(len, encoded.continuations))
        if length > self.max_length:
            raise QuestionError(
                f"question {question.q_id!r}: {length} tokens ({encoded.visual_tokens} of them for "
                f"{len(question.images)} image(s)) are more than the model's context of {self.max_length}. "
                "Use smaller images (max_pixels, max_tiles) or leave the question out."
            )


def _on_text(ids: tuple[int, ...], behind: Segment) -> Segment:
    """A piece of a run of text with the inputs that its tokens have."""
    inputs = {name: value.expand(len(ids), *value.shape) for name, value in behind.on_text.items()}
    return Segment(ids, inputs, behind.on_text)


def _rearranged(apart: Sequence[Segment], runs: Sequence[Run], start: int) -> tuple[Segment, ...]:
    """Segments of one image each, the first behind `start` tokens, in the order in which runs name their images."""
    begin, *blocks = [apart[0].ids[:start], apart[0].ids[start:], *(segment.ids for segment in apart[1:])]
    ids = [tuple(id_ for index in run.images for id_ in blocks[index]) for run in runs]
    ids[0] = begin + ids[0]
    return tuple(Segment(block) for block in ids)


def _shared_length(tails: Sequence[Tail]) -> int:
    """How many tokens all tails start with, none of them an option's."""
    return min(_common_prefix([ids for ids, _ in tails]), *(len(ids) - scored for ids, scored in tails))


def _common_prefix(rows: Iterable[Sequence[int]]) -> int:
    length = 0
    for column in zip(*rows, strict=False):
        if len(set(column)) > 1:
            break
        length += 1
    return length

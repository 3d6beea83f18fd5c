"""Question to `EncodedQuestion`: the prompt's parts to tokens, the options behind them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import torch
from PIL import Image as PILImage

from radar_tasks.errors import QuestionError, RadarError
from radar_tasks.questions import AskedQuestion
from radar_tasks.scoring.encoding.images import blank, read_image
from radar_tasks.scoring.encoding.prompt_formats import Control, Image, Prompt, PromptFormat, Text
from radar_tasks.scoring.encoding.text import TextTokenizer
from radar_tasks.scoring.encoding.vision import EncodedImages, ImageBlock, VisionEncoder
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
        typed_text: names of token inputs that the model wants for prompts without images, too.
    """

    def __init__(
        self,
        tokens: TextTokenizer,
        vision: VisionEncoder,
        form: PromptFormat,
        max_length: int,
        *,
        blind: bool | str = False,
        typed_text: Sequence[str] = (),
    ) -> None:
        self._tokens = tokens
        self._vision = vision
        self._form = form
        self.max_length = max_length
        self._blind = blind
        self._typed_text = typed_text
        settings = json.dumps(vision.settings(), sort_keys=True, default=str)
        self._settings = hashlib.sha256(f"{settings} {form.official} {blind}".encode()).digest()

    def __call__(self, question: AskedQuestion) -> EncodedQuestion:
        """Encodes a question.

        Raises:
            QuestionError: an image cannot be decoded, an option gives no token, the prompt is longer than the context.
        """
        prompt = self.prompt(question)
        images = self._encode_images(question)
        head, tail_text, first = self._head(prompt, images)
        tails = [self._tail(question, prompt, tail_text, first, k) for k in range(len(question.options))]
        shared = _shared_length(tails)
        prefix = [*head, ImageBlock(tails[0][0][:shared])]
        if not any(block.ids for block in prefix):
            prefix = [self._start(question)]
        encoded = self._assemble(question, prefix, [(ids[shared:], scored) for ids, scored in tails], images)
        self._check_length(question, encoded)
        return encoded

    def prompt(self, question: AskedQuestion) -> Prompt:
        """The question's prompt; without its images if the checkpoint is blind."""
        prompt = self._form.prompt(question)
        if self._blind is True:
            kept = tuple(part for part in prompt.parts if not isinstance(part, Image))
            return Prompt(kept, prompt.joiner, prompt.scored)
        return prompt

    def _encode_images(self, question: AskedQuestion) -> EncodedImages:
        if not question.images or self._blind is True:
            return EncodedImages((), {})
        form = self._form
        pictures = [
            read_image(data, question.q_id, k, form.official, white_behind=form.rules.resizes_twice)
            for k, data in enumerate(question.images)
        ]
        if self._blind == "blank":
            pictures = [blank(picture) for picture in pictures]
        return self._encode_pictures(question, pictures)

    def _encode_pictures(self, question: AskedQuestion, pictures: list[PILImage.Image]) -> EncodedImages:
        try:
            return self._vision(pictures)
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

    def _head(self, prompt: Prompt, images: EncodedImages) -> tuple[list[ImageBlock], str, bool]:
        """Tokens of everything before the last text; that text; and whether the prompt starts with it."""
        blocks: list[ImageBlock] = []
        text, first = "", True
        for part in prompt.parts:
            if isinstance(part, Text):
                text += part.text
                continue
            if text:
                blocks.append(ImageBlock(self._tokens.text(text, first).ids))
            blocks.append(
                ImageBlock((self._tokens.control(part.token),))
                if isinstance(part, Control)
                else images.blocks[part.index]
            )
            text, first = "", False
        return [ImageBlock(self._tokens.start_ids), *blocks], text, first

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

    def _start(self, question: AskedQuestion) -> ImageBlock:
        """Something to predict the first token from, where the prompt is empty."""
        start = self._tokens.fallback_start
        if start is None:
            raise QuestionError(
                f"question {question.q_id!r}: the prompt is empty and the tokenizer has no start token."
            )
        return ImageBlock((start,))

    def _assemble(
        self, question: AskedQuestion, prefix: list[ImageBlock], rest: list[Tail], images: EncodedImages
    ) -> EncodedQuestion:
        ids = [id_ for block in prefix for id_ in block.ids]
        names = sorted({name for block in images.blocks for name in block.types} or self._typed_text)
        types = {name: [t for block in prefix for t in block.types.get(name, (0,) * len(block.ids))] for name in names}
        return EncodedQuestion(
            q_id=question.q_id,
            prefix_ids=torch.tensor(ids, dtype=torch.int64),
            continuations=tuple(torch.tensor(tail, dtype=torch.int64) for tail, _ in rest),
            scored=tuple(scored for _, scored in rest),
            option_bytes=tuple(len(option.encode("utf-8", "surrogatepass")) for option in question.options),
            token_inputs={name: torch.tensor(values, dtype=torch.int64) for name, values in types.items()},
            vision=images.vision,
            vision_key=self._vision_key(question) if images.vision else "",
            visual_tokens=sum(id_ in self._vision.image_token_ids for id_ in ids),
        )

    def _vision_key(self, question: AskedQuestion) -> str:
        digest = hashlib.sha256(self._settings)
        for data in question.images:
            digest.update(hashlib.sha256(data).digest())
        return digest.hexdigest()

    def _check_length(self, question: AskedQuestion, encoded: EncodedQuestion) -> None:
        length = len(encoded.prefix_ids) + max(map(len, encoded.continuations))
        if length > self.max_length:
            raise QuestionError(
                f"question {question.q_id!r}: {length} tokens ({encoded.visual_tokens} of them for "
                f"{len(question.images)} image(s)) are more than the model's context of {self.max_length}. "
                "Use smaller images (max_pixels, max_tiles) or leave the question out."
            )


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

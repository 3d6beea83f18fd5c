"""Images to what a model takes: the tokens that stand for them in a prompt, and the tensors beside them."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from radar_tasks.errors import CheckpointError, QuestionError
from radar_tasks.scoring.encoding.images import internvl_tiles, normalised, resize_as_qwen_vl_utils
from radar_tasks.scoring.encoding.processor_call import ProcessorCall
from radar_tasks.scoring.encoding.segments import Layout, Segment
from radar_tasks.scoring.encoding.text import tokens_in_front
from radar_tasks.scoring.types import TOKENS, VisionInput, token_names


@dataclass(frozen=True)
class EncodedImages:
    """The images of one question in its prompt.

    Attributes:
        segments: one for each run of text, what stands in front of it.
        vision: the model's further inputs, in the order of the images.
        axes: how those of several questions are put together, see `EncodedQuestion.vision_axes`.
        after: what the processor puts behind a prompt, `</s>` for example; an option takes its place, unless the prompt
            is an encoder's and the option is not part of it.
        for_decoder: whether the text is an encoder-decoder's decoder's, and its encoder sees pictures alone.
        read_apart: those of `vision` that are the prompt's text as a part reads it which makes features of both.
    """

    segments: tuple[Segment, ...]
    vision: Mapping[str, VisionInput] = field(default_factory=dict)
    axes: Mapping[str, int] | None = field(default_factory=dict)
    after: Segment = field(default_factory=lambda: Segment(()))
    for_decoder: bool = False
    read_apart: frozenset[str] = frozenset()


class VisionEncoder(Protocol):
    """What a checkpoint does with the images of a question."""

    image_token_ids: frozenset[int]
    """The placeholder tokens that features replace; none where a family has its images outside the prompt's tokens."""

    def __call__(self, images: Sequence[Image.Image], layout: Layout) -> EncodedImages:
        """Encodes the images of one question together, in the order of the prompt; none for a prompt of text alone."""
        ...

    def whole(self, image: Image.Image, text: str) -> tuple[int, ...] | None:
        """An image and a text as the checkpoint's own processor makes one prompt of them; None where none can say."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides about the tensors, as plain values."""
        ...


@dataclass(frozen=True)
class Conventions:
    """What a processor's outputs are, learnt from its answers and not guessed from shapes.

    Attributes:
        along_tokens: outputs that grow with the text: one value, or a row of values, a token.
        axes: for the others the axis along which those of two prompts are put together, None if for one of them there
            is no such axis: values that count from the start of a batch (Molmo2), or a processor that takes one prompt.
    """

    along_tokens: frozenset[str]
    axes: Mapping[str, int] | None


class ProcessorVision:
    """Images by the checkpoint's own processor of transformers, whatever the family.

    The processor is asked for the whole prompt with a control token in place of each run of text. So it never sees text
    from data, and what it puts before, between and around images is what it puts there in a whole prompt. The answer is
    cut at the control tokens.

    Args:
        processor: how it is called.
        placeholder: text that the processor expands into an image's tokens; "" where it puts them in front by itself.
        image_token_ids: tokens that features replace.
        resize_first: whether to resize as the official Qwen2-VL script does before the processor does it again.
        only_placeholders: whether to drop all else that the processor puts around (PaliGemma's prompt).
    """

    def __init__(
        self,
        processor: ProcessorCall,
        placeholder: str,
        image_token_ids: frozenset[int],
        *,
        resize_first: bool = False,
        only_placeholders: bool = False,
    ) -> None:
        self.image_token_ids = image_token_ids
        self._processor = processor
        self._placeholder = placeholder
        self._resize_first = resize_first
        self._only_placeholders = only_placeholders
        self._learning = threading.Lock()
        self._learnt: Conventions | None = None
        self._stand_in, self._stand_in_id = self._find_stand_in()

    def __call__(self, images: Sequence[Image.Image], layout: Layout) -> EncodedImages:
        if not images:
            return self._text_alone
        if len(images) > 1 and not self._placeholder:
            raise QuestionError(f"{len(images)} images, and prompts of this family hold one (its processor puts it in)")
        if self._resize_first:
            images = [resize_as_qwen_vl_utils(image) for image in images]
        text = "".join(self._placeholder * count + self._stand_in for count in layout)
        output = self._processor(text, list(images))
        with self._learning:
            if self._learnt is None:
                self._learnt = self._conventions(list(images), text, output)
        encoded = self._cut(output, self._learnt)
        if len(encoded.segments) != len(layout):
            name = type(self._processor.processor).__name__
            raise CheckpointError(
                f"the processor ({name}) keeps {len(encoded.segments)} of {len(layout)} pieces of text apart from the "
                "images: its prompts cannot be told apart from text."
            )
        return encoded

    def _find_stand_in(self) -> tuple[str, int]:
        """A control token for runs of text, as text and id: one that neither tokenizer nor processor adds by itself."""
        tokenizer = self._processor.tokenizer
        candidates = [tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token, *tokenizer.all_special_tokens]
        candidates += [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
        for token in dict.fromkeys(filter(None, candidates)):
            id_ = tokenizer.convert_tokens_to_ids(token)
            taken = (*self.image_token_ids, tokenizer.unk_token_id, self._processor.decoder_start)
            if token in self._placeholder or id_ in taken:
                continue
            output = self._processor(self._placeholder + token * 2, [Image.new("RGB", (64, 64))])
            if int((torch.as_tensor(output[token_names(output).ids]) == id_).sum()) == 2:
                return token, id_
        raise CheckpointError("the tokenizer has no special token (eos, bos, pad) to tell images and text apart.")

    def whole(self, image: Image.Image, text: str) -> tuple[int, ...] | None:
        if self._only_placeholders:  # the rest of its prompt is the prompt format's
            return None
        try:
            output = self._processor(self._placeholder + text, [image])
        except Exception:  # what is wrong shows with the first question, in its own words
            return None
        return tuple(torch.as_tensor(output[token_names(output).ids]).reshape(-1).tolist())

    def settings(self) -> dict[str, Any]:
        return {"processor": self._processor.image_part.to_dict(), "resize_first": self._resize_first}

    @cached_property
    def _text_alone(self) -> EncodedImages:
        """What stands before a text without images; the tokenizer says it where the processor wants images."""
        try:
            output = self._processor(self._stand_in)
            encoded = self._cut(output, self._conventions(None, self._stand_in, output))
        except Exception:  # processors that need images fail in any way
            return EncodedImages((Segment(tokens_in_front(self._processor.tokenizer)),))
        if len(encoded.segments) != 1 or self._only_placeholders:
            return EncodedImages((Segment(tokens_in_front(self._processor.tokenizer)),))
        return encoded

    def _conventions(self, images: Any, text: str, output: Mapping[str, Any]) -> Conventions:
        """Asks again with a token more, and for the same prompt twice."""
        longer = self._processor(text + self._stand_in, images)
        along = frozenset(name for name in output if _grown_axis(output[name], longer.get(name)) == 1)
        rest = [name for name in output if name not in along]
        try:
            twice = self._processor([text, text], images and [images, images], padding=True)
        except Exception:
            return Conventions(along, None if rest else {})
        axes = {name: _joining_axis(output[name], twice.get(name)) for name in rest}
        known = {name: axis for name, axis in axes.items() if axis is not None}
        return Conventions(along, known if len(known) == len(axes) else None)

    def _cut(self, output: Mapping[str, Any], conventions: Conventions) -> EncodedImages:
        """The segments in front of the stand-ins, and what does not run along the tokens."""
        text = token_names(output).ids
        ids = torch.as_tensor(output[text]).reshape(-1)
        inputs = {name: output[name][0] for name in sorted(conventions.along_tokens - {text})}
        segments, start = [], 0
        for place in (ids == self._stand_in_id).nonzero().flatten().tolist():
            kept = torch.arange(start, place)
            if self._only_placeholders:
                kept = kept[torch.isin(ids[kept], torch.tensor(sorted(self.image_token_ids)))]
            segments.append(
                Segment(
                    tuple(ids[kept].tolist()),
                    {name: value[kept] for name, value in inputs.items()},
                    {name: value[place] for name, value in inputs.items()},
                )
            )
            start = place + 1
        after = Segment(tuple(ids[start:].tolist()), {name: value[start:] for name, value in inputs.items()})
        rest = {name: value for name, value in output.items() if name not in {text, *conventions.along_tokens}}
        return EncodedImages(tuple(segments), rest, conventions.axes, after, for_decoder=text != TOKENS.ids)


class TiledVision:
    """InternVL's tiles as its publisher's scripts cut them.

    Args:
        start: tokens before a prompt.
        tokens: start, context and end of an image block; `context` is repeated for every feature.
        tokens_per_tile: features a tile.
        size: side of a tile in pixels.
        max_tiles: most tiles an image, thumbnail not counted.
    """

    MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(
        self, start: tuple[int, ...], tokens: tuple[int, int, int], tokens_per_tile: int, size: int, max_tiles: int
    ) -> None:
        self._before = start
        self._start, self._context, self._end = tokens
        self.image_token_ids = frozenset({self._context})
        self._tokens_per_tile = tokens_per_tile
        self._size, self._max_tiles = size, max_tiles

    def __call__(self, images: Sequence[Image.Image], layout: Layout) -> EncodedImages:
        tiles = [internvl_tiles(image, self._size, self._max_tiles) for image in images]
        blocks = [(self._start, *[self._context] * (self._tokens_per_tile * len(cut)), self._end) for cut in tiles]
        pixels = [normalised(tile, self.MEAN, self.STD) for cut in tiles for tile in cut]
        return _laid_out(self._before, blocks, layout, pixels)

    def whole(self, image: Image.Image, text: str) -> None:  # noqa: ARG002 - the publisher has no processor
        return None

    def settings(self) -> dict[str, Any]:
        return {"tiles": self._size, "max_tiles": self._max_tiles}


class SquareVision:
    """One view an image, stretched to a square: the LLaVA-OneVision projector stage.

    Args:
        start: tokens before a prompt.
        image_token: the placeholder.
        tokens: features an image.
        size: side in pixels.
    """

    MEAN = STD = (0.5, 0.5, 0.5)

    def __init__(self, start: tuple[int, ...], image_token: int, tokens: int, size: int) -> None:
        self._before = start
        self.image_token_ids = frozenset({image_token})
        self._block = (image_token,) * tokens
        self._size = size

    def __call__(self, images: Sequence[Image.Image], layout: Layout) -> EncodedImages:
        views = [image.resize((self._size, self._size), Image.Resampling.BICUBIC) for image in images]
        pixels = [normalised(view, self.MEAN, self.STD) for view in views]
        return _laid_out(self._before, [self._block] * len(views), layout, pixels)

    def whole(self, image: Image.Image, text: str) -> None:  # noqa: ARG002 - the publisher has no processor
        return None

    def settings(self) -> dict[str, Any]:
        return {"square": self._size}


def _laid_out(
    start: tuple[int, ...],
    blocks: Sequence[tuple[int, ...]],
    layout: Layout,
    pixels: Sequence[np.ndarray],
) -> EncodedImages:
    """Blocks of tokens in front of their runs of text, and the pixels, (N, 3, H, W) float32."""
    left = iter(blocks)
    segments = [tuple(id_ for _ in range(count) for id_ in next(left)) for count in layout]
    segments[0] = start + segments[0]
    stacked = {"pixel_values": torch.from_numpy(np.stack(pixels))} if pixels else {}
    return EncodedImages(tuple(map(Segment, segments)), stacked)


def _grown_axis(one: Any, longer: Any) -> int | None:
    """The axis along which one more token made an output longer by one."""
    if not (isinstance(one, Tensor) and isinstance(longer, Tensor) and one.ndim == longer.ndim):
        return None
    grown = [axis for axis in range(one.ndim) if longer.shape[axis] != one.shape[axis]]
    return grown[0] if len(grown) == 1 and longer.shape[grown[0]] == one.shape[grown[0]] + 1 else None


def _joining_axis(one: Any, twice: Any) -> int | None:
    """The axis along which an output for one prompt, put together with itself, is that for the prompt twice."""
    if isinstance(one, Tensor) and isinstance(twice, Tensor) and one.ndim == twice.ndim:
        for axis in range(one.ndim):
            if torch.equal(torch.cat([one, one], dim=axis), twice):
                return axis
    if isinstance(one, list) and isinstance(twice, list) and len(twice) == 2 * len(one):
        return 0
    return None

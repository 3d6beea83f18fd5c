"""Images to what a model takes: a block of tokens an image, and the tensors beside them."""

from __future__ import annotations

import copy
import itertools
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.encoding.images import internvl_tiles, normalised, resize_as_qwen_vl_utils


@dataclass(frozen=True)
class ImageBlock:
    """The tokens that stand for one image, some of them placeholders for its features.

    Attributes:
        ids: the tokens.
        types: further inputs of the same length, e.g. `mm_token_type_ids`; 0 for ordinary text.
    """

    ids: tuple[int, ...]
    types: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class EncodedImages:
    """All images of one question: a block each, and the model's vision inputs in the same order."""

    blocks: tuple[ImageBlock, ...]
    vision: Mapping[str, Tensor]


class VisionEncoder(Protocol):
    """What a checkpoint does with the images of a question."""

    image_token_ids: frozenset[int]
    """The placeholder tokens that features replace."""

    def __call__(self, images: Sequence[Image.Image]) -> EncodedImages:
        """Encodes the images of one question together; at least one."""
        ...

    def settings(self) -> dict[str, Any]:
        """Everything that decides about the tensors, as plain values."""
        ...


class ProcessorVision:
    """Images by the checkpoint's own processor of transformers, whatever the family.

    The processor is asked for the images alone: their placeholders, each behind a control token at which the answer is
    cut into blocks. So it never sees text from data, and each block is what it would be in a whole prompt.

    Args:
        processor: of transformers; each thread works with a copy, for fast tokenizers hold state.
        placeholder: text that the processor expands into an image's tokens.
        image_token_ids: tokens that features replace.
        resize_first: whether to resize as the official Qwen2-VL script does before the processor does it again.
        only_placeholders: whether to drop all else that the processor puts around (PaliGemma's prompt).
    """

    def __init__(
        self,
        processor: Any,
        placeholder: str,
        image_token_ids: frozenset[int],
        resize_first: bool = False,
        only_placeholders: bool = False,
    ) -> None:
        self.image_token_ids = image_token_ids
        self._processor = processor
        self._placeholder = placeholder
        self._resize_first = resize_first
        self._only_placeholders = only_placeholders
        self._own = threading.local()
        self._between, self._between_id = _separator(processor.tokenizer, placeholder, image_token_ids)

    def __call__(self, images: Sequence[Image.Image]) -> EncodedImages:
        if self._resize_first:
            images = [resize_as_qwen_vl_utils(image) for image in images]
        # The first one, too, comes after a control token: some tokenizers treat the start of a sequence differently.
        text = "".join(self._between + self._placeholder for _ in images)
        output = dict(
            self._thread_processor()(images=list(images), text=text, return_tensors="pt", add_special_tokens=False)
        )
        ids = output.pop("input_ids")[0].tolist()
        types = {
            name: output.pop(name)[0].tolist() for name in ("mm_token_type_ids", "token_type_ids") if name in output
        }
        for name in ("attention_mask", "labels"):
            output.pop(name, None)
        blocks = _cut(ids, types, self._between_id)
        if self._only_placeholders:
            blocks = [_only(block, self.image_token_ids) for block in blocks]
        if len(blocks) != len(images):
            raise CheckpointError(f"the processor gave {len(blocks)} blocks of tokens for {len(images)} images.")
        return EncodedImages(tuple(blocks), _checked(output, len(ids)))

    def settings(self) -> dict[str, Any]:
        image_processor = self._processor.image_processor
        return {"processor": image_processor.to_dict(), "resize_first": self._resize_first}

    def _thread_processor(self) -> Any:
        if not hasattr(self._own, "processor"):
            self._own.processor = copy.deepcopy(self._processor)
        return self._own.processor


class TiledVision:
    """InternVL's tiles as its publisher's scripts cut them.

    Args:
        tokens: start, context and end of an image block; `context` is repeated for every feature.
        tokens_per_tile: features a tile.
        size: side of a tile in pixels.
        max_tiles: most tiles an image, thumbnail not counted.
    """

    MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def __init__(self, tokens: tuple[int, int, int], tokens_per_tile: int, size: int, max_tiles: int) -> None:
        self._start, self._context, self._end = tokens
        self.image_token_ids = frozenset({self._context})
        self._tokens_per_tile = tokens_per_tile
        self._size, self._max_tiles = size, max_tiles

    def __call__(self, images: Sequence[Image.Image]) -> EncodedImages:
        tiles = [internvl_tiles(image, self._size, self._max_tiles) for image in images]
        blocks = ((self._start, *[self._context] * (self._tokens_per_tile * len(cut)), self._end) for cut in tiles)
        return EncodedImages(
            tuple(ImageBlock(ids) for ids in blocks),
            {"pixel_values": _stacked([tile for cut in tiles for tile in cut], self.MEAN, self.STD)},
        )

    def settings(self) -> dict[str, Any]:
        return {"tiles": self._size, "max_tiles": self._max_tiles}


class SquareVision:
    """One view an image, stretched to a square: the LLaVA-OneVision projector stage.

    Args:
        image_token: the placeholder.
        tokens: features an image.
        size: side in pixels.
    """

    MEAN = STD = (0.5, 0.5, 0.5)

    def __init__(self, image_token: int, tokens: int, size: int) -> None:
        self.image_token_ids = frozenset({image_token})
        self._block = ImageBlock((image_token,) * tokens)
        self._size = size

    def __call__(self, images: Sequence[Image.Image]) -> EncodedImages:
        views = [image.resize((self._size, self._size), Image.Resampling.BICUBIC) for image in images]
        return EncodedImages((self._block,) * len(views), {"pixel_values": _stacked(views, self.MEAN, self.STD)})

    def settings(self) -> dict[str, Any]:
        return {"square": self._size}


def _stacked(images: Sequence[Image.Image], mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """(N, 3, H, W) float32."""
    return torch.from_numpy(np.stack([normalised(image, mean, std) for image in images]))


def _separator(tokenizer: Any, placeholder: str, image_token_ids: frozenset[int]) -> tuple[str, int]:
    """A control token that no image block holds, as text and id."""
    candidates = [tokenizer.eos_token, tokenizer.bos_token, tokenizer.pad_token, *tokenizer.all_special_tokens]
    for token in filter(None, candidates):
        id_ = tokenizer.convert_tokens_to_ids(token)
        if token not in placeholder and id_ not in image_token_ids and id_ != tokenizer.unk_token_id:
            return token, id_
    raise CheckpointError("the tokenizer has no special token (eos, bos, pad) to tell images apart.")


def _cut(ids: Sequence[int], types: Mapping[str, Sequence[int]], between: int) -> list[ImageBlock]:
    """The blocks behind the separators."""
    places = [*(k for k, id_ in enumerate(ids) if id_ == between), len(ids)]
    return [
        ImageBlock(tuple(ids[a + 1 : b]), {name: tuple(values[a + 1 : b]) for name, values in types.items()})
        for a, b in itertools.pairwise(places)
    ]


def _only(block: ImageBlock, wanted: frozenset[int]) -> ImageBlock:
    keep = [k for k, id_ in enumerate(block.ids) if id_ in wanted]
    return ImageBlock(
        tuple(block.ids[k] for k in keep), {name: tuple(v[k] for k in keep) for name, v in block.types.items()}
    )


def _checked(output: Mapping[str, Any], tokens: int) -> dict[str, Tensor]:
    """The processor's vision tensors.

    Raises:
        CheckpointError: something else than a tensor, or a mask that runs along the prompt's tokens: the family
            (Mllama, Idefics 1, Kosmos-2) ties images to text in a way that cannot be shared between options.
    """
    for name, value in output.items():
        if not isinstance(value, Tensor):
            raise CheckpointError(f"the processor gives {name} as {type(value).__name__}, which cannot be batched.")
        if value.ndim >= 2 and value.shape[0] == 1 and value.shape[1] == tokens and not name.startswith("pixel"):
            raise CheckpointError(
                f"this family's input {name} runs along the tokens of the prompt; such families are not supported."
            )
    return dict(output)

"""One call of a checkpoint's processor, whatever its family wants to be called with, and the same outputs of all."""

from __future__ import annotations

import copy
import threading
from typing import Any

import torch
from torch import Tensor

from radar_tasks.errors import CheckpointError, QuestionError
from radar_tasks.scoring.encoding.text import TextTokenizer, tokens_around
from radar_tasks.scoring.families import Family
from radar_tasks.scoring.types import DECODER_TOKENS, token_names


class ProcessorCall:
    """A processor of transformers as the engine asks it. Safe to call from several threads.

    Args:
        processor: each thread works with a copy, for fast tokenizers hold state.
        family: what is particular to it.
        decoder_start: token that the model's decoder starts from; used where it writes the prompt, too
            (`Family.text_by_decoder`).
    """

    def __init__(self, processor: Any, family: Family, decoder_start: int | None = None) -> None:
        self.processor = processor
        self.tokenizer = processor.tokenizer
        self.image_part = image_part(processor)
        self._family = family
        self.decoder_start = decoder_start if family.text_by_decoder else None
        # A processor that reads the words of a page itself (UDOP's, with tesseract) is not told that there are none.
        self._arguments = {} if getattr(self.image_part, "apply_ocr", False) else dict(family.processor_arguments)
        self._read_apart = tuple(f"{name}_" for name in second_tokenizers(processor))
        self._own = threading.local()

    def __call__(self, text: Any, images: Any = None, **arguments: Any) -> dict[str, Any]:
        """The outputs for one prompt, or for several with a list of images each.

        Left out are masks of ones over the prompt, labels, and what a second tokenizer makes of the text, since the
        text here is not the question's (see `SecondReader`).
        """
        arguments |= {"return_tensors": "pt", **self._arguments}
        if self._family.frames:
            images = _as_videos(images, self._family.frames)
        if self._family.text_by_decoder:
            return self._written_by_decoder(text, images, arguments)
        output = self._whole(text, images, arguments)
        # Where the decoder gets the text, a plain mask is over the pictures, and kept.
        left_out = {token_names(output).mask, "labels", *(name for name in output if name.startswith(self._read_apart))}
        return {name: value for name, value in output.items() if name not in left_out}

    def _whole(self, text: Any, images: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        processor = self._of_this_thread()
        if images is None:
            return dict(processor(text=text, **arguments))
        try:
            return dict(processor(text=text, images=images, **arguments))
        except ValueError:
            if isinstance(text, list):
                raise
            return dict(processor(text=[text], images=[images], **arguments))  # Idefics: an image is a prompt's alone

    def _written_by_decoder(self, text: Any, images: Any, arguments: dict[str, Any]) -> dict[str, Any]:
        """The decoder's start and the text behind it, as in training; the encoder sees the pictures."""
        processor = self._of_this_thread()
        try:
            output = dict(processor(text=text, images=images, **arguments))
            ids = output["labels"]
        except Exception:  # a processor that takes no text (PP-FormulaNet), or none without a picture
            output = {} if images is None else dict(processor(images=images, **arguments))
            ids = processor.tokenizer(text, return_tensors="pt")["input_ids"]
        ids = torch.as_tensor(ids).reshape(1, -1)
        if self.decoder_start is not None and ids[0, :1].tolist() != [self.decoder_start]:
            ids = torch.cat([ids.new_tensor([[self.decoder_start]]), ids], dim=1)
        pictures = {name: value for name, value in output.items() if name in self.image_part.model_input_names}
        return {**pictures, DECODER_TOKENS.ids: ids}

    def _of_this_thread(self) -> Any:
        if not hasattr(self._own, "processor"):
            self._own.processor = copy.deepcopy(self.processor)
        return self._own.processor


def start_token(config: Any, tokenizer: Any) -> int | None:
    """The token that an encoder-decoder's decoder starts from; None for a model without an encoder.

    Raises:
        CheckpointError: nothing says which.
    """
    text = config.get_text_config(decoder=True)
    if not (config.is_encoder_decoder or text.is_encoder_decoder):  # InstructBLIP's says it of its language model alone
        return None
    ids = [getattr(c, "decoder_start_token_id", None) for c in (config, text)]
    ids += [tokenizer.bos_token_id, tokenizer.pad_token_id]  # as generation does, and T5
    start = next((id_ for id_ in ids if isinstance(id_, int)), None)
    if start is None:
        raise CheckpointError(
            f"{config.model_type}: nothing says which token its decoder starts with; give config.json a "
            "decoder_start_token_id."
        )
    return start


def image_part(processor: Any) -> Any:
    """The part of a processor that makes tensors of pictures; a video's where a family has no other; None without."""
    return getattr(processor, "image_processor", None) or getattr(processor, "video_processor", None)


def second_tokenizers(processor: Any) -> dict[str, Any]:
    """Tokenizers beside the language model's, by the part that reads the prompt, too (InstructBLIP's Q-Former)."""
    return {
        name.removesuffix("_tokenizer"): part
        for name, part in vars(processor).items()
        if name.endswith("_tokenizer") and callable(part)
    }


class SecondReader:
    """What a part of the model reads that has a tokenizer of its own: the prompt's text, and never an option.

    Args:
        name: of the inputs, `qformer` for `qformer_input_ids`.
        tokenizer: of transformers.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        self._name = name
        self._text = TextTokenizer(tokenizer)
        self._before, self._behind = tokens_around(tokenizer)
        self._most = int(tokenizer.model_max_length)

    def __call__(self, text: str) -> dict[str, Tensor]:
        """The model's inputs.

        Raises:
            QuestionError: the text is longer than the part can read.
        """
        ids = (*self._before, *self._text.text(text, first=True).ids, *self._behind)
        if len(ids) > self._most:
            raise QuestionError(
                f"{len(ids)} tokens of the prompt are more than the {self._most} that its {self._name} reads"
            )
        tokens = torch.tensor([ids])
        return {f"{self._name}_input_ids": tokens, f"{self._name}_attention_mask": torch.ones_like(tokens)}


def _as_videos(images: Any, frames: int) -> Any:
    """The pictures of a prompt, or of several, with each picture as a video of equal frames."""
    if images and isinstance(images[0], list):
        return [_as_videos(of_a_prompt, frames) for of_a_prompt in images]
    return images and [image for image in images for _ in range(frames)]

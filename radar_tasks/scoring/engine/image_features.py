"""Image features made once for all questions on the same pictures, where a family takes ready features.

Families of transformers that take `mm_encoder_outputs` are given features in place of pixels; the others, and those
whose features turn out not to be taken back, get the pixels with every question.
"""

from __future__ import annotations

import inspect
import logging
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from radar_tasks.scoring.engine.batching import vision_of
from radar_tasks.scoring.engine.model_runner import RunningModel, is_no_fault_of_the_family
from radar_tasks.scoring.types import EncodedQuestion

logger = logging.getLogger("radar")

BUDGET = 512 << 20
"""Bytes of features kept for questions to come; those used last, where nobody knows which will come."""


@dataclass(frozen=True)
class Features:
    """The features of one question's pictures.

    Attributes:
        layers: for each depth at which the family feeds features in (the first is the prompt, others are Qwen3-VL's
            deep stack) the features of each picture, (tokens, width).
        output: the type in which the family's vision part returns them.
        stacked: whether the family wants the pictures as one tensor and not as a list.
    """

    layers: tuple[tuple[Tensor, ...], ...]
    output: type
    stacked: bool

    @property
    def nbytes(self) -> int:
        """Size in bytes."""
        return sum(picture.nbytes for layer in self.layers for picture in layer)


class FeatureStore:
    """Makes features, keeps those used last, and hands a batch its share.

    Lives as long as one run over questions, so that features of older weights are never used.

    Args:
        running: the model.
        to_come: number of questions on each image, by image id; empty where it is not known.
        budget: bytes of features to keep.
    """

    def __init__(self, running: RunningModel, to_come: Counter[str], budget: int = BUDGET) -> None:
        self._running = running
        self._to_come = to_come
        self._made_of: dict[str, set[str]] = defaultdict(set)  # keys of the features of an image
        self._budget = budget
        self._kept: OrderedDict[str, Features] = OrderedDict()
        self._held = 0  # bytes in `_kept`
        self.usable = running.takes("mm_encoder_outputs") and hasattr(running.model.base_model, "get_image_features")

    def give_up(self, reason: str) -> None:
        """From now on a batch gets its pixels."""
        logger.info("features of pictures are not shared between questions: %s", reason)
        self.usable = False
        self.clear()

    def clear(self) -> None:
        """Forgets everything, to free memory."""
        self._kept.clear()
        self._held = 0

    def scored(self, image_id: str, question: EncodedQuestion) -> None:
        """A question on an image is done; with the last one all features of the image are forgotten."""
        self._made_of[image_id].add(question.vision_key)
        self._one_less(image_id)

    def _one_less(self, image_id: str) -> None:
        self._to_come[image_id] -= 1
        if self._to_come[image_id] == 0 and image_id in self._made_of:
            gone = [self._kept.pop(key) for key in self._made_of.pop(image_id) if key in self._kept]
            self._held -= sum(features.nbytes for features in gone)

    def refused(self, image_id: str) -> None:
        """A question on an image will not come; see `scored`."""
        self._one_less(image_id)

    def inputs(self, batch: Sequence[EncodedQuestion]) -> dict[str, Any]:
        """What the model needs to see the pictures of a batch, in the order of its questions."""
        pictures = self._running.place(vision_of(batch))
        if not (self.usable and batch[0].vision_key):
            return pictures
        try:
            with self._running.together():
                features = self._features(batch)
        except Exception as error:  # code of a family, which nobody has ever called like this
            if is_no_fault_of_the_family(error):
                raise
            self.give_up(f"{type(error).__name__}: {error}")
            return pictures
        rest = {name: value for name, value in pictures.items() if name != self._pixels()}
        return {**rest, "mm_encoder_outputs": {"image": _joined(features)}}

    def _pixels(self) -> str:
        """The input that features stand for: the first that the family makes them of."""
        return next(iter(inspect.signature(self._running.model.base_model.get_image_features).parameters))

    def _features(self, batch: Sequence[EncodedQuestion]) -> list[Features]:
        """One `Features` a question."""
        missing = {question.vision_key: question for question in batch if question.vision_key not in self._kept}
        made = self._make(list(missing.values())) if missing else {}
        features = [made.get(question.vision_key) or self._kept[question.vision_key] for question in batch]
        self._keep(batch, features)
        return features

    def _make(self, questions: list[EncodedQuestion]) -> dict[str, Features]:
        pictures = self._running.place(vision_of(questions))
        names = inspect.signature(self._running.model.base_model.get_image_features).parameters
        output = self._running.image_features(
            **{name: value for name, value in pictures.items() if name in names}, return_dict=True
        )
        layers = [output.pooler_output, *(getattr(output, "deepstack_features", None) or ())]
        shares = _shares([picture.shape[:-1].numel() for picture in layers[0]], questions)
        return {
            question.vision_key: Features(
                tuple(tuple(picture.clone() for picture in layer[share]) for layer in layers),
                type(output),
                isinstance(output.pooler_output, Tensor),
            )
            for question, share in zip(questions, shares, strict=True)
        }

    def _keep(self, batch: Sequence[EncodedQuestion], features: Sequence[Features]) -> None:
        for question, feature in zip(batch, features, strict=True):
            if question.vision_key not in self._kept:
                self._held += feature.nbytes
            self._kept[question.vision_key] = feature
            self._kept.move_to_end(question.vision_key)
        while self._held > self._budget:
            self._held -= self._kept.popitem(last=False)[1].nbytes


def _shares(rows: Sequence[int], questions: Sequence[EncodedQuestion]) -> list[slice]:
    """Which pictures belong to which question, by placeholder tokens.

    Raises:
        ValueError: the features are not one row a placeholder.
    """
    ends = [0, *torch.tensor(rows).cumsum(0).tolist()]
    shares, token = [], 0
    for question in questions:
        start, token = token, token + question.visual_tokens
        if start not in ends or token not in ends:
            raise ValueError(f"the features are not one row per placeholder token (question {question.q_id!r})")
        shares.append(slice(ends.index(start), ends.index(token)))
    if token != ends[-1]:
        raise ValueError(f"{ends[-1]} rows of features for {token} placeholder tokens")
    return shares


def _joined(features: Sequence[Features]) -> Any:
    """The features of a batch as its family's vision part would have returned them."""
    first = features[0]
    depths = range(len(first.layers))
    layers = [[picture for feature in features for picture in feature.layers[depth]] for depth in depths]
    fields: dict[str, Any] = {"pooler_output": torch.stack(layers[0]) if first.stacked else layers[0]}
    if len(layers) > 1:
        fields["deepstack_features"] = layers[1:]
    return first.output(**fields)

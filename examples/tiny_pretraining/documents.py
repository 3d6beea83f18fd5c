"""What the small model reads: pictures, then lines of text that are true of them, made afresh for every document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Dataset

from radar_tasks.sources.sample_pictures import Digits, load_digits
from radar_tasks.sources.sample_statements import (
    Described,
    group_scene,
    one_digit,
    side_scene,
    single_scene,
    two_digits,
)

IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
END = "<|endoftext|>"
LINES = 4
"""Most statements in a document."""
Mix = dict[str, float]
KINDS: Mix = {"single": 0.28, "side": 0.17, "group": 0.17, "digit": 0.15, "pair": 0.23}
"""What is in a document, and how often."""


@dataclass(frozen=True)
class Document:
    """A text with one image mark for each picture in front, and the (48, 48, 3) uint8 pictures."""

    text: str
    pictures: tuple[np.ndarray, ...]


class Documents(Dataset):
    """`count` documents; number i depends on `seed` and i alone, so order and number of readers do not matter.

    Args:
        count: how many.
        seed: of all random choices.
        mixes: (first document, shares of kinds) from which on a mix holds; shares need not sum to 1.
        pool: so many different documents, read again and again, each time round in another order; None for `count`.
        pictures: whether documents have their pictures; without, what they say is all that can be learnt.
    """

    def __init__(
        self,
        count: int,
        seed: int,
        *,
        mixes: Sequence[tuple[int, Mix]] = ((0, KINDS),),
        pool: int | None = None,
        pictures: bool = True,
    ) -> None:
        self.count, self.seed, self.pool, self.pictures = count, seed, pool or count, pictures
        self.mixes = sorted(mixes, key=lambda mix: mix[0])
        self.digits = load_digits("train")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < self.count:
            raise IndexError(f"document {index} of {self.count}")
        mix = next(mix for first, mix in reversed(self.mixes) if first <= index)
        rng = np.random.default_rng([self.seed, self._number(index)])
        described = _describe(rng, self.digits, mix)
        order = rng.permutation(len(described.statements))[:LINES]
        lines = [f"{described.statements[k].question} {described.statements[k].answer}" for k in order]
        pictures = described.pictures if self.pictures else ()
        return Document(IMAGE * len(pictures) + "\n".join(lines) + END, pictures)

    def _number(self, index: int) -> int:
        """Which document of the pool is read; the first time round they come as they are numbered."""
        time, place = divmod(index, self.pool)
        if time == 0:
            return place
        return int(np.random.default_rng([self.seed, 1 << 40, time]).permutation(self.pool)[place])


def _describe(rng: np.random.Generator, digits: Digits, mix: Mix) -> Described:
    names, shares = list(mix), np.array(list(mix.values()))
    kind = rng.choice(names, p=shares / shares.sum())
    if kind == "digit":
        return one_digit(rng, digits, int(rng.integers(len(digits.labels))), distort=True)
    if kind == "pair":
        return two_digits(rng, digits, distort=True)
    return {"single": single_scene, "side": side_scene, "group": group_scene}[kind](rng)

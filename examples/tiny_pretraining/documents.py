"""What the small model reads: pictures, then lines of text that are true of them, made afresh for every document."""

from __future__ import annotations

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
KINDS = (("single", 0.28), ("side", 0.17), ("group", 0.17), ("digit", 0.15), ("pair", 0.23))
"""What is in a document, and how often."""


@dataclass(frozen=True)
class Document:
    """A text with one image mark for each picture in front, and the (48, 48, 3) uint8 pictures."""

    text: str
    pictures: tuple[np.ndarray, ...]


class Documents(Dataset):
    """`count` documents; number i depends on `seed` and i alone, so order and number of readers do not matter."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self.digits = load_digits("train")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Document:
        if not 0 <= index < self.count:
            raise IndexError(f"document {index} of {self.count}")
        rng = np.random.default_rng([self.seed, index])
        described = _describe(rng, self.digits)
        order = rng.permutation(len(described.statements))[:LINES]
        lines = [f"{described.statements[k].question} {described.statements[k].answer}" for k in order]
        return Document(IMAGE * len(described.pictures) + "\n".join(lines) + END, described.pictures)


def _describe(rng: np.random.Generator, digits: Digits) -> Described:
    names, shares = zip(*KINDS, strict=True)
    kind = rng.choice(names, p=shares)
    if kind == "digit":
        return one_digit(rng, digits, int(rng.integers(len(digits.labels))), distort=True)
    if kind == "pair":
        return two_digits(rng, digits, distort=True)
    return {"single": single_scene, "side": side_scene, "group": group_scene}[kind](rng)

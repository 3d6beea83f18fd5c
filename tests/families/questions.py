"""Made questions: 3 to 30 words, no, one or two images of several sizes, 2 to 4 options of one to five words."""

from __future__ import annotations

import numpy as np
import tiny_models

from radar_tasks.questions import Question

VOCABULARY = [
    "the", "image", "shows", "a", "red", "circle", "left", "of", "the", "blue", "square", "how", "many", "green",
    "plants", "are", "there", "what", "is", "above", "animal", "below", "or", "behind", "it", "which", "this",
    "cat", "dog", "two", "horses", "yes", "no", "select", "correct", "option", "between", "under", "shape", "colour",
]  # fmt: skip
SIZES = [(60, 40), (40, 60), (90, 45), (33, 77), (120, 50), (64, 64)]
"""Widths and heights in pixels."""

GROUPS = ("one image", "several sizes", "two images", "no image")


def asked(group: str, count: int, seed: int = 0) -> list[Question]:
    """Questions of a group, the same ones for the same arguments.

    Args:
        group: one of `GROUPS`: one image, all of a size; one image, sizes mixed; two images in their places in the
            text; none.
        count: how many.
        seed: of everything that is drawn.
    """
    draw = np.random.default_rng([seed, GROUPS.index(group)])
    return [_question(group, number, draw) for number in range(count)]


def _question(group: str, number: int, draw: np.random.Generator) -> Question:
    words = int(draw.integers(3, 31))
    images = {"no image": 0, "two images": 2}.get(group, 1)
    sizes = [SIZES[0] if group == "one image" else SIZES[int(draw.integers(len(SIZES)))] for _ in range(images)]
    if group == "two images":
        text = (
            _text(draw, words // 3) + " ",
            " and " + _text(draw, words // 3) + " ",
            " " + _text(draw, words // 3) + "?",
        )
    else:
        text = (_text(draw, words) + "?",)
    options: list[str] = []
    while len(options) < 2 + number % 3:
        option = _text(draw, int(draw.integers(1, 6)))
        if option not in options:
            options.append(option)
    pictures = tuple(tiny_models.picture(int(draw.integers(1 << 30)), size) for size in sizes)
    return tiny_models.question(text, pictures, tuple(options), q_id=f"{group} {number}", source="made")


def _text(draw: np.random.Generator, words: int) -> str:
    return " ".join(VOCABULARY[int(k)] for k in draw.integers(len(VOCABULARY), size=max(1, words)))

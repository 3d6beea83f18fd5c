"""What is in a picture, in words: the one place where pictures and true statements about them are made together.

The sample turns a statement into a question with wrong options; the pre-training example reads it as a line of text.
Answers and wrong options are drawn so that the text alone says nothing: for every set of options each option is the
right one equally often (`tests/radar_tasks/sources/test_sample.py` measures it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from radar_tasks.sources.sample_pictures import COLOURS, PATTERNS, SHAPES, SIDE, Digits, Thing, draw_digit, draw_scene

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

T = TypeVar("T")

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"),
    *("twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
)


@dataclass(frozen=True)
class Statement:
    """A question with its right answer.

    Attributes:
        subject: the part of the sample that asks it, e.g. `colour`; "" for one that is only trained on.
        question: the prompt's text; the answer follows after one space.
        answer: the right option.
        choices: what the options are drawn from, the right one included.
    """

    subject: str
    question: str
    answer: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Described:
    """One or two pictures, (48, 48, 3) uint8 each, with statements that are true of them, and a name for them."""

    pictures: tuple[NDArray[np.uint8], ...]
    statements: tuple[Statement, ...]
    name: str = ""


def single_scene(rng: Generator) -> Described:
    """One thing, large or small, near the middle of one of four grounds."""
    colour, other_colour = _draw(rng, tuple(COLOURS), 2)
    shape, other_shape = _draw(rng, SHAPES, 2)
    pattern = str(rng.choice(PATTERNS))
    size = str(rng.choice(("small", "large")))
    radius = float(rng.uniform(7, 8.5) if size == "small" else rng.uniform(12, 16))
    x, y = SIDE / 2 + rng.uniform(-4, 4, 2)
    phase = (int(rng.integers(3)), int(rng.integers(3)))
    # Both colours with both shapes: no option shares more words with the others than the next.
    objects = tuple(f"{c} {s}" for c in (colour, other_colour) for s in (shape, other_shape))
    statements = (
        Statement("colour", "The colour of the shape is", colour, tuple(COLOURS)),
        Statement("shape", "The shape is a", shape, SHAPES),
        Statement("background", "The background is", pattern, PATTERNS),
        Statement("object", "The picture shows a", objects[0], objects),
        Statement("", "The size of the shape is", size),
    )
    return Described((draw_scene([Thing(colour, shape, float(x), float(y), radius)], pattern, phase),), statements)


def side_scene(rng: Generator) -> Described:
    """Two things that differ in colour and in shape, one on the left and one on the right."""
    names = [f"{c} {s}" for c, s in zip(_draw(rng, tuple(COLOURS), 2), _draw(rng, SHAPES, 2), strict=True)]
    centres = (rng.uniform(9, 15), rng.uniform(SIDE - 15, SIDE - 9))
    things = []
    statements = []
    for name, x, side in zip(names, centres, ("left", "right"), strict=True):
        colour, shape = name.split()
        radius = float(rng.uniform(7, 8.5))
        things.append(Thing(colour, shape, float(x), float(rng.uniform(9, SIDE - 9)), radius))
        statements.append(Statement("side", f"The {name} is on the", side, ("left", "right")))
        statements.append(Statement("", f"The shape on the {side} is a", name))
    return Described((draw_scene(things),), tuple(statements))


def group_scene(rng: Generator) -> Described:
    """Two groups of one to four things, unlike in number: told apart by colour, or by shape."""
    by_colour = bool(rng.integers(2))
    kinds = _draw(rng, tuple(COLOURS) if by_colour else SHAPES, 2)
    counts = _draw(rng, (1, 2, 3, 4), 2)
    cells = rng.permutation(9)
    things = []
    for cell, kind in zip(cells, np.repeat(kinds, counts), strict=False):
        colour = str(kind) if by_colour else str(rng.choice(tuple(COLOURS)))
        shape = str(rng.choice(SHAPES)) if by_colour else str(kind)
        x, y = (np.array([cell % 3, cell // 3]) + 0.5) * SIDE / 3 + rng.uniform(-1, 1, 2)
        things.append(Thing(colour, shape, float(x), float(y), float(rng.uniform(6, 7))))
    statements = [
        Statement("count", f"The number of {kind} shapes is", NUMBERS[count], NUMBERS[1:5])
        for kind, count in zip(kinds, counts, strict=True)
    ]
    asked = "The colour of most shapes is" if by_colour else "The form of most shapes is"
    statements.append(Statement("most", asked, kinds[int(np.argmax(counts))], tuple(kinds)))
    return Described((draw_scene(things),), tuple(statements))


def one_digit(rng: Generator, digits: Digits, at: int, distort: bool = False) -> Described:
    """The digit image at position `at`; `distort` turns, scales and moves it a little, for training."""
    statement = Statement("digits", "The digit is", NUMBERS[digits.labels[at]], NUMBERS[:10])
    return Described((_digit_picture(rng, digits, at, distort),), (statement,), f"digit-{digits.index[at]:04d}")


def two_digits(rng: Generator, digits: Digits, distort: bool = False) -> Described:
    """Two pictures with a digit each, not the same digit; every sum from one to seventeen is equally likely."""
    total = int(rng.integers(1, 18))
    pairs = [(a, total - a) for a in range(10) if 0 <= total - a <= 9 and 2 * a != total]
    values = pairs[int(rng.integers(len(pairs)))]
    chosen = [int(rng.choice(np.flatnonzero(digits.labels == value))) for value in values]
    larger = "first" if values[0] > values[1] else "second"
    statements = (
        Statement("sum", "The sum of the two digits is", NUMBERS[total], NUMBERS[1:18]),
        Statement("larger", "The larger digit is the", larger, ("first", "second")),
        Statement("", "The first digit is", NUMBERS[values[0]]),
        Statement("", "The second digit is", NUMBERS[values[1]]),
    )
    pictures = tuple(_digit_picture(rng, digits, at, distort) for at in chosen)
    name = "-".join(["digits", *(f"{digits.index[at]:04d}" for at in chosen)])
    return Described(pictures, statements, name)


def _digit_picture(rng: Generator, digits: Digits, at: int, distort: bool) -> NDArray[np.uint8]:
    if not distort:
        return draw_digit(digits.values[at])
    dx, dy = rng.uniform(-3, 3, 2)
    angle, scale = float(rng.uniform(-0.2, 0.2)), float(rng.uniform(0.85, 1.1))
    return draw_digit(digits.values[at], angle, scale, (float(dx), float(dy)))


def _draw(rng: Generator, values: tuple[T, ...], count: int) -> list[T]:
    """`count` different values in random order."""
    return [values[k] for k in rng.permutation(len(values))[:count]]

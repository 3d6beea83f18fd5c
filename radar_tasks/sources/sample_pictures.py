"""Pictures of the embedded sample: drawn scenes and handwritten digits, as (48, 48, 3) uint8 arrays.

Nothing here knows about questions. Every picture follows from its arguments alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from radar_tasks.errors import RadarError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane: TypeAlias = NDArray[Any]  # (48, 48) float64, a value a pixel

SIDE = 48
"""Width and height of every picture, in pixels."""

COLOURS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 90, 200),
    "yellow": (240, 216, 40),
    "purple": (148, 60, 190),
}
OUTLINE = (30, 30, 30)
"""Shapes have a dark outline, which looks the same whatever their colour."""
SHAPES = ("circle", "square", "triangle", "cross")
PATTERNS = ("plain", "striped", "dotted", "checked")

Split = Literal["train", "test"]
TEST_DIGITS = 600
"""Digit images kept for the sample; the others may be trained on."""
_SPLIT_SEED = 2602


@dataclass(frozen=True)
class Thing:
    """One shape of a scene: its centre and its radius are in pixels, x to the right and y down."""

    colour: str
    shape: str
    x: float
    y: float
    radius: float


def draw_scene(things: list[Thing], pattern: str = "plain", phase: tuple[int, int] = (0, 0)) -> NDArray[np.uint8]:
    """Things on a light ground; `phase` moves the ground's pattern by (x, y) pixels."""
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float64)
    shade = 240.0 - 70.0 * _pattern_mask(pattern, x + phase[0], y + phase[1])
    picture = np.repeat(shade[:, :, None], 3, axis=2)
    for thing in things:
        distance = _distance(thing.shape, x - thing.x, y - thing.y, thing.radius)
        for colour, reach in ((OUTLINE, 0.0), (COLOURS[thing.colour], 1.6)):
            cover = np.clip(0.5 - distance - reach, 0.0, 1.0)[:, :, None]
            picture = picture * (1 - cover) + np.array(colour) * cover
    return picture.round().astype(np.uint8)


def _pattern_mask(pattern: str, x: Plane, y: Plane) -> Plane:
    """1 where the ground is darker; the period is 8 pixels."""
    if pattern == "plain":
        return np.zeros_like(x)
    if pattern == "striped":
        darker = y // 4 % 2 == 1
    elif pattern == "dotted":
        darker = np.hypot(x % 8 - 3.5, y % 8 - 3.5) < 2.3
    else:
        darker = (x // 4 + y // 4) % 2 == 1
    return np.asarray(darker, dtype=np.float64)


def _distance(shape: str, x: Plane, y: Plane, radius: float) -> Plane:
    """Distance in pixels to the outline of a shape centred at the origin, negative inside."""
    distance: Plane
    if shape == "circle":
        distance = np.hypot(x, y) - radius
    elif shape == "square":
        distance = np.maximum(abs(x), abs(y)) - 0.85 * radius
    elif shape == "triangle":
        distance = np.maximum(y - 0.8 * radius, (2 * abs(x) - y) / 5**0.5 - 0.5 * radius)
    else:
        upright = np.maximum(abs(x) - radius / 3, abs(y) - radius)
        lying = np.maximum(abs(y) - radius / 3, abs(x) - radius)
        distance = np.minimum(upright, lying)
    return distance


@dataclass(frozen=True)
class Digits:
    """Handwritten digits of one split.

    Attributes:
        index: (n,) position in scikit-learn's set, the digit image's name here.
        values: (n, 8, 8) uint8 ink, 0 (none) to 255.
        labels: (n,) the digit, 0 to 9.
    """

    index: NDArray[np.int64]
    values: NDArray[np.uint8]
    labels: NDArray[np.int64]


def load_digits(split: Split) -> Digits:
    """The digits that ship inside scikit-learn, in two halves that share no image.

    Raises:
        RadarError: scikit-learn is missing. Only making the sample and training on it need it.
    """
    try:
        from sklearn import datasets
    except ImportError:
        raise RadarError("the handwritten digits ship inside scikit-learn: pip install scikit-learn") from None
    bunch = datasets.load_digits()
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(bunch.target))
    index = np.sort(order[:TEST_DIGITS] if split == "test" else order[TEST_DIGITS:])
    values = (bunch.images[index] * (255 / 16)).round().astype(np.uint8)
    return Digits(index, values, bunch.target[index].astype(np.int64))


def draw_digit(
    values: NDArray[np.uint8], angle: float = 0.0, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> NDArray[np.uint8]:
    """Dark ink on white; `values` is (8, 8), `angle` in radians, `shift` in pixels right and down."""
    from PIL import Image

    # PIL maps a pixel of the result to a place in the source: the inverse of scale, turn and shift.
    step = 8 / (SIDE * 0.92 * scale)
    cos, sin = np.cos(angle) * step, np.sin(angle) * step
    x, y = SIDE / 2 + shift[0], SIDE / 2 + shift[1]
    matrix = (cos, sin, 4 - cos * x - sin * y, -sin, cos, 4 + sin * x - cos * y)
    framed = Image.fromarray(np.pad(values, 4))  # white around it, so that nothing is cut at the rim
    matrix = (*matrix[:2], matrix[2] + 4, *matrix[3:5], matrix[5] + 4)
    ink = framed.transform((SIDE, SIDE), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC)
    return np.repeat(255 - np.asarray(ink)[:, :, None], 3, axis=2)

"""Which pictures show the same: equal files, and pictures that were only stored, scaled or compressed otherwise."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.spatial import cKDTree

from radar_metrics.options import FloatArray
from radar_tasks.pixels import to_rgb

Levels = NDArray[np.uint8]  # a byte each: those of a whole source are kept at once

SIDE = 16
COARSE = 4
GREY, COLOUR = 25.0, 80.0
"""Largest difference of two 16 x 16 pictures of which one is a copy, in levels of 0 to 255: of grey, and of a colour,
which JPEG changes far more. Of drawings of 48 x 48 pixels, JPEG of quality 60 and scaling by 1.5 and 2 give 18 and 71
at most; pictures of different scenes or digits differ by 79 and 82 at least (`radar_mini`)."""
PROPORTIONS = 0.05
"""Relative difference of two pictures' proportions that rounding of sizes explains."""


@dataclass(frozen=True)
class Seen:
    """The pictures of one question, as far as they are compared.

    Attributes:
        digest: of the files.
        small: (K, SIDE, SIDE, 3) levels of 0 to 255, None where a picture cannot be decoded.
        proportions: (K,) width over height.
    """

    digest: bytes
    small: Levels | None
    proportions: FloatArray


def look(images: Sequence[bytes]) -> Seen:
    """The pictures of a question."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(hashlib.sha256(image).digest())
    try:
        made = [_small(image) for image in images]
    except Exception:  # Pillow's decoders raise what they like on damaged input
        return Seen(digest.digest(), None, np.zeros(0))
    if not made:
        return Seen(digest.digest(), None, np.zeros(0))
    return Seen(digest.digest(), np.stack([levels for levels, _ in made]), np.array([shape for _, shape in made]))


def are_alike(first: Seen, second: Seen) -> str:
    """`the same` where the files are equal, `nearly the same` where they show the same, else ""."""
    if first.digest == second.digest:
        return "the same"
    if first.small is None or second.small is None or first.small.shape != second.small.shape:
        return ""
    if (np.abs(np.log(first.proportions / second.proportions)) > PROPORTIONS).any():
        return ""
    apart = first.small.astype(np.float64) - second.small
    alike = np.abs(apart.mean(axis=-1)).max() <= GREY and np.abs(apart).max() <= COLOUR
    return "nearly the same" if alike else ""


def near(seen: Sequence[Seen]) -> Iterator[tuple[int, int]]:
    """Pairs that may be alike, each once: equal files, and pictures whose coarse levels are near."""
    first: dict[bytes, int] = {}
    for k, one in enumerate(seen):
        if one.small is None and (before := first.setdefault(one.digest, k)) != k:
            yield before, k
    groups: dict[int, list[int]] = {}
    for k, one in enumerate(seen):
        if one.small is not None:
            groups.setdefault(len(one.small), []).append(k)
    for members in groups.values():
        coarse = np.stack([_coarse(one.small) for k in members if (one := seen[k]).small is not None])
        for a, b in sorted(cKDTree(coarse).query_pairs(GREY / 2, p=np.inf)):
            yield members[a], members[b]


def _coarse(small: Levels) -> FloatArray:
    part = SIDE // COARSE
    return np.asarray(small.reshape(len(small), COARSE, part, COARSE, part, 3).mean(axis=(2, 4, 5)).ravel())


def _small(image: bytes) -> tuple[Levels, float]:
    with Image.open(io.BytesIO(image)) as opened:
        picture = to_rgb(ImageOps.exif_transpose(opened))
    shape = picture.width / picture.height
    small = picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(small), shape

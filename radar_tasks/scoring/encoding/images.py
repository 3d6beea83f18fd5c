"""From an encoded picture to RGB pixels, and the official scripts' own resizing. PIL and numpy only."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageOps

from radar_tasks.errors import QuestionError
from radar_tasks.files import only_whole_pictures
from radar_tasks.pixels import on_white, to_rgb

GREY = (128, 128, 128)
"""Colour of the pictures that `blind=blank` shows."""


def read_image(data: bytes, q_id: str, index: int, official: bool = False, white_behind: bool = False) -> Image.Image:
    """Decodes a picture; of an animation the first frame.

    By default the picture is turned as its EXIF data says, 16-bit values are scaled to 8 bits, and whatever is
    transparent becomes white. `official` does what PIL's `convert("RGB")` does, as the scripts call it: no turning,
    16-bit values above 255 become white, transparency is dropped (`white_behind`: RGBA on white, as Qwen's script).

    Raises:
        QuestionError: the bytes are not a picture; names question and image.
    """
    try:
        with only_whole_pictures():
            image = Image.open(io.BytesIO(data))
            image.load()
        if official:
            return on_white(image) if white_behind and image.mode == "RGBA" else image.convert("RGB")
        return to_rgb(ImageOps.exif_transpose(image))
    except Exception as error:  # PIL's plugins raise whatever they like on damaged files
        raise QuestionError(
            f"question {q_id!r}, image {index}: it cannot be decoded ({type(error).__name__}: {error}). "
            "Prepare the data again with `radar data prepare`."
        ) from error


def blank(image: Image.Image) -> Image.Image:
    """A grey picture of the same size."""
    return Image.new("RGB", image.size, GREY)


def resize_as_qwen_vl_utils(image: Image.Image) -> Image.Image:
    """The first of the two resizings of the Qwen2-VL script: to multiples of 28, between 4 and 16,384 visual tokens."""
    width, height = image.size
    return image.resize(_qwen_size(width, height, 28, 4 * 28 * 28, 16384 * 28 * 28))


def _qwen_size(width: int, height: int, unit: int, least: int, most: int) -> tuple[int, int]:
    """Nearest multiples of `unit`; scaled by the square root of the area's excess if outside the limits."""
    w, h = max(unit, round(width / unit) * unit), max(unit, round(height / unit) * unit)
    if w * h > most:
        scale = math.sqrt(width * height / most)
        w, h = (max(unit, math.floor(side / scale / unit) * unit) for side in (width, height))
    elif w * h < least:
        scale = math.sqrt(least / (width * height))
        w, h = (math.ceil(side * scale / unit) * unit for side in (width, height))
    return w, h


def internvl_tiles(image: Image.Image, size: int, most: int) -> list[Image.Image]:
    """Cuts a picture into square tiles as InternVL's scripts do.

    Of all grids of at most `most` tiles the one nearest in aspect ratio is taken (on a tie the larger, if the
    picture has more than half its pixels); the picture is stretched onto it and cut row by row. Behind more than one
    tile the whole picture follows as a thumbnail.

    Returns:
        1, or 2 + 1 to `most` + 1 tiles of `size` x `size` pixels.
    """
    columns, rows = _grid(image.width, image.height, size, most)
    stretched = image.resize((columns * size, rows * size))
    tiles = [
        stretched.crop((column * size, row * size, (column + 1) * size, (row + 1) * size))
        for row in range(rows)
        for column in range(columns)
    ]
    return tiles if len(tiles) == 1 else [*tiles, image.resize((size, size))]


def _grid(width: int, height: int, size: int, most: int) -> tuple[int, int]:
    """(columns, rows). Candidates by number of tiles, so that a tie goes up only when the picture is large enough."""
    candidates = sorted(
        ((c, r) for c in range(1, most + 1) for r in range(1, most + 1) if c * r <= most), key=lambda g: g[0] * g[1]
    )
    best, best_difference = (1, 1), math.inf
    for columns, rows in candidates:
        difference = abs(width / height - columns / rows)
        large_enough = width * height > 0.5 * size * size * columns * rows
        if difference < best_difference or (difference == best_difference and large_enough):
            best, best_difference = (columns, rows), difference
    return best


def normalised(image: Image.Image, mean: tuple[float, ...], std: tuple[float, ...]) -> np.ndarray:
    """(3, H, W) float32: values in [0, 1], less the mean, over the standard deviation of each channel."""
    values = np.asarray(image, dtype=np.float32) / np.float32(255)
    scaled = (values - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))

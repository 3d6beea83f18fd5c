"""What a task of others hands over as its pictures, as encoded image files that decode to the same picture."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from radar_tasks.errors import QuestionError
from radar_tasks.files import only_whole_pictures

_AS_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
"""Modes of PIL that PNG holds without loss; the others (CMYK, YCbCr, LAB, 32-bit values) go into TIFF."""

_WITHOUT = {"RGBa": "RGBA", "La": "LA", "HSV": "RGB"}
"""Modes that no lossless format holds (alpha multiplied in, hue), and what the picture is read as in any case."""

_ORIENTATION = 0x0112
"""The EXIF tag that says how a picture is to be turned."""


def encoded_visuals(visuals: Any, where: str) -> tuple[bytes, ...]:
    """The pictures of a document, in order.

    Files, paths and bytes are taken as they are; a picture in memory is encoded without loss, together with what its
    EXIF data says about turning it.

    Args:
        visuals: what `doc_to_visual` gives: a list of PIL pictures, paths, bytes or Hugging Face's `{"bytes": …,
            "path": …}`, one such, or None.
        where: the question, for the error.

    Raises:
        QuestionError: something is not a picture, or a file cannot be read.
    """
    if visuals is None:
        return ()
    if isinstance(visuals, str | os.PathLike | bytes | Mapping | Image.Image) or not isinstance(visuals, Iterable):
        visuals = [visuals]
    return tuple(_encoded(visual, f"question {where!r}, image {k}") for k, visual in enumerate(visuals))


def visuals_key(images: Sequence[bytes]) -> str:
    """What tells these pictures from others; "" where there are none."""
    digest = hashlib.sha256()
    for image in images:
        digest.update(hashlib.sha256(image).digest())
    return digest.hexdigest()[:16] if images else ""


def _encoded(visual: Any, where: str) -> bytes:
    if isinstance(visual, Mapping):
        visual = visual.get("bytes") or visual.get("path")
    if isinstance(visual, bytes | bytearray | memoryview):
        return bytes(visual)
    try:
        if isinstance(visual, str | os.PathLike):
            return Path(visual).read_bytes()
        if isinstance(visual, Image.Image):
            return _file_of(visual)
    except Exception as error:  # a path that is none, or a lazy picture whose file is damaged: PIL raises anything
        raise QuestionError(f"{where}: it cannot be read ({type(error).__name__}: {error}).") from error
    raise QuestionError(f"{where}: a {type(visual).__name__} is not a picture (a PIL image, a path or bytes are).")


def _file_of(picture: Image.Image) -> bytes:
    with only_whole_pictures():
        picture.load()
    buffer = io.BytesIO()
    turned = Image.Exif()
    if (orientation := picture.getexif().get(_ORIENTATION)) is not None:
        turned[_ORIENTATION] = orientation
    picture = picture.convert(_WITHOUT[picture.mode]) if picture.mode in _WITHOUT else picture
    if picture.mode in _AS_PNG:
        # The quickest level: the bytes live for a moment, between the task and the processor.
        picture.save(buffer, format="PNG", exif=turned, compress_level=1)
    else:
        plain = picture.copy()
        plain.info = {}
        plain.save(buffer, format="TIFF", exif=turned)
    return buffer.getvalue()

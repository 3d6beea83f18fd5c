"""Pictures on their way into the store: how a table gives them, and whether they are whole."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import os
import re
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from PIL import Image, UnidentifiedImageError

from radar_tasks.errors import DataError
from radar_tasks.files import only_whole_pictures
from radar_tasks.questions import Question
from radar_tasks.sources.record_files import shortened

MAX_PIXELS = 100_000_000
"""Larger pictures are refused: decoding one takes 0.3 GB and more, and no model sees a fraction of it."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""The formats of photographs and figures; Pillow has others that start programs (EPS) or are seldom whole."""

MAX_FILE_BYTES = 64 * 2**20

LONGEST_TO_SHORTEST = 200
"""Image processors of the Qwen-VL kind refuse a picture whose sides differ by a larger factor."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}={0,2}\s*")


def picture_problem(data: bytes) -> str | None:
    """What is wrong with an encoded picture, or None if it decodes to its end.

    Any mode, any EXIF turn and animations (their first frame) are fine.
    """
    if not data:
        return "the file is empty"
    try:
        with only_whole_pictures(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about size and metadata; the size is checked below
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width} x {image.height} pixels, more than {MAX_PIXELS:,}"
            # An eighth of the size, for JPEG only: all bytes are still read, but not all pixels computed.
            image.draft(None, (max(1, image.width // 8), max(1, image.height // 8)))
            image.load()
    except UnidentifiedImageError:
        return f"not a picture ({', '.join(FORMATS)})"
    except Image.DecompressionBombError as error:
        return f"too many pixels ({error})"
    except Exception as error:  # Pillow's decoders raise what they like on damaged input
        return f"not a picture that can be decoded ({type(error).__name__}: {error})"
    return None


def shape_notes(question: Question) -> list[str]:
    """Of each whole picture that some models' image processors will refuse: which one, and why."""
    notes = []
    for k, image in enumerate(question.images):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            width, height = Image.open(io.BytesIO(image), formats=FORMATS).size
        if max(width, height) > LONGEST_TO_SHORTEST * min(width, height):
            notes.append(
                f"question {question.q_id!r}, image {k} ({shortened(question.image_id)}): {width} x {height} pixels, "
                f"one side more than {LONGEST_TO_SHORTEST} times the other; image processors of the Qwen-VL kind "
                "refuse it, and the question is left out there"
            )
    return notes


def picture_bytes(value: Any, folder: Path) -> bytes:
    """The encoded picture that a table's field gives.

    Args:
        value: a path relative to `folder`; base64, also as a `data:` URL; the bytes; or bytes and path as `datasets`
            keeps them.
        folder: where the table lies.

    Raises:
        DataError: there is no such picture, or the field is a URL: nothing is fetched from an address in a table.
    """
    if isinstance(value, Mapping):
        # A struct of `datasets`: the bytes, or the path of a file that was not embedded.
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if value is None or value == "":
        raise DataError("the image is missing")
    if not isinstance(value, str):
        raise DataError(f"the image is {shortened(value)}; a path, base64 or bytes are needed")
    if address := _DATA_URL.match(value):
        return _decoded(value[address.end() :])
    if _URL.match(value) or value.startswith("data:"):
        raise DataError(f"image {shortened(value)} is a URL, not a path: fetch the pictures and give their paths")
    if _BASE64.fullmatch(value) and not _is(Path.is_file, folder / value):
        return _decoded(value)
    return _file_bytes(folder / value)


def is_path(value: Any) -> TypeGuard[str]:
    """Whether a table's field gives a picture by the path of a file, rather than holding it."""
    return isinstance(value, str) and not _BASE64.fullmatch(value) and not value.startswith("data:")


def picture_key(value: Any) -> str:
    """What stands for a picture in `Question.image_id`: its path if it has one, else a digest of what is given.

    A relative path is one picture however it is written (`./a.png`, `x/../a.png`), and so is an absolute one. Of that
    the last part is kept, with a digest, since results hold these names and are published: a table that names one file
    in both ways has two pictures.
    """
    if is_path(value):
        path = Path(os.path.normpath(value))
        return (
            f"{path.name} ({_digest(str(path).encode('utf-8', 'surrogatepass'))})" if path.is_absolute() else str(path)
        )
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path") or b""
    given = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return f"sha256:{_digest(given)}"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


def _decoded(text: str) -> bytes:
    if len(text) > MAX_FILE_BYTES * 4 // 3 + 4:
        raise DataError(f"the image in base64 is larger than {MAX_FILE_BYTES:,} bytes")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"the image is not base64 as expected ({error}): {shortened(text)}") from None


def _is(look: Callable[[Path], bool], path: Path) -> bool:
    """What `Path.is_file` or `Path.is_dir` says of whatever a table holds."""
    try:
        return look(path)
    except (OSError, ValueError):  # a name that is too long, or holds a null byte
        return False


def _file_bytes(path: Path) -> bytes:
    if not _is(Path.is_file, path):
        raise DataError(f"image {_shown(path)} is {'a folder' if _is(Path.is_dir, path) else 'missing'}")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise DataError(f"image {_shown(path)} cannot be read: {error.strerror}") from error
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"image {_shown(path)} is larger than {MAX_FILE_BYTES:,} bytes")
    return data


def _shown(path: Path) -> str:
    """A path in full, unless what stands there is no path at all."""
    return str(path) if len(path.name) <= 120 else f"{path.parent}/{shortened(path.name)}"

"""Is this file a whole picture? The one decoding that data passes through on its way into the store."""

from __future__ import annotations

import io
import warnings

from PIL import Image, UnidentifiedImageError

from radar_tasks.files import only_whole_pictures

MAX_PIXELS = 100_000_000
"""Larger pictures are refused: decoding one takes 0.3 GB and more, and no model sees a fraction of it."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""The formats of photographs and figures; Pillow has others that start programs (EPS) or are seldom whole."""

MAX_FILE_BYTES = 64 * 2**20


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

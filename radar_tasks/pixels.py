"""The pixels of a decoded picture as a model sees them: 8 bits, and nothing transparent."""

from __future__ import annotations

import numpy as np
from PIL import Image


def to_rgb(image: Image.Image) -> Image.Image:
    """In RGB: values of more bits scaled to 8, what is transparent white."""
    image = in_8_bits(image)
    return on_white(image) if image.has_transparency_data else image.convert("RGB")


def on_white(image: Image.Image) -> Image.Image:
    """The picture over a white background, in RGB."""
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, (255, 255, 255))
    white.paste(image, mask=image.getchannel("A"))
    return white


def in_8_bits(image: Image.Image) -> Image.Image:
    """A picture of 16 or 32 bits or of floats scaled to RGB, which Pillow would cut off at 255; others as they are."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scaled_to_8_bits(image)
    return image


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """Grey values of 16 and 32 bits or floats; the largest sets the scale: [0, 1], 8, 16 bits or itself."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(min=0)
    largest = values.max(initial=0)
    full = 65535 if image.mode.startswith("I;16") else next((s for s in (1, 255, 65535) if largest <= s), largest)
    if full == 1 and image.mode == "I":
        full = 255
    return Image.fromarray((values / full * 255).round().astype(np.uint8)).convert("RGB")

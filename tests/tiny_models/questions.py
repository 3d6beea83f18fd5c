"""Questions about coloured noise."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from radar_tasks.questions import Question


def picture(seed: int, size: tuple[int, int] = (60, 40), mode: str = "RGB", file_format: str = "PNG") -> bytes:
    """An image of coloured noise, encoded."""
    noise = np.random.default_rng(seed).integers(0, 256, (size[1] // 4, size[0] // 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BILINEAR).convert(mode).save(buffer, format=file_format)
    return buffer.getvalue()


def question(
    text: tuple[str, ...] = ("Which animal is this?",),
    images: int | tuple[bytes, ...] = 1,
    options: tuple[str, ...] = ("a red circle", "two horses", "no"),
    q_id: str = "q1",
    source: str = "spatial",
) -> Question:
    """A question about noise."""
    pictures = images if isinstance(images, tuple) else tuple(picture(k, (60 + 20 * k, 40)) for k in range(images))
    return Question(
        q_id=q_id, text=text, images=pictures, options=options, answer=0, ability="perception", task="General VQA",
        source=source, category="", image_id=q_id,
    )  # fmt: skip


def opened(data: bytes) -> Image.Image:
    """The picture behind encoded bytes."""
    return Image.open(io.BytesIO(data)).convert("RGB")

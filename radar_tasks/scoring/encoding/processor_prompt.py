"""Our prompt against the one that the checkpoint's processor would make: compared once, before the first question.

Text from data never passes through a processor (it could turn it into control tokens), so it is tokenised apart from
what stands around images. Some processors put something between the two that shows only with real text: learnt here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from PIL import Image

from radar_tasks.scoring.encoding.text import TextTokenizer
from radar_tasks.scoring.encoding.vision import VisionEncoder

logger = logging.getLogger("radar")

TEXT = "Which animal is this? a cat"


@dataclass(frozen=True)
class Seam:
    """Between an image and the text behind it.

    Attributes:
        dropped: tokens at the end of the image's that a word merges with (Kosmos-2: a blank).
        blank: what is put before a text that does not begin with one (Idefics 2: a blank).
        begins: whether the text is tokenised as the first of a prompt (BLIP-2 puts the images' tokens before it).
    """

    dropped: int = 0
    blank: str = ""
    begins: bool = False


def seam_of(vision: VisionEncoder, tokens: TextTokenizer) -> Seam:
    """How the processor puts a text behind an image; warns where its tokens cannot be reproduced."""
    picture = Image.new("RGB", (64, 48), (90, 120, 60))
    own = vision.whole(picture, TEXT)
    if own is None:
        return Seam()
    image = vision([picture], (1,)).segments[0].ids
    ours = image + tokens.text(TEXT).ids
    for seam in (Seam(), Seam(blank=" "), Seam(dropped=1), Seam(dropped=1, blank=" "), Seam(begins=True)):
        joined = image[: len(image) - seam.dropped] + tokens.text(seam.blank + TEXT, seam.begins).ids
        if own[: len(joined)] == joined:
            return seam
    first = next((k for k, (a, b) in enumerate(zip(own, ours, strict=False)) if a != b), min(len(own), len(ours)))
    logger.warning(
        "prompts differ from those of the checkpoint's processor from token %d on: its %s, here %s",
        first,
        own[first : first + 6],
        ours[first : first + 6],
    )
    return Seam()

"""What every checkpoint in memory is made of, whatever format it had on disk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from radar_tasks.scoring.encoding.vision import VisionEncoder


@dataclass(frozen=True)
class Parts:
    """Everything of a checkpoint but its weights.

    Attributes:
        model_class: of transformers.
        config: transformers' configuration, also for a foreign format.
        processor: of transformers, also for a foreign format.
        vision: what happens to images.
    """

    model_class: Any
    config: Any
    processor: Any
    vision: VisionEncoder

"""How checkpoints lie on disk: a module a format, each with the same four functions, and this registry of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from radar_tasks.scoring.checkpoints.formats import (
    deepspeed_zero,
    internvl_chat,
    llava_projector,
    native,
    torch_distributed,
)
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.parts import Parts
from radar_tasks.scoring.checkpoints.recognised import Kind, Recognised


class Format(Protocol):
    """What a module of this package offers."""

    def lies_in(self, folder: Path) -> bool:
        """Whether a folder holds a checkpoint of this format, told by its files."""

    def recognise(self, options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:
        """All parts of the checkpoint and how it is asked; `weights`: those on the Hub are fetched, too.

        Raises:
            CheckpointError: a part is missing, or the checkpoint cannot be scored; says why.
        """

    def parts(self, found: Recognised) -> Parts:
        """Everything but the weights; raises `CheckpointError` for a part that cannot be made."""

    def load_model(self, found: Recognised, parts: Parts, **loading: Any) -> Any:
        """The model of transformers; `loading` are further arguments of `from_pretrained`.

        Raises:
            CheckpointError: weights are missing, of another shape or (foreign formats) left over.
        """


FORMATS: Mapping[Kind, Format] = {
    "llava_projector": llava_projector,
    "torch_distributed": torch_distributed,
    "deepspeed_zero": deepspeed_zero,
    "internvl_chat": internvl_chat,
    "native": native,  # whatever the others do not know
}
"""In the order in which a folder is looked at."""

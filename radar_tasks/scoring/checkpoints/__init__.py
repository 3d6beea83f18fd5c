"""A folder, a name on the Hub or a model in memory -> `Checkpoint`.

CheckpointOptions --recognise--> Recognised --load--> Checkpoint --encode--> EncodedQuestion
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions, checkpoint_options

if TYPE_CHECKING:
    from radar_tasks.scoring.checkpoints.checkpoint import Checkpoint
    from radar_tasks.scoring.checkpoints.loading import from_model, load
    from radar_tasks.scoring.checkpoints.recognised import Recognised
    from radar_tasks.scoring.checkpoints.recognition import recognise

__all__ = ["Checkpoint", "CheckpointOptions", "Recognised", "checkpoint_options", "from_model", "load", "recognise"]

_LATER = {
    "Checkpoint": "checkpoint",
    "Recognised": "recognised",
    "from_model": "loading",
    "load": "loading",
    "recognise": "recognition",
}


def __getattr__(name: str) -> Any:
    """Options are parsed by commands that never load a model, so what needs torch is imported at its first use."""
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_LATER[name]}"), name)

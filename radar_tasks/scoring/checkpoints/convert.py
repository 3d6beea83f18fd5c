"""Any checkpoint that can be loaded, written in transformers' own format."""

from __future__ import annotations

import tempfile
from pathlib import Path

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import load
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.encoding.prompt_formats import CONVERTED_FROM


def convert(options: CheckpointOptions, destination: Path) -> None:
    """Writes a native transformers folder: foreign formats renamed, adapters and a training's shards merged.

    The folder appears whole or not at all.

    Args:
        options: the checkpoint; `dtype` is that of the written weights.
        destination: a folder that does not exist.

    Raises:
        CheckpointError: the destination exists or cannot be written, or the checkpoint cannot be loaded.
    """
    if destination.exists():
        raise CheckpointError(f"{destination} exists already; give a new folder.")
    destination = destination.absolute()
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{destination.name}-", dir=destination.parent) as place:
            written = Path(place) / "written"
            _write(options, written)
            written.rename(destination)
    except OSError as error:
        raise CheckpointError(f"{destination} cannot be written ({error})") from error


def _write(options: CheckpointOptions, folder: Path) -> None:
    checkpoint = load(options)
    if checkpoint.kind in ("internvl_chat", "llava_projector"):  # to be asked as it was asked before
        setattr(checkpoint.model.config, CONVERTED_FROM, checkpoint.form.wording)
    checkpoint.model.save_pretrained(folder)
    checkpoint.processor.save_pretrained(folder)

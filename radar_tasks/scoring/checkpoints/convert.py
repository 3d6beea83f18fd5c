"""Any checkpoint that can be loaded, written in transformers' own format."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from safetensors.torch import save_file

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import load
from radar_tasks.scoring.checkpoints.distributed_checkpoint import METADATA, sharded_tensors
from radar_tasks.scoring.checkpoints.folder import resolve_folder
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.encoding.prompt_formats import CONVERTED_FROM

FSDP_FOLDER = "pytorch_model_fsdp_0"
_SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model")


def convert(options: CheckpointOptions, destination: Path) -> None:
    """Writes a native transformers folder: foreign formats renamed, adapters and FSDP shards merged.

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
            _write(_merged(options, Path(place) / "merged"), written)
            written.rename(destination)
    except OSError as error:
        raise CheckpointError(f"{destination} cannot be written ({error})") from error


def _write(options: CheckpointOptions, folder: Path) -> None:
    checkpoint = load(options)
    if checkpoint.kind != "native":  # so that the converted one is asked as the original was
        setattr(checkpoint.model.config, CONVERTED_FROM, checkpoint.form.wording)
    checkpoint.model.save_pretrained(folder)
    checkpoint.processor.save_pretrained(folder)


def _merged(options: CheckpointOptions, folder: Path) -> CheckpointOptions:
    """The options themselves, or those for FSDP's shards merged into `folder`."""
    source = resolve_folder(options.pretrained, options.revision, "pretrained", weights=True)
    shards = source / FSDP_FOLDER if (source / FSDP_FOLDER).is_dir() else source
    if not (shards / METADATA).is_file():
        return options
    if not (source / "config.json").is_file():
        raise CheckpointError(f"{source} holds FSDP shards and no config.json: put the model's there first.")
    # accelerate saves the model as the one value of a dict.
    weights = {name.removeprefix("model."): tensor.read() for name, tensor in sharded_tensors(shards).items()}
    folder.mkdir()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for pattern in _SMALL_FILES:
        for file in source.glob(pattern):
            shutil.copy2(file, folder)
    return options.model_copy(update={"pretrained": str(folder), "revision": None})

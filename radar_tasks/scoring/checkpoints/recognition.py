"""What lies in a folder, and whether this environment can load it. Reads no weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import PROCESSOR_FILES, holds_one_of, is_here, read_json, resolve_folder
from radar_tasks.scoring.checkpoints.formats import FORMATS
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions
from radar_tasks.scoring.checkpoints.recognised import Recognised
from radar_tasks.scoring.checkpoints.weight_files import (
    ADAPTERS,
    check_whole,
    left_beside,
    refuse_unfinished,
    sets_of_weights,
)


def recognise(options: CheckpointOptions, weights: bool = False) -> Recognised:
    """Tells what a checkpoint is and finds all its parts.

    Args:
        options: what the user said.
        weights: whether to fetch the weights from the Hub, too; those of a folder are looked at in any case.

    Raises:
        CheckpointError: no such folder; not a multimodal checkpoint; an architecture that this transformers does not
            know or that cannot be scored; processor, base, vision tower or a shard missing; still being written.
    """
    folder = resolve_folder(options.pretrained, options.revision, "pretrained", weights)
    # Results would carry the revision's name, and a folder has none. (Beside shards it may be that of `config`.)
    if options.revision not in (None, "main") and options.config is None and is_here(options.pretrained):
        raise CheckpointError(
            f"revision={options.revision} is one of the Hub, and {options.pretrained} is a folder here: leave it out."
        )
    if (folder / "adapter_config.json").is_file():
        return _adapter(options, folder, weights)
    found = next(form for form in FORMATS.values() if form.lies_in(folder))
    return found.recognise(options, folder, weights)


def _adapter(options: CheckpointOptions, folder: Path, weights: bool) -> Recognised:
    """A PEFT adapter is its base, of whatever format, with some weights more."""
    config = read_json(folder / "adapter_config.json")
    base = options.model_base or config.get("base_model_name_or_path")
    if not base:
        raise CheckpointError(f"{folder} is a PEFT adapter that does not name its base: add model_base=FOLDER.")
    files = [folder / name for name in ADAPTERS if (folder / name).is_file()][:1]  # PEFT takes the first one, too
    if not files:
        raise CheckpointError(f"{folder} has no {ADAPTERS[0]}: is it still being written?")
    if whole := sets_of_weights(folder):
        raise CheckpointError(
            f"{folder} holds a PEFT adapter and whole weights ({whole[0]}): nobody can tell which is meant. Move the "
            "other away."
        )
    refuse_unfinished(folder)
    check_whole(files[0])
    own_processor = options.processor or (str(folder) if holds_one_of(folder, PROCESSOR_FILES) else None)
    revision = None if options.model_base or is_here(str(base)) else config.get("revision")
    of_base = {"pretrained": str(base), "revision": revision, "model_base": None, "processor": own_processor}
    found = recognise(options.model_copy(update=of_base), weights)
    beside = (*found.beside, *left_beside(folder))
    return replace(found, options=options, files=(*found.files, *files), adapter=folder, beside=beside)

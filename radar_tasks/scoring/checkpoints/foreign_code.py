"""What the files of a checkpoint could say that loads code, or other files than those that were looked at.

transformers runs a checkpoint's own classes (`auto_map`) with `trust_remote_code=True` alone. The settings below reach
further without asking, each in a library that may be installed: they are refused before anything is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import read_json

IMPLEMENTATIONS = ("attn_implementation", "_attn_implementation", "experts_implementation", "_experts_implementation")
QUANTISATION = ("quantization_config", "compression_config")


def refuse_in_config(config: Mapping[str, Any], where: object, trusted: bool) -> None:
    """Raises `CheckpointError` for settings of a model's config.json that load code, or weights from other files.

    Args:
        config: content of the file.
        where: its folder, for messages.
        trusted: whether the user trusts the checkpoint's code.
    """
    for settings in _objects(config):
        for name in IMPLEMENTATIONS:
            value = settings.get(name)
            for kernel in value.values() if isinstance(value, dict) else (value,):
                if isinstance(kernel, str) and "/" in kernel and not trusted:
                    raise CheckpointError(
                        f"{where}: config.json asks for code from the Hub ({name}: {kernel}). Take the line out, or "
                        "trust it with trust_remote_code=True."
                    )
        for name in QUANTISATION:
            if settings.get(name):
                raise CheckpointError(
                    f"{where}: its weights are quantised ({name} in config.json), which is another model and is not "
                    "scored here. Save them in a floating point type."
                )
    if config.get("transformers_weights"):
        raise CheckpointError(
            f"{where}: config.json names a file of weights of its own (transformers_weights); take the line out, and "
            "leave in the folder the weights that are meant."
        )


def refuse_in_processor(folder: Path, trusted: bool) -> None:
    """Raises `CheckpointError` where a processor would load a model from a place that its files name."""
    if trusted:
        return
    for name in ("processor_config.json", "audio_tokenizer_config.json"):
        file = folder / name
        if file.is_file() and any("audio_tokenizer_name_or_path" in settings for settings in _objects(read_json(file))):
            raise CheckpointError(
                f"{file} loads a model from elsewhere (audio_tokenizer_name_or_path). Take it out, or trust it with "
                "trust_remote_code=True."
            )


def _objects(content: Any) -> Iterator[Mapping[str, Any]]:
    """An object and all in it."""
    if isinstance(content, dict):
        yield content
        for value in content.values():
            yield from _objects(value)
    elif isinstance(content, list):
        for value in content:
            yield from _objects(value)

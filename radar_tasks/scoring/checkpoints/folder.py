"""A checkpoint's folder: where it is, whether it holds nothing but files, its JSON and its processor. No torch."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "tekken.json")
SETUP_FILES = (
    "config.json",
    *PROCESSOR_FILES,
    *TOKENIZER_FILES,
    "adapter_config.json",
    "video_preprocessor_config.json",
    "merges.txt",
    "vocab.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""What decides, beside the weights, about the numbers that a model makes from a question."""

DEEPEST = 100
"""Levels of a JSON file; configurations have fewer than ten, and copying many of them ends in a RecursionError."""


def is_here(name: str) -> bool:
    """Whether a checkpoint's name is that of a folder on this machine, which goes before the Hub's."""
    return Path(name).expanduser().is_dir()


def resolve_folder(name: str, revision: str | None, what: str, weights: bool = False) -> Path:
    """The folder of a checkpoint on disk; of a Hub name what has to be there (with `weights`: all).

    Args:
        name: folder or `owner/name`.
        revision: on the Hub.
        what: what the folder is, for messages.
        weights: whether to fetch the weights too.

    Raises:
        CheckpointError: neither a folder nor a repository that can be reached.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        _refuse_what_is_no_file(folder)
        return folder
    if folder.exists():
        raise CheckpointError(f"{what} {name} is a file; give the folder it lies in.")
    if name.startswith((".", "~", "/")) or name.count("/") != 1:
        raise CheckpointError(f"{what}: there is no folder {name}.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = None if weights else ["*.json", "*.jinja", "*.txt", "*.model", "merges*", "vocab*"]
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        at = f" at revision {revision}" if revision else ""
        raise CheckpointError(
            f"{what}: {name} is neither a folder here nor a repository on the Hub that can be reached{at} ({error})"
        ) from error


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointError: not there, not JSON (half written), no object, or one in another a hundred times over.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file.parent} has no {file.name}.") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): is it still being written?") from error
    except RecursionError:
        raise CheckpointError(f"{file} is nested too deep to be read.") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no JSON object.")
    if _depth(content) > DEEPEST:
        raise CheckpointError(f"{file} is nested deeper than {DEEPEST} levels.")
    return content


def holds_one_of(folder: Path, names: tuple[str, ...]) -> bool:
    """Whether one of these files lies there."""
    return any((folder / name).is_file() for name in names)


def processor_folder(folder: Path, processor: str | None, needed: tuple[str, ...] = ()) -> Path:
    """Where tokenizer and processor come from.

    Args:
        folder: of the checkpoint.
        processor: folder or Hub name that the user gave instead.
        needed: of these files one must be there, beside one of a tokenizer.

    Raises:
        CheckpointError: none is there.
    """
    place = folder
    if processor is not None:
        place = resolve_folder(processor, None, "processor")
    elif not holds_one_of(folder, TOKENIZER_FILES) or (needed and not holds_one_of(folder, needed)):
        what = "tokenizer" if not holds_one_of(folder, TOKENIZER_FILES) else "processor"
        raise CheckpointError(
            f"{folder} has no {what} (trainers often save the model alone): say where it is, "
            "processor=FOLDER_OR_NAME, e.g. that of the checkpoint training began with."
        )
    if not holds_one_of(place, TOKENIZER_FILES) or (needed and not holds_one_of(place, needed)):
        raise CheckpointError(f"processor: {place} does not hold a processor with its tokenizer.")
    return place


def _refuse_what_is_no_file(folder: Path) -> None:
    """Raises `CheckpointError` for pipes and devices, of which reading would never end, there or one folder below."""
    for entry in _entries(folder):
        kind = entry.stat().st_mode
        if stat.S_ISDIR(kind):
            names = _entries(Path(entry.path))
        elif not stat.S_ISREG(kind):
            names = iter((entry,))
        else:
            continue
        for inner in names:
            if not (stat.S_ISREG(inner.stat().st_mode) or stat.S_ISDIR(inner.stat().st_mode)):
                raise CheckpointError(
                    f"{inner.path} is not a file but a pipe, a socket or a device: put a file in its place."
                )


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What can be looked at; links that lead nowhere and folders that are closed cannot."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                entry.stat()
                yield entry


def _depth(content: Any) -> int:
    level, depth = [content], 0
    while level:
        depth += 1
        inner = [
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        ]
        level = [item for values in inner for item in values]
    return depth

"""A checkpoint's folder: which files it has, whether they are whole, what tells its weights from others. No torch."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError

PROCESSOR_FILES = ("processor_config.json", "preprocessor_config.json")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "tekken.json")
SETUP_FILES = (
    "config.json",
    *PROCESSOR_FILES,
    *TOKENIZER_FILES,
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""What decides, beside the weights, about the numbers that a model makes from a question."""

SINGLE_FILES = ("model.safetensors", "pytorch_model.bin", "pytorch_model_fsdp.bin")
INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
UNFINISHED = ("*.tmp", "*.incomplete", "*.part")
SHARDED_STATE = ("pytorch_model_fsdp_0", ".metadata")

WHOLE_FILE_BYTES = 64 << 20
SAMPLES, SAMPLE_BYTES = 256, 1 << 16
"""A fingerprint reads files up to 64 MB whole, and of larger ones 256 evenly spaced pieces of 64 kB."""


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
        CheckpointError: not there, not JSON (half written), or no object.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file.parent} has no {file.name}.") from None
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): is it still being written?") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no JSON object.")
    return content


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, each looked at for being whole (their ends, not their contents).

    Raises:
        CheckpointError: there are none, a shard is missing or cut short, or the folder is still being written.
    """
    for pattern in UNFINISHED:
        if left := sorted(folder.glob(pattern)):
            raise CheckpointError(
                f"{folder} is still being written or was left unfinished: it holds {left[0].name}. "
                "Wait until it is complete, or save it again."
            )
    files = _listed_files(folder)
    for file in files:
        check_whole(file)
    return files


def weights_of(folder: Path) -> tuple[Path, ...]:
    """A folder's weights, looked at as by `weight_files`; none of a Hub repository that have not been fetched yet."""
    if is_snapshot(folder) and not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        return ()
    return tuple(weight_files(folder))


def is_snapshot(folder: Path) -> bool:
    """Whether it is a folder of the Hub's cache, named after a commit."""
    return folder.parent.name == "snapshots"


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


def check_whole(file: Path) -> None:
    """Raises `CheckpointError` if a weights file ends before its time."""
    whole = _safetensors_is_whole(file) if file.suffix == ".safetensors" else _torch_file_is_whole(file)
    if not whole:
        raise CheckpointError(
            f"{file} is cut short: it is still being written, or a copy was interrupted. "
            "Wait until it is complete, or copy it again."
        )


def fingerprint(files: list[Path]) -> str:
    """16 hex digits that change when the weights do, without reading large files whole."""
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda f: f.name):
        size = file.stat().st_size
        digest.update(f"{file.name} {size} ".encode())
        with file.open("rb") as stream:
            if size <= WHOLE_FILE_BYTES:
                digest.update(stream.read())
                continue
            for k in range(SAMPLES):
                stream.seek((size - SAMPLE_BYTES) * k // (SAMPLES - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    return digest.hexdigest()[:16]


def _listed_files(folder: Path) -> list[Path]:
    for name in SINGLE_FILES:
        if (folder / name).is_file():
            return [folder / name]
    for name in INDEX_FILES:
        if (folder / name).is_file():
            return _shards(folder / name)
    if any((folder / name).exists() for name in SHARDED_STATE):
        raise CheckpointError(
            f"{folder} holds a sharded training state and no model: merge it first, "
            f"`radar checkpoint convert {folder} NEW_FOLDER` (FSDP)."
        )
    if any(folder.glob("global_step*")) or (folder / "zero_to_fp32.py").is_file():
        raise CheckpointError(
            f"{folder} holds DeepSpeed's shards and no model: merge them with `python {folder / 'zero_to_fp32.py'} "
            f"{folder} {folder}`, or train with stage3_gather_16bit_weights_on_model_save."
        )
    if shards := sorted(folder.glob("model-*-of-*.safetensors")):
        raise CheckpointError(
            f"{folder} has {len(shards)} shard(s) of a model and no {INDEX_FILES[0]}: it is still being written."
        )
    raise CheckpointError(
        f"{folder} holds no weights (looked for {', '.join(SINGLE_FILES + INDEX_FILES)}): "
        "is it the right folder, or still being written?"
    )


def _shards(index: Path) -> list[Path]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map: is it still being written?")
    if not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(f"{index} names a weight's file by something that is no text.")
    files = [index.parent / Path(name).name for name in sorted(set(weight_map.values()))]
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(
            f"{index.parent} lacks {', '.join(missing)}, named in {index.name}: is it still being written?"
        )
    return files


def _safetensors_is_whole(file: Path) -> bool:
    """The header says where the last tensor ends."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if size < 8 or length > size - 8:
            return False
        try:
            header = json.loads(stream.read(length))
            end = max((t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"), default=0)
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return bool(size == 8 + length + end)


def _torch_file_is_whole(file: Path) -> bool:
    """torch writes zip files, whose directory comes last; very old ones are plain pickles, which say nothing."""
    with file.open("rb") as stream:
        start = stream.read(2)
    return zipfile.is_zipfile(file) if start == b"PK" else len(start) == 2

"""Which files of a folder hold the weights, which others lie beside them, and whether they are whole. No torch."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.folder import read_json

WHOLE = {
    "model.safetensors": "model.safetensors.index.json",
    "pytorch_model.bin": "pytorch_model.bin.index.json",
    "pytorch_model_fsdp.bin": None,
}
"""Weights in one file, and the index of the same in several, in the order in which transformers takes them."""

ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin")
SHARDED_STATES = (".metadata", "pytorch_model_fsdp_0", "global_step*")
"""Of FSDP and DeepSpeed."""

UNFINISHED = ("*.tmp", "*.incomplete", "*.part")
SHARD = re.compile(r"(model|pytorch_model)-\d+-of-\d+\.(safetensors|bin)")
TRANSFORMERS_SHARD = re.compile(r"shard-\d{5}-model-\d{5}-of-\d{5}\.safetensors")
"""What `save_pretrained(distributed_checkpoint=True)` writes, and `from_pretrained` prefers to anything else."""

LFS_POINTER = b"version https://git-lfs.github.com/spec/"
"""How the text begins that a clone without Git LFS has in place of a weights file."""
COMMIT = re.compile(r"[0-9a-f]{40}")


def weights_of(folder: Path) -> tuple[Path, ...]:
    """A folder's weights, looked at as by `weight_files`; none of a Hub repository that have not been fetched yet."""
    if is_snapshot(folder) and not any(folder.glob("*.safetensors")) and not any(folder.glob("*.bin")):
        return ()
    return tuple(weight_files(folder))


def is_snapshot(folder: Path) -> bool:
    """Whether it is a folder of the Hub's cache, named after a commit (`models--owner--name/snapshots/<commit>`)."""
    return (
        COMMIT.fullmatch(folder.name) is not None
        and folder.parent.name == "snapshots"
        and folder.parents[1].name.startswith("models--")
    )


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a checkpoint's weights, each looked at for being whole (their ends, not their contents).

    Raises:
        CheckpointError: there are none, a shard is missing or cut short, the folder is still being written, or it holds
            two sets of weights of which nobody can tell the right one.
    """
    refuse_unfinished(folder)
    sets = sets_of_weights(folder)
    if not sets:
        raise CheckpointError(_why_none(folder))
    files = _shards(folder / sets[0]) if sets[0].endswith(".index.json") else [folder / sets[0]]
    _refuse_a_second(folder, sets, files)
    for file in files:
        check_whole(file)
    return files


def sets_of_weights(folder: Path) -> list[str]:
    """Names of the files, or indexes of files, that hold whole weights each; the first one is taken."""
    both = [name for single, index in WHOLE.items() for name in (single, index)]
    return [name for name in both if name is not None and (folder / name).is_file()]


def left_beside(folder: Path) -> tuple[str, ...]:
    """What else in a folder with weights holds weights, and is not read."""
    others = (sets_of_weights(folder) or [name for name in ADAPTERS if (folder / name).is_file()])[1:]
    return *others, *(path.name for pattern in SHARDED_STATES for path in sorted(folder.glob(pattern)))


def refuse_unfinished(folder: Path) -> None:
    """Raises `CheckpointError` for a folder with files of temporary names."""
    for pattern in UNFINISHED:
        if left := sorted(folder.glob(pattern)):
            raise CheckpointError(
                f"{folder} is still being written or was left unfinished: it holds {left[0].name}. "
                "Wait until it is complete, or save it again."
            )


def check_whole(file: Path) -> None:
    """Raises `CheckpointError` if a weights file ends before its time."""
    with file.open("rb") as stream:
        if stream.read(len(LFS_POINTER)) == LFS_POINTER:
            raise CheckpointError(f"{file} is a pointer of Git LFS, not the weights: `git lfs pull` fetches them.")
    whole = _safetensors_is_whole(file) if file.suffix == ".safetensors" else _torch_file_is_whole(file)
    if not whole:
        raise CheckpointError(
            f"{file} is cut short: it is still being written, or a copy was interrupted. "
            "Wait until it is complete, or copy it again."
        )


def _refuse_a_second(folder: Path, sets: list[str], files: list[Path]) -> None:
    """The same weights in two file types are common on the Hub; two sets of one type are of different steps."""
    for single, index in WHOLE.items():
        if single in sets and index in sets:
            raise CheckpointError(
                f"{folder} holds weights twice, {single} and {index}: one is left from another step. Move the wrong "
                "one away (of the second, the index and the files that it names)."
            )
    taken = {file.name for file in files}
    left = sorted(
        file.name
        for file in folder.iterdir()
        if (SHARD.fullmatch(file.name) or TRANSFORMERS_SHARD.fullmatch(file.name))
        and file.name not in taken
        and file.suffix == files[0].suffix
    )
    if left:
        raise CheckpointError(
            f"{folder} holds the weights {sets[0]}, and shards that do not belong to them ({_some(left)}): these "
            "or those are left from another step, or a new one is being written. Move the wrong ones away."
        )


def _why_none(folder: Path) -> str:
    if shards := sorted(file for file in folder.iterdir() if SHARD.fullmatch(file.name)):
        index = re.sub(r"-\d+-of-\d+", "", shards[0].name) + ".index.json"
        return f"{folder} has {len(shards)} shard(s) of a model and no {index}: it is still being written."
    if any(TRANSFORMERS_SHARD.fullmatch(file.name) for file in folder.iterdir()):
        return (
            f"{folder} holds the pieces that each rank wrote by save_pretrained(distributed_checkpoint=True): put "
            "them together in a new folder by transformers.distributed.consolidate_distributed_checkpoint"
            f"({str(folder)!r}, NEW_FOLDER), and copy the configuration and the processor there."
        )
    known = ", ".join(name for pair in WHOLE.items() for name in pair if name is not None)
    return f"{folder} holds no weights (looked for {known}): is it the right folder, or still being written?"


def _shards(index: Path) -> list[Path]:
    """The files that an index names, which hold just the tensors that it says.

    Raises:
        CheckpointError: the index is not an index, a file is missing, or holds other tensors.
    """
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map: is it still being written?")
    if not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(f"{index} names a weight's file by something that is not a text.")
    files = [index.parent / Path(name).name for name in sorted(set(weight_map.values()))]
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(
            f"{index.parent} lacks {', '.join(missing)}, named in {index.name}: is it still being written?"
        )
    for file in files:
        if file.suffix == ".safetensors":
            check_whole(file)
            listed = {name for name, place in weight_map.items() if Path(place).name == file.name}
            if other := sorted(listed ^ (_safetensors_header(file).keys() - {"__metadata__"})):
                raise CheckpointError(
                    f"{file} holds other weights than {index.name} says ({_some(other)}): one of them is left "
                    "from another step. Save the checkpoint again."
                )
    return files


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _safetensors_header(file: Path) -> Mapping[str, dict[str, list[int]]]:
    """Name -> what is said of a tensor; empty for a file that has no whole header."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if length > file.stat().st_size - 8:
            return {}
        try:
            header = json.loads(stream.read(length))
        except (ValueError, RecursionError):
            return {}
    return header if isinstance(header, dict) else {}


def _safetensors_is_whole(file: Path) -> bool:
    """The header says where the last tensor ends."""
    header = _safetensors_header(file)
    if not header:
        return False
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
    try:
        end = max((about["data_offsets"][1] for name, about in header.items() if name != "__metadata__"), default=0)
    except (KeyError, TypeError, AttributeError, IndexError):
        return False
    return bool(file.stat().st_size == 8 + length + end)


def _torch_file_is_whole(file: Path) -> bool:
    """torch writes zip files, whose directory comes last; very old ones are plain pickles, which say nothing."""
    with file.open("rb") as stream:
        start = stream.read(2)
    return zipfile.is_zipfile(file) if start == b"PK" else len(start) == 2

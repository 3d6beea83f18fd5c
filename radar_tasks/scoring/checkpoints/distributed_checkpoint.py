"""torch's distributed checkpoints (`.metadata` and `*.distcp`), as FSDP writes them, read without running code in them.

torch un-pickles `.metadata` with no restriction, and accelerate's merge calls torch: whoever wrote the file chooses
what runs. Here an un-pickler knows the names that torch itself writes, and gives for each of torch's classes a record
that holds what was stored and does nothing. What it says about files and sizes is then checked against the files.
"""

from __future__ import annotations

import io
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.weights import in_words

METADATA = ".metadata"


@dataclass(frozen=True)
class Piece:
    """A part of a tensor in a file.

    Attributes:
        file: where it is.
        start, length: its bytes there, a tensor as `torch.save` writes it.
        offsets, sizes: its place in the whole tensor, one number a dimension.
    """

    file: Path
    start: int
    length: int
    offsets: tuple[int, ...]
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class ShardedTensor:
    """A tensor that lies in pieces.

    Attributes:
        dtype: of its values.
        shape: of the whole.
        pieces: fill the whole, and do not overlap.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]
    pieces: tuple[Piece, ...]

    def read(self) -> Tensor:
        """The whole tensor, on the CPU.

        Raises:
            CheckpointError: a file holds something else at the place than the metadata says.
        """
        whole = torch.empty(self.shape, dtype=self.dtype)
        for piece in self.pieces:
            with piece.file.open("rb") as stream:
                stream.seek(piece.start)
                content = io.BytesIO(stream.read(piece.length))
            try:
                part = torch.load(content, map_location="cpu", weights_only=True)
            except Exception as error:  # torch raises many types on damaged files
                raise CheckpointError(f"{piece.file} cannot be read ({in_words(error)}).") from error
            if not isinstance(part, Tensor) or tuple(part.shape) != piece.sizes or part.dtype != self.dtype:
                raise CheckpointError(f"{piece.file} does not hold what {METADATA} beside it says: it was damaged.")
            region = tuple(slice(start, start + size) for start, size in zip(piece.offsets, piece.sizes, strict=True))
            whole[region] = part
        return whole


def sharded_tensors(folder: Path) -> dict[str, ShardedTensor]:
    """The tensors of a distributed checkpoint by name, optimizer states among them; other values are left out.

    Args:
        folder: the one that holds `.metadata`.

    Raises:
        CheckpointError: the metadata names something that is not torch's own, is damaged, or does not fit the files.
    """
    metadata = _read_metadata(folder / METADATA)
    try:
        described, stored = metadata["state_dict_metadata"], metadata["storage_data"]
        places = {(index["fqn"], index.get("offset")): info for index, info in stored.items()}
        sizes = {entry.name: entry.stat().st_size for entry in folder.iterdir() if entry.is_file()}
        return {
            _text(name): _tensor(folder, name, about, places, sizes)
            for name, about in described.items()
            if "chunks" in about.fields
        }
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise CheckpointError(
            f"{folder / METADATA} is damaged, or of a form not known here ({type(error).__name__}: {error})."
        ) from error


def _tensor(
    folder: Path, name: str, about: _Record, places: Mapping[Any, _Record], files: Mapping[str, int]
) -> ShardedTensor:
    shape = _sizes(about["size"])
    dtype = about["properties"]["dtype"]
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{name} has no dtype")
    chunks = [(_sizes(chunk["offsets"]), _sizes(chunk["sizes"])) for chunk in about["chunks"]]
    pieces = tuple(_piece(folder, places[name, offsets], offsets, sizes, files) for offsets, sizes in chunks)
    for piece in pieces:
        ends = [start + size for start, size in zip(piece.offsets, piece.sizes, strict=True)]
        if len(ends) != len(shape) or any(end > whole for end, whole in zip(ends, shape, strict=True)):
            raise ValueError(f"a piece of {name} lies outside of it")
    if sum(math.prod(piece.sizes) for piece in pieces) != math.prod(shape):
        raise CheckpointError(f"{folder / METADATA}: the pieces of {name} do not make the whole; a rank's is missing.")
    return ShardedTensor(dtype, shape, pieces)


def _piece(
    folder: Path, info: _Record, offsets: tuple[int, ...], sizes: tuple[int, ...], files: Mapping[str, int]
) -> Piece:
    name, (start, length) = _text(info["relative_path"]), _sizes((info["offset"], info["length"]))
    if "/" in name or "\\" in name or name in ("", ".", ".."):
        raise CheckpointError(f"{folder / METADATA} names a file outside its folder ({name!r}).")
    if info.get("transform_descriptors"):
        raise CheckpointError(f"{folder / METADATA}: {name} is compressed, which is not read here.")
    if name not in files:
        raise CheckpointError(f"{folder} lacks {name}, named in {METADATA}: is it still being written?")
    if start + length > files[name]:
        raise CheckpointError(
            f"{folder / name} is cut short: it is still being written, or a copy was interrupted. "
            "Wait until it is complete, or copy it again."
        )
    return Piece(folder / name, start, length, offsets, sizes)


def _sizes(values: Any) -> tuple[int, ...]:
    sizes = tuple(values)
    if not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("something stands where sizes should")  # not shown: it may be of any length
    return sizes


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("something stands where a name should")
    return value


class _Record:
    """Stands for an object of one of torch's classes: its fields by name, and nothing that could run."""

    fields: Mapping[str, Any] = MappingProxyType({})

    def __setstate__(self, state: Any) -> None:
        self.fields = {"dtype": state[0]} if isinstance(state, tuple) else dict(state)  # TensorProperties is a tuple

    def __getitem__(self, name: str) -> Any:
        return self.fields[name]

    def get(self, name: str) -> Any:
        """As of a dict."""
        return self.fields.get(name)


_METADATA_MODULE = "torch.distributed.checkpoint.metadata"
_DTYPES = (
    "float64", "float32", "float16", "bfloat16", "float8_e4m3fn", "float8_e5m2", "int64", "int32", "int16", "int8",
    "uint8", "bool", "complex64",
)  # fmt: skip


def _joined(*parts: str) -> str:
    return "/".join(parts)


_KNOWN: Mapping[tuple[str, str], Callable[..., Any] | torch.dtype] = {
    **{
        (_METADATA_MODULE, name): _Record
        for name in (
            "Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata", "ChunkStorageMetadata",
            "TensorProperties", "StorageMeta",
        )
    },
    (_METADATA_MODULE, "_MEM_FORMAT_ENCODING"): int,
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"): _Record,
    ("torch.distributed.checkpoint.filesystem", "_StoragePrefix"): _Record,
    # torch 2.0 and 2.1 kept two of them elsewhere.
    ("torch.distributed._shard.sharded_tensor.metadata", "TensorProperties"): _Record,
    ("torch.distributed._shard.sharded_tensor.metadata", "MEM_FORMAT_ENCODING"): int,
    **{("torch", name): getattr(torch, name) for name in _DTYPES},
    ("torch", "Size"): tuple,
    ("torch.serialization", "_get_layout"): str,
    ("collections", "OrderedDict"): dict,
    # Where it was saved; the module's name is another one from Python 3.13 on.
    **{(module, name): _joined for module in ("pathlib", "pathlib._local") for name in ("PosixPath", "WindowsPath")},
}  # fmt: skip
"""All names that torch writes into `.metadata`, and what stands for each."""


class _MetadataUnpickler(pickle._Unpickler):
    """In Python: the one in C takes gigabytes for a single damaged byte (the number of a memo)."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is none of torch's metadata") from None


def _read_metadata(file: Path) -> _Record:
    try:
        metadata = _MetadataUnpickler(io.BytesIO(file.read_bytes())).load()
    except Exception as error:  # damaged pickles raise anything
        raise CheckpointError(
            f"{file} is not the metadata of a distributed checkpoint of torch, and nothing in it was run "
            f"({type(error).__name__}: {error})."
        ) from error
    if not isinstance(metadata, _Record):
        raise CheckpointError(f"{file} is not the metadata of a distributed checkpoint of torch.")
    return metadata

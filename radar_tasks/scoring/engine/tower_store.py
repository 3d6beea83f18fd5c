"""Features of a vision tower on disk, shared by checkpoints whose towers have the same weights.

    FOLDER/<tower>/first                  the first checkpoint with this tower; nothing is kept of it yet
    FOLDER/<tower>/<random>.safetensors   `keys` (n, 32): SHA-256 of a picture as the tower gets it
                                          `features` (n, layers, tokens, width): what it makes of it
                                          `checks` (n, 16): a hash of each picture's features

The second checkpoint with a tower writes, the later ones read and pay for projector and language model alone. So a
tower that is trained, and differs at every checkpoint, costs nothing but its checksum. `<tower>` is a checksum over
weights, configuration, layers, dtype, device and versions, and the key one over the very numbers of the picture:
features of another tower or preprocessing are never met. Files appear whole, by renaming, so that several processes
can share the folder and any of them can be killed. Features that are not what was written (a file that lost its end
with the power, and has zeros there) are told by their hash and made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers.modeling_outputs import BaseModelOutputWithPooling

from radar_tasks.errors import RadarError
from radar_tasks.files import write_whole
from radar_tasks.scoring.checkpoints.checkpoint import Checkpoint
from radar_tasks.scoring.families import Family, family_of

PART_BYTES = 64 << 20
"""Features gathered in memory before they are written."""

DEFAULT_BYTES = 20 << 30

CHECK_BYTES = 16
"""Of XXH3-128: it tells damage, not malice."""


class TowerFeatures:
    """Stands before a checkpoint's vision tower while it is scored.

    Args:
        checkpoint: a `Checkpoint` that was loaded from disk.
        folder: of the store.
        budget: bytes that the store may take; towers not used for longest go first, then nothing is added.

    Attributes:
        state: `off: REASON`, `first` (nothing is kept), or `on`, for the results.
        read: pictures whose features came from the store.
    """

    def __init__(self, checkpoint: Checkpoint, folder: Path, budget: int = DEFAULT_BYTES) -> None:
        self._folder, self._budget = folder, budget
        self._family = family_of(checkpoint.model_type)
        self._layers = _layers(checkpoint.model.config, self._family)
        self._tower: Any = getattr(checkpoint.model.base_model, "vision_tower", None)
        self._kept: dict[bytes, tuple[Any, int, bytes]] = {}
        self._new: dict[bytes, Tensor] = {}
        self._full = False
        self.read = 0
        self.state = self._open(checkpoint)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The tower asks the store first; afterwards it is as it was."""
        if self.state != "on":
            yield
            return
        own = self._tower.__dict__.get("forward")
        self._compute = self._tower.forward
        self._tower.forward = self._forward
        try:
            yield
        finally:
            del self._tower.forward
            if own is not None:  # a hook of accelerate
                self._tower.forward = own

    def write(self) -> None:
        """Puts what is new on disk."""
        if self._new and not self._full:
            keys = torch.frombuffer(bytearray(b"".join(self._new)), dtype=torch.uint8).reshape(-1, 32)
            features = torch.stack(list(self._new.values()))
            hashes = bytearray(b"".join(map(_hash, features)))
            checks = torch.frombuffer(hashes, dtype=torch.uint8).reshape(-1, CHECK_BYTES)
            self._write({"keys": keys, "features": features, "checks": checks})
        self._new.clear()

    def _open(self, checkpoint: Checkpoint) -> str:
        """The state; where it is `on`, what the store has is known afterwards."""
        if not isinstance(self._tower, nn.Module) or self._family.tower_output is None:
            return f"off: {checkpoint.model_type} has no vision tower of its own"
        if checkpoint.recognised is None:
            return "off: the checkpoint was not loaded from disk"
        if any(parameter.device.type == "meta" for parameter in self._tower.parameters()):
            return "off: the vision tower is not in memory"
        try:
            if self._is_first(checkpoint.recognised.fingerprint()):
                return "first"
        except (OSError, RadarError) as error:
            return f"off: {error}"
        for file in sorted(self._place.glob("*.safetensors")):
            self._kept |= _index(file)
        return "on"

    def _is_first(self, weights: str) -> bool:
        """Whether no other checkpoint with this tower has been met; leaves word of this one then."""
        self._place = self._folder / _checksum(self._tower, self._layers)
        marker = self._place / "first"
        if not marker.is_file():
            write_whole(marker, weights)
        os.utime(marker)
        return marker.read_text() == weights

    def _forward(self, pixel_values: Tensor, *args: Any, **settings: Any) -> Any:
        if pixel_values.ndim != 4 or args or any(isinstance(value, Tensor) for value in settings.values()):
            return self._compute(pixel_values, *args, **settings)  # a tower that looks at several pictures together
        keys = [hashlib.sha256(picture).digest() for picture in _raw(pixel_values)]
        stored = {key: features for key in keys if (features := self._stored(key)) is not None}
        missing = {key: row for row, key in enumerate(keys) if key not in stored}
        made: dict[bytes, Tensor] = {}
        if missing:
            output = self._compute(pixel_values[list(missing.values())], **settings)
            made = dict(zip(missing, self._chosen(output), strict=True))
        self.read += sum(key in self._kept for key in keys)
        rows = [made[key] if key in made else stored[key].to(pixel_values.device) for key in keys]
        self._add(made)
        return self._as_output(torch.stack(rows))

    def _chosen(self, output: Any) -> Tensor:
        """(N, layers, tokens, width) what the projector will read."""
        states = [output.last_hidden_state if k is None else output.hidden_states[k] for k in self._layers]
        return torch.stack(states, dim=1)

    def _as_output(self, features: Tensor) -> BaseModelOutputWithPooling:
        states: Any = {k: features[:, place] for place, k in enumerate(self._layers)}
        return BaseModelOutputWithPooling(
            last_hidden_state=states.get(None), hidden_states=None if None in states else states
        )

    def _stored(self, key: bytes) -> Tensor | None:
        """The features of a picture; None where there are none, or others than were written."""
        if key in self._new:
            return self._new[key]
        if key not in self._kept:
            return None
        part, row, check = self._kept[key]
        stored: Tensor = part[row]
        if _hash(stored) != check:
            del self._kept[key]
            return None
        return stored

    def _add(self, made: dict[bytes, Tensor]) -> None:
        if self._full:
            return
        self._new |= {key: features.cpu().clone() for key, features in made.items()}
        if sum(features.nbytes for features in self._new.values()) >= PART_BYTES:
            self.write()

    def _write(self, tensors: dict[str, Tensor]) -> None:
        """Writes a part whole and goes on with it; a full disk or budget ends writing, not the run."""
        file = self._place / f"{uuid.uuid4().hex}.safetensors"
        temporary = file.with_suffix(".part")
        size = sum(tensor.nbytes for tensor in tensors.values())
        try:
            if not _make_room(self._folder, self._place, self._budget - size):
                self._full = True
                return
            save_file(tensors, temporary)
            temporary.rename(file)
        except (OSError, SafetensorError):
            self._full = True
            temporary.unlink(missing_ok=True)
            return
        self._kept |= _index(file)


def _layers(config: Any, family: Family) -> tuple[int | None, ...]:
    """The hidden states that are read; None is the last one after the tower's own normalisation."""
    chosen = getattr(config, "vision_feature_layer", None)
    last = chosen == -1 and family.last_layer_is_last_state
    if family.tower_output != "hidden states" or chosen is None or last:
        return (None,)
    return (chosen,) if isinstance(chosen, int) else tuple(chosen)


def _checksum(tower: nn.Module, layers: Sequence[int | None]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tower.state_dict().items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)} {value.device.type} ".encode())
        digest.update(next(iter(_raw(value[None]))))
    config: Any = getattr(tower, "config", None)
    settings = config.to_dict() if config is not None else {}
    about = [
        settings,
        getattr(config, "_attn_implementation", None),
        layers,
        torch.__version__,
        transformers.__version__,
    ]
    digest.update(json.dumps(about, sort_keys=True, default=str).encode())
    return digest.hexdigest()[:32]


def _raw(values: Tensor) -> Iterator[memoryview]:
    """The bytes of each row."""
    for row in values.detach().contiguous().cpu():
        yield memoryview(row.contiguous().reshape(-1).view(torch.uint8).numpy())


def _hash(features: Tensor) -> bytes:
    return xxhash.xxh3_128(next(iter(_raw(features[None])))).digest()


def _index(file: Path) -> dict[bytes, tuple[Any, int, bytes]]:
    """Where each picture of a part is; the features stay on disk until they are asked for."""
    try:
        with safe_open(file, framework="pt") as part:
            keys, checks = (part.get_tensor(name).numpy().tobytes() for name in ("keys", "checks"))
            features = part.get_slice("features")
    except (OSError, SafetensorError):  # deleted by another process to make room, or of a version without checks
        return {}
    return {
        keys[32 * row : 32 * (row + 1)]: (features, row, checks[CHECK_BYTES * row : CHECK_BYTES * (row + 1)])
        for row in range(len(keys) // 32)
    }


def _make_room(folder: Path, ours: Path, limit: int) -> bool:
    """Deletes other towers, those not used for longest first, until the store takes at most `limit` bytes."""
    sizes = {tower: _size(tower) for tower in folder.iterdir() if tower.is_dir()}
    others = sorted((tower for tower in sizes if tower != ours), key=_last_use)
    while sum(sizes.values()) > limit and others:
        oldest = others.pop(0)
        shutil.rmtree(oldest, ignore_errors=True)
        del sizes[oldest]
    return sum(sizes.values()) <= limit


def _size(tower: Path) -> int:
    return sum(file.stat().st_size for file in tower.glob("*.safetensors"))


def _last_use(tower: Path) -> float:
    marker = tower / "first"
    return marker.stat().st_mtime if marker.is_file() else 0.0

"""How fast a checkpoint's bytes are hashed, by the hash that fingerprints use and by others.

    python benchmarks/fingerprint.py

Prints GB/s of one core over 256 MB in memory, and of a fingerprint of a file of 1 GB that lies in the page cache, read
for the first time and remembered.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import xxhash

from radar_tasks.scoring.checkpoints import fingerprints

ROUNDS = 3


def least(action: Callable[[], object]) -> float:
    """Seconds, the least of three."""
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    content = os.urandom(1 << 20) * 256
    for name, make in {
        "xxh3_128": xxhash.xxh3_128, "xxh64": xxhash.xxh64, "blake2b": hashlib.blake2b, "sha256": hashlib.sha256,
    }.items():  # fmt: skip
        print(f"{name:10} {len(content) / least(lambda make=make: make(content).digest()) / 1e9:6.1f} GB/s")
    with tempfile.TemporaryDirectory() as place:
        os.environ["RADAR_HOME"] = place
        fingerprints.SETTLED_NS = 0
        file = Path(place) / "model.safetensors"
        file.write_bytes(content * 4)
        started = time.perf_counter()
        fingerprints.fingerprint([file])
        first = time.perf_counter() - started
        print(
            f"a file of 1 GB: {first:.2f} s, remembered {least(lambda: fingerprints.fingerprint([file])) * 1e3:.1f} ms"
        )


if __name__ == "__main__":
    main()

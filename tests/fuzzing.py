"""How many cases a property test tries: a few in `make test`, `RADAR_FUZZ` times as many in a long run."""

from __future__ import annotations

import os


def cases(count: int) -> int:
    """`count`, times the environment's `RADAR_FUZZ` (1 where it is not set)."""
    return count * int(os.environ.get("RADAR_FUZZ", "1"))

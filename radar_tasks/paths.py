"""Where data lives, and the files that travel with the packages, in a wheel and in an editable install alike."""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def task_configs(harness: str) -> Path:
    """The folder of YAML that a harness reads: `lmms_eval` or `lm_eval`.

    The folder stands beside the packages in the repository and inside this package in a wheel.
    """
    inside = _PACKAGE / "task_configs"
    return (inside if inside.is_dir() else _PACKAGE.parent / "task_configs") / harness


def sample() -> Path:
    """The folder of the embedded sample, `radar_mini`."""
    return _PACKAGE / "sample"


def checkpoints() -> Path:
    """The folder of the embedded checkpoints, one sub-folder per training step."""
    return _PACKAGE / "checkpoints"


def study() -> Path:
    """The folder of the development study; in the repository alone, as its results are too large for a wheel."""
    return _PACKAGE.parent / "studies" / "tiny"


def manual() -> Path:
    """The folder of README.md with its `docs`: inside this package in a wheel, else the root of the repository."""
    inside = _PACKAGE / "manual"
    return inside if inside.is_dir() else _PACKAGE.parent


def data_home() -> Path:
    """The folder of all data: `RADAR_HOME`, else `radar` in the user's cache folder (`XDG_CACHE_HOME`, `~/.cache`)."""
    if home := os.environ.get("RADAR_HOME"):
        return Path(home).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "radar"

"""RADAR inside the evaluation harnesses: data, images, checkpoints, scoring, results and reports."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """`__version__`, looked up when it is asked for: every Python of the environment imports this at its start
    (`harness/startup.py`), and `importlib.metadata` alone would be most of that."""
    if name == "__version__":
        from importlib.metadata import version

        return version("lmms-eval-radar")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

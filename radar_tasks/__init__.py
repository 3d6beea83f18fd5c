"""RADAR inside the evaluation harnesses: data, images, checkpoints, scoring, results and reports."""

from importlib.metadata import version

__version__ = version("lmms-eval-radar")

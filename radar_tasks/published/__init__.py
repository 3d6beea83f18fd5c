"""Published results that travel with the package: accuracy and SDS of raw logits, a row per model and source.

From the two tables of the RADAR paper (arXiv 2602.12892). There are no numbers of single questions.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from radar_tasks.errors import ResultsError

PREFIX = "published:"
"""How a published row is named on the command line: `published:Qwen2-VL-2B`."""

PAPER_CORRELATION = (0.47, 0.58)
"""Pearson's r of SDS in pre-training with accuracy after fine-tuning, as the paper reports it: pooled over 880 points
(4 configurations x 11 checkpoints x 20 abilities), lowest and highest."""


@dataclass(frozen=True)
class PublishedModel:
    """What the paper gives for one model.

    Attributes:
        name: as in the paper.
        values: per metric (`acc_logit`, `sds_logit`) and source, or ability for its average, the number.
    """

    name: str
    values: dict[str, dict[str, float]] = field(default_factory=lambda: {"acc_logit": {}, "sds_logit": {}})

    @property
    def label(self) -> str:
        """The name, marked as published."""
        return f"{self.name} (published)"


@cache
def published_models() -> dict[str, PublishedModel]:
    """All models of the paper's tables by name, in their order."""
    models: dict[str, PublishedModel] = {}
    with (Path(__file__).parent / "published_results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            model = models.setdefault(row["model"], PublishedModel(row["model"]))
            column = row["ability"] if row["source"] == "average" else row["source"]
            model.values["acc_logit"][column] = float(row["accuracy"])
            model.values["sds_logit"][column] = float(row["sds_logit"])
    return models


def published_model(name: str) -> PublishedModel:
    """One of them. Raises `ResultsError` that lists the names there are."""
    try:
        return published_models()[name]
    except KeyError:
        raise ResultsError(f"no published results of {name!r}; there are {', '.join(published_models())}.") from None

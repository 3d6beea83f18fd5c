"""The numbers that every export is made of: one row a run, source (or average) and metric."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np

from radar_metrics.errors import MetricError
from radar_metrics.uncertainty import clustered_standard_error
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.metrics import METRICS, metric_table, option_probabilities, per_question
from radar_tasks.results.suites import averages_of

DISTRIBUTION = "lmms-eval-radar"

MEANINGS = {
    "sds": "Soft Discrimination Score: mean probability of the right option, by mean log-probability per token",
    "sds_logit": "Soft Discrimination Score of raw logits, as in the RADAR paper",
    "acc": "share of questions whose right option has the highest mean log-probability per token",
    "acc_logit": "share of questions whose right option has the highest mean raw logit",
    "nll": "mean negative log-probability per token of the right option, in nats",
}
"""What the metrics that leaderboards take mean, in words."""


@dataclass(frozen=True)
class Value:
    """One number.

    Attributes:
        run, experiment, step: whose it is; `run` says whether images were withheld.
        name: the source, or the average (`perception`).
        is_average: whether it is an ability's unweighted mean.
        ability: perception or reasoning.
        metric: a name of `radar_tasks.results.metrics.METRICS`.
        value: the number.
        standard_error: clustered by image; None where it cannot be had (averages, pooled metrics, one image).
        higher_is_better: its direction.
        questions: number of questions.
        data_checksum: SHA-256 of the data; of an average, of its sources' checksums.
        stand_in: whether distractors stand in for the paper's own.
        prompt_format, withheld, harness, harness_version, radar_version, date: how it was made.
    """

    run: str
    experiment: str
    step: int | None
    name: str
    is_average: bool
    ability: Ability
    metric: str
    value: float
    standard_error: float | None
    higher_is_better: bool
    questions: int
    data_checksum: str
    stand_in: bool
    prompt_format: str
    withheld: str
    harness: str
    harness_version: str
    radar_version: str
    date: str


def values_of(run: CheckpointResult) -> list[Value]:
    """Every metric of every source of a run, then of the abilities whose sources are all there."""
    members = {average.name: average.sources for average in averages_of(run.sources)}
    rows = []
    for row in metric_table(run):
        sources = members[row.name] if row.is_average else (row.name,)
        for metric, value in row.values.items():
            error = None if row.is_average else standard_error(run.sources[row.name], metric)
            rows.append(
                Value(
                    run=run.label,
                    experiment=run.experiment,
                    step=run.step,
                    name=row.name,
                    is_average=row.is_average,
                    ability=row.ability,
                    metric=metric,
                    value=value,
                    standard_error=error,
                    higher_is_better=METRICS[metric].higher_is_better,
                    questions=row.questions,
                    data_checksum=checksum(run, sources),
                    stand_in=any(bool(run.data[source].get("stand_in")) for source in sources),
                    prompt_format=str(run.scoring.get("prompt_format") or ""),
                    withheld=run.withheld,
                    harness=run.harness,
                    harness_version=run.harness_version,
                    radar_version=version(DISTRIBUTION),
                    date=run.date,
                )
            )
    return rows


def standard_error(samples: SourceSamples, metric: str) -> float | None:
    """Of a source's headline, clustered by image; None where it cannot be had."""
    values = per_question(samples, metric) if METRICS[metric].per_question else None
    if values is None:
        return None
    strata = samples.category if samples.by_category else None
    try:
        return clustered_standard_error(values, samples.image_id, strata=strata)
    except MetricError:
        return None


def checksum(run: CheckpointResult, sources: Sequence[str]) -> str:
    """SHA-256 of a source's data, or of the checksums of several in this order."""
    sums = [str(run.data[source].get("checksum") or "") for source in sources]
    return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()


def chosen_options(samples: SourceSamples) -> list[int]:
    """(N,) index of the option with the highest mean log-probability (lm-eval: log-probability a byte)."""
    return [int(np.argmax(row)) for row in option_probabilities(samples, by_bytes=samples.logprob is None)]

"""The numbers that every export is made of: one row per run, source (or average) and metric."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version

import numpy as np

from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.metrics import METRICS, option_probabilities, per_question, question_weights, value
from radar_tasks.results.standard_errors import error_of_mean, standard_errors
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
        standard_error: clustered by image, in the metric's unit; None where there is none (pooled metrics, one image).
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
    of_source = {name: _estimates(samples) for name, samples in run.sources.items()}
    rows = [_value(run, name, (name,), metric, of[metric]) for name, of in of_source.items() for metric in of]
    for average in averages_of(run.sources.values()):
        members = [of_source[source] for source in average.sources]
        for metric in METRICS:
            if all(metric in of for of in members):
                mean = float(np.mean([of[metric].value for of in members]))
                error = error_of_mean([of[metric].error for of in members])
                rows.append(_value(run, average.name, average.sources, metric, _Estimate(mean, error)))
    return rows


@dataclass(frozen=True)
class _Estimate:
    """A metric and its standard error, None where there is none."""

    value: float
    error: float | None


def _estimates(samples: SourceSamples) -> dict[str, _Estimate]:
    """Every metric of a source that its scores allow, in the order of `METRICS`."""
    # Means over questions are made once, for the value and for its error, and the errors of all of them together: a
    # hundred checkpoints have 13,500 of them.
    means = {
        name: numbers
        for name, metric in METRICS.items()
        if metric.per_question and (numbers := per_question(samples, name)) is not None
    }
    weights = question_weights(samples)
    errors = dict(zip(means, standard_errors(samples, np.stack(list(means.values()))), strict=True)) if means else {}
    found = {}
    for name in METRICS:
        number = float(means[name] @ weights) if name in means else value(samples, name)
        if number is not None:
            found[name] = _Estimate(number, errors.get(name))
    return found


def _value(run: CheckpointResult, name: str, sources: Sequence[str], metric: str, estimate: _Estimate) -> Value:
    return Value(
        run=run.label,
        experiment=run.experiment,
        step=run.step,
        name=name,
        is_average=name not in run.sources,
        ability=run.sources[sources[0]].ability,
        metric=metric,
        value=estimate.value,
        standard_error=estimate.error,
        higher_is_better=METRICS[metric].higher_is_better,
        questions=sum(len(run.sources[source]) for source in sources),
        data_checksum=checksum(run, sources),
        stand_in=any(bool(run.data[source].get("stand_in")) for source in sources),
        prompt_format=str(run.scoring.get("prompt_format") or ""),
        withheld=run.withheld,
        harness=run.harness,
        harness_version=run.harness_version,
        radar_version=radar_version(),
        date=run.date,
    )


@cache
def radar_version() -> str:
    """The version of this package: its metadata are read once, not once a value."""
    return version(DISTRIBUTION)


def checksum(run: CheckpointResult, sources: Sequence[str]) -> str:
    """SHA-256 of a source's data, or of the checksums of several in this order."""
    sums = [str(run.data[source].get("checksum") or "") for source in sources]
    return sums[0] if len(sums) == 1 else hashlib.sha256("\n".join(sums).encode()).hexdigest()


def chosen_options(samples: SourceSamples) -> list[int]:
    """(N,) index of the option with the highest mean log-probability (lm-eval: log-probability per byte)."""
    return [int(np.argmax(row)) for row in option_probabilities(samples, by_bytes=samples.logprob is None)]

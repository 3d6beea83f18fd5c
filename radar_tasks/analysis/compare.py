"""Two runs on the same questions: differences with intervals, p-values, and what the questions could show at all.

Questions are paired by q_id. Differences are "second minus first"; for a run and its blind twin they are the visual
gain, what the picture added. Questions on one image are one cluster; the categories of a source whose headline is the
mean over categories, and the sources of an ability, are strata that are resampled within themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import (
    Interval,
    clustered_standard_error,
    holm,
    paired_bootstrap,
    permutation_p_value,
    smallest_detectable_difference,
)
from radar_tasks.analysis.paired_questions import differing, paired, refuse_unless_comparable, unmatched
from radar_tasks.analysis.settings import Setting, are_twins, may_differ
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.metrics import METRICS, available, per_question, question_weights, scores_missing
from radar_tasks.results.strata import strata_of_all
from radar_tasks.results.suites import averages_of

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """One metric on one source, or on the average of an ability.

    Attributes:
        name: the source, or the average's name.
        ability: perception or reasoning.
        is_average: whether it is an ability's average.
        metric: a name of `METRICS`.
        first, second: its value in both runs.
        questions: number of pairs; 0 where single questions are not known.
        interval: second minus first with its 95% interval; None where it cannot be had.
        p_value: of a permutation test; None likewise.
        p_holm: corrected across the sources of the table; None for averages.
        detectable: the smallest true difference that so many questions would show with 80% probability; None where
            nothing differs and that cannot be told.
        note: why something is missing, or "".
    """

    name: str
    ability: Ability
    is_average: bool
    metric: str
    first: float
    second: float
    questions: int
    interval: Interval | None = None
    p_value: float | None = None
    p_holm: float | None = None
    detectable: float | None = None
    note: str = ""

    @property
    def difference(self) -> float:
        """Second minus first."""
        return self.second - self.first


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        first, second: their labels.
        visual_gain: whether the first is the second's blind twin.
        rows: per metric the sources, then the averages.
        different: settings that differ and matter, allowed by the user or by the kind of comparison.
        noted: settings that differ and need no leave.
        unmatched: per source how many questions only the first and only the second has.
        alone: sources that only one of the two has, with whose they are.
    """

    first: str
    second: str
    visual_gain: bool
    rows: tuple[Difference, ...]
    different: tuple[Setting, ...] = ()
    noted: tuple[Setting, ...] = ()
    unmatched: Mapping[str, tuple[int, int]] | None = None
    alone: tuple[str, ...] = ()


def compare(
    first: CheckpointResult,
    second: CheckpointResult,
    rng: np.random.Generator,
    *,
    metrics: Sequence[str] = (),
    allow_different: bool = False,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compares two runs on the questions that both answered.

    A run and its blind twin may come in either order: the twin is taken as the first.

    Args:
        first: the baseline.
        second: the run compared with it.
        rng: source of resamples and permutations.
        metrics: names of metrics that are means over questions; `sds` and `acc`, or with a language model on one side
            `sds_bytes` and `acc_bytes`, without them.
        allow_different: compare in spite of other data, prompts or limits, on the questions that both have.
        resamples: number of bootstrap resamples and permutations.

    Raises:
        ResultsError: the runs differ in what must not differ and this was not allowed, have no source in common, or
            lack the scores of a metric; says what differs.
    """
    twins = are_twins(first, second)
    if twins and second.withheld:
        first, second = second, first
    shared = refuse_unless_comparable(first, second, allow_different)
    pairs = {source: paired(first.sources[source], second.sources[source]) for source in shared}
    chosen = tuple(metrics) or default_metrics(side for pair in pairs.values() for side in pair)
    labels = (first.label, second.label)
    rows = [row for metric in chosen for row in _of_metric(_Measured.of(pairs, metric, labels), rng, resamples)]
    return Comparison(
        first=first.label,
        second=second.label,
        visual_gain=twins,
        rows=tuple(rows),
        different=tuple(differing(first, second, shared)),
        noted=tuple(may_differ(first, second)),
        unmatched=unmatched(first, second, shared),
        alone=tuple(
            f"{source} (only {run.label})"
            for run, other in ((first, second), (second, first))
            for source in run.sources
            if source not in other.sources
        ),
    )


_Pair = tuple[SourceSamples, SourceSamples]


def default_metrics(parts: Iterable[SourceSamples]) -> tuple[str, str]:
    """SDS and accuracy, by bytes where one of these holds no means over tokens, as a language model's do not."""
    return ("sds", "acc") if all(available(part, "sds") for part in parts) else ("sds_bytes", "acc_bytes")


@dataclass(frozen=True)
class _Measured:
    """One metric, question by question, on the pairs of all sources."""

    metric: str
    pairs: Mapping[str, _Pair]
    values: Mapping[str, tuple[FloatArray, FloatArray]]

    @classmethod
    def of(cls, pairs: Mapping[str, _Pair], metric: str, labels: tuple[str, str]) -> _Measured:
        if metric not in METRICS or METRICS[metric].per_question is None:
            known = ", ".join(name for name, made in METRICS.items() if made.per_question)
            near = did_you_mean(metric, known.split(", "))
            raise ResultsError(f"{metric!r} cannot be compared question by question; these can: {known}.{near}")
        return cls(metric, pairs, {source: _values(pair, metric, labels) for source, pair in pairs.items()})

    def join(self, sources: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """(N,) values of both runs over these sources."""
        first, second = (np.concatenate([self.values[source][side] for source in sources]) for side in (0, 1))
        return first, second


def _of_metric(measured: _Measured, rng: np.random.Generator, resamples: int) -> list[Difference]:
    sources = [_difference(measured, [source], rng, resamples) for source in measured.pairs]
    averages = [
        replace(_difference(measured, average.sources, rng, resamples), name=average.name, is_average=True)
        for average in averages_of(first for first, _ in measured.pairs.values())
    ]
    return _with_holm(sources) + averages


def _with_holm(rows: list[Difference]) -> list[Difference]:
    """Rows with p-values corrected across those that have one."""
    p_values = {row.name: row.p_value for row in rows if row.p_value is not None}
    corrected = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return [replace(row, p_holm=float(corrected[row.name])) if row.name in corrected else row for row in rows]


def _values(pair: _Pair, metric: str, labels: tuple[str, str]) -> tuple[FloatArray, FloatArray]:
    first, second = per_question(pair[0], metric), per_question(pair[1], metric)
    if first is None or second is None:
        lacking = labels[0] if first is None else labels[1]
        raise ResultsError(
            f"{scores_missing(lacking, metric, [pair[0].source])} A stock lmms-eval model has no raw logits, lm-eval "
            "no numbers of tokens; try --metric sds_bytes."
        )
    return first, second


def _difference(measured: _Measured, sources: Sequence[str], rng: np.random.Generator, resamples: int) -> Difference:
    first, second = measured.join(sources)
    samples = [measured.pairs[source][0] for source in sources]
    weight = np.concatenate([question_weights(part) / len(sources) for part in samples])
    made = Difference(
        name=sources[0],
        ability=samples[0].ability,
        is_average=False,
        metric=measured.metric,
        first=float(first @ weight),
        second=float(second @ weight),
        questions=len(first),
    )
    clusters = np.concatenate([np.char.add(f"{part.source}/", part.image_id) for part in samples])
    strata, weights = strata_of_all(samples)
    try:
        error = clustered_standard_error(second - first, clusters, strata=strata, weights=weights)
        grouping: dict[str, Any] = {"strata": strata, "weights": weights, "rng": rng, "n_resamples": resamples}
        return replace(
            made,
            interval=paired_bootstrap(second, first, clusters, **grouping),
            p_value=permutation_p_value(second, first, clusters, **grouping),
            detectable=smallest_detectable_difference(error) if error > 0 else None,
        )
    except MetricError as problem:
        return replace(made, note=f"too few questions for an interval: {problem}")

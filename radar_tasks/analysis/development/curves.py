"""Runs of one experiment in order of training: the curves from which all of development is read.

The sources of an experiment are resampled independently; the curve of an ability is the unweighted mean of its sources'
curves, replicate by replicate, so that both agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np

from radar_metrics.curves import Curve, bootstrap_curve
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.analysis.settings import are_twins
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.errors import ResultsError
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.results import CheckpointResult, SourceSamples, TrainingRun
from radar_tasks.results.metrics import METRICS, available, per_question, question_weights, value
from radar_tasks.results.suites import averages_of

RESAMPLES = 2_000
HOW_TO_GIVE_STEPS = (
    "Name checkpoints like step-00200 or checkpoint-500, or give the steps in a file: --runs FILE.csv with the columns "
    "run and step."
)


@dataclass(frozen=True)
class Part:
    """A source, or the mean of an ability's sources, over training.

    Attributes:
        name: the source, or the ability.
        ability: perception or reasoning.
        curve: the metric over steps with its replicates.
        chance: the metric's value for a model that cannot tell the options apart; None where it has none (losses).
        questions: number of questions that all checkpoints answered.
        sources: what it is made from.
    """

    name: str
    ability: Ability
    curve: Curve
    chance: float | None
    questions: int
    sources: tuple[str, ...]


@dataclass(frozen=True)
class QuestionTable:
    """Single questions at some steps: `q_id`, `image_id`, `weights` in the source's headline (N,), `values` (S, N)."""

    q_id: np.ndarray
    image_id: np.ndarray
    weights: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class Trajectory:
    """One experiment over training.

    Attributes:
        name: of the experiment.
        runs: its checkpoints by step.
        metric: what the curves show, a name of `METRICS`.
        sources: by source.
        abilities: by ability.
        visual_gain: per source, SDS minus that of the blind twin at the last step that has one.
        notes: what was left out and why.
    """

    name: str
    runs: tuple[CheckpointResult, ...]
    metric: str
    sources: dict[str, Part]
    abilities: dict[Ability, Part]
    visual_gain: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> list[int]:
        """Training steps, increasing."""
        return [run.step or 0 for run in self.runs]

    def scores(self, ability: Ability, metric: str) -> FloatArray:
        """(S, N) numbers of single questions, those of all the ability's sources side by side."""
        parts = [
            _table([run.sources[source] for run in self.runs], metric) for source in self.abilities[ability].sources
        ]
        return np.concatenate(parts, axis=1)

    def question_table(self, source: str, steps: Sequence[int]) -> QuestionTable:
        """Numbers of the single questions of a source at these steps."""
        samples = [run.sources[source] for run in self.runs if run.step in steps]
        first = samples[0]
        return QuestionTable(first.q_id, first.image_id, question_weights(first), _table(samples, self.metric))

    def values(self, ability: Ability, metric: str) -> FloatArray | None:
        """(S,) another metric of the ability, without intervals; None where a checkpoint does not hold its scores."""
        sources = self.abilities[ability].sources
        if not all(available(run.sources[source], metric) for run in self.runs for source in sources):
            return None
        return np.array([np.mean([value(run.sources[source], metric) for source in sources]) for run in self.runs])


def trajectories(
    runs: Sequence[CheckpointResult], rng: np.random.Generator, metric: str = "sds", resamples: int = RESAMPLES
) -> tuple[list[Trajectory], list[str]]:
    """The experiments among these runs (none where no run has a step), and notes on runs that belong to none.

    Runs without images (blind) are no checkpoints of their own; they give the visual gain.

    Args:
        runs: from `radar_tasks.results.find_runs`.
        rng: source of the resamples.
        metric: a mean over questions.
        resamples: bootstrap replicates of every curve.

    Raises:
        ResultsError: two runs of an experiment have the same one, or they were scored on other data or
            in another way.
    """
    if metric not in METRICS or METRICS[metric].per_question is None:
        known = ", ".join(name for name, made in METRICS.items() if made.per_question)
        raise ResultsError(f"{metric!r} is no mean over questions; these are: {known}.")
    seen = [run for run in runs if not run.withheld]
    if not any(run.step is not None for run in seen):
        names = ", ".join(run.label for run in runs)
        return [], [f"the training steps cannot be told from the names ({names}). {HOW_TO_GIVE_STEPS}"]
    every, notes = training_runs(seen, at_least=1)
    _require_same_data([run for series in every for run in series.results])
    blind = [run for run in runs if run.withheld]
    bootstrap = _Bootstrap(rng, resamples)
    return [_trajectory(series, blind, metric, bootstrap) for series in every], notes


def chance_level(samples: SourceSamples, metric: str) -> float | None:
    """What a metric is when all options score alike; None for losses and other metrics without such a level."""
    if metric in {"sds_centred", "margin"}:
        return 0.0
    if not metric.startswith(("sds", "acc", "ppl_acc")):
        return None
    alike = [np.zeros(len(options)) for options in samples.options]
    return round(float(answer_probability(alike, samples.answer) @ question_weights(samples)), 12)


@dataclass(frozen=True)
class _Bootstrap:
    rng: np.random.Generator
    resamples: int


def _trajectory(
    series: TrainingRun, blind: Sequence[CheckpointResult], metric: str, bootstrap: _Bootstrap
) -> Trajectory:
    name, runs, notes = series.name, series.results, list(series.notes)
    lacking = [s for s in series.sources if not all(available(run.sources[s], metric) for run in runs)]
    if lacking:
        raise ResultsError(
            f"{name} holds no {metric} on {', '.join(lacking)}: the scores it is made from are not in its samples."
        )
    sources: dict[str, Part] = {}
    for source in series.sources:
        try:
            sources[source] = _source_part(runs, source, metric, bootstrap)
        except MetricError as problem:
            notes.append(f"{name}: {source} is left out, it has too few questions for an interval ({problem}).")
    if not sources:
        raise ResultsError(f"{name}: nothing to draw a curve of. {' '.join(notes)}")
    abilities = _abilities(sources)
    notes += [
        f"{name}: {ability} is the mean of {', '.join(part.sources)} only."
        for ability, part in abilities.items()
        if not any(set(average.sources) == set(part.sources) for average in averages_of(sources))
    ]
    gain = _visual_gain(runs, blind, sources)
    return Trajectory(name, runs, metric, sources, abilities, gain, tuple(notes))


def _source_part(runs: Sequence[CheckpointResult], source: str, metric: str, bootstrap: _Bootstrap) -> Part:
    samples = [run.sources[source] for run in runs]
    first = samples[0]
    table = _table(samples, metric)
    strata, weights = _strata(first)
    steps = [run.step or 0 for run in runs]
    spread: dict[str, Any] = {"strata": strata, "weights": weights, "n_resamples": bootstrap.resamples}
    curve = bootstrap_curve(steps, table, first.image_id, bootstrap.rng, **spread)
    exact = table @ question_weights(first)
    centred = Curve(curve.steps, exact, curve.replicates + (exact - curve.values))
    return Part(first.source, first.ability, centred, chance_level(first, metric), len(first), (first.source,))


def _strata(samples: SourceSamples) -> tuple[np.ndarray | None, dict[str, float] | None]:
    """Categories where the headline is their mean. Those with a single image are resampled together, as the spread of
    one alone cannot be known."""
    if not samples.by_category:
        return None, None
    labels = samples.category.astype(object)
    names, of = np.unique(samples.category, return_inverse=True)
    single = [len(np.unique(samples.image_id[of == k])) < 2 for k in range(len(names))]
    weights = {str(name): 1.0 for name, alone in zip(names, single, strict=True) if not alone}
    if any(single):
        together = "categories of one image"
        labels[np.isin(of, np.flatnonzero(single))] = together
        weights[together] = float(sum(single))
    return labels.astype(str), weights


def _abilities(sources: Mapping[str, Part]) -> dict[Ability, Part]:
    """The mean over a complete suite where there is one (M3-Bench before the sample), else over what is there."""
    complete = {average.ability: average.sources for average in reversed(averages_of(sources))}
    made: dict[Ability, Part] = {}
    for ability in ABILITIES:
        members = complete.get(ability) or tuple(s for s, part in sources.items() if part.ability == ability)
        if members:
            made[ability] = _mean_part(ability, [sources[s] for s in members])
    return made


def _mean_part(ability: Ability, parts: Sequence[Part]) -> Part:
    curves = [part.curve for part in parts]
    curve = Curve(
        curves[0].steps,
        np.mean([c.values for c in curves], axis=0),
        reduce(np.add, (c.replicates for c in curves)) / len(curves),
    )
    levels = [part.chance for part in parts if part.chance is not None]
    chance = float(np.mean(levels)) if len(levels) == len(parts) else None
    return Part(
        ability, ability, curve, chance, sum(p.questions for p in parts), tuple(s for p in parts for s in p.sources)
    )


def _table(samples: Sequence[SourceSamples], metric: str) -> FloatArray:
    rows = [per_question(part, metric) for part in samples]
    return np.array([row for row in rows if row is not None])


def _visual_gain(
    runs: Sequence[CheckpointResult], blind: Sequence[CheckpointResult], sources: Mapping[str, Part]
) -> dict[str, float]:
    """SDS minus that of the blind twin, at the last checkpoint that has one."""
    for run in reversed(runs):
        for twin in blind:
            if are_twins(run, twin) and (run.experiment, run.step) == (twin.experiment, twin.step):
                both = [s for s in sources if s in twin.sources and available(twin.sources[s], "sds")]
                seen = {s: value(run.sources[s], "sds") for s in both}
                unseen = {s: value(twin.sources[s], "sds") for s in both}
                return {s: (seen[s] or 0.0) - (unseen[s] or 0.0) for s in both}
    return {}


def _require_same_data(runs: Sequence[CheckpointResult]) -> None:
    versions: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        for source, data in run.data.items():
            versions[source][str(data.get("checksum"))].append(run.label)
    mixed = {source: of for source, of in versions.items() if len(of) > 1}
    if mixed:
        lines = [
            f"  {source}: " + "; ".join(f"{checksum[:12]} in {_some(names)}" for checksum, names in of.items())
            for source, of in mixed.items()
        ]
        raise ResultsError(
            "the runs were scored on other versions of the data and cannot be on one curve:\n"
            + "\n".join(lines)
            + "\nScore them again on one version, or give only results of one."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

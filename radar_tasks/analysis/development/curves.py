"""The curves of a training run: every source and ability over its checkpoints, with bootstrap replicates.

All of development is read from these. The sources of a training run are resampled independently; the curve of an
ability is the unweighted mean of its sources' curves, replicate by replicate, so that both agree.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from radar_metrics.curves import Curve
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_tasks.analysis.chance_level import chance_level
from radar_tasks.analysis.settings import are_twins
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult, SourceSamples, TrainingRun
from radar_tasks.results.metrics import (
    available,
    per_question,
    question_weights,
    require_mean_over_questions,
    scores_missing,
    value,
)
from radar_tasks.results.strata import resampled_headlines
from radar_tasks.results.suites import ability_sources, averages_of

RESAMPLES = 2_000
HOW_TO_GIVE_STEPS = (
    "Name checkpoints like step-00200 or checkpoint-500, or give the steps in a file: --runs FILE.csv with the columns "
    "run and step."
)


@dataclass(frozen=True)
class DevelopmentCurve:
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
class QuestionScores:
    """Single questions at some steps: `q_id`, `image_id`, `weights` in the source's headline (N,), `values` (S, N)."""

    q_id: np.ndarray
    image_id: np.ndarray
    weights: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class TrainingCurves:
    """The curves of one training run.

    Attributes:
        name: of the training run.
        results: its checkpoints' by step.
        metric: what the curves show, a name of `METRICS`.
        sources: by source.
        abilities: by ability.
        visual_gain: per source, SDS minus that of the blind twin at the last step that has one.
        notes: what was left out and why.
    """

    name: str
    results: tuple[CheckpointResult, ...]
    metric: str
    sources: dict[str, DevelopmentCurve]
    abilities: dict[Ability, DevelopmentCurve]
    visual_gain: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> list[int]:
        """Training steps, increasing."""
        return [run.step or 0 for run in self.results]

    def scores(self, ability: Ability) -> FloatArray:
        """(S, N) numbers of single questions, those of all the ability's sources side by side."""
        parts = [
            _scores([run.sources[source] for run in self.results], self.metric)
            for source in self.abilities[ability].sources
        ]
        return np.concatenate(parts, axis=1)

    def question_scores(self, source: str, steps: Sequence[int]) -> QuestionScores:
        """Numbers of the single questions of a source at these steps."""
        samples = [run.sources[source] for run in self.results if run.step in steps]
        first = samples[0]
        return QuestionScores(first.q_id, first.image_id, question_weights(first), _scores(samples, self.metric))

    def values(self, ability: Ability, metric: str) -> FloatArray | None:
        """(S,) another metric of the ability, without intervals; None where a checkpoint does not hold its scores."""
        if metric == self.metric:
            return self.abilities[ability].curve.values
        sources = self.abilities[ability].sources
        if not all(available(run.sources[source], metric) for run in self.results for source in sources):
            return None
        return np.array([np.mean([value(run.sources[source], metric) for source in sources]) for run in self.results])


def training_curves(
    runs: Sequence[CheckpointResult], rng: np.random.Generator, metric: str = "sds", resamples: int = RESAMPLES
) -> tuple[list[TrainingCurves], list[str]]:
    """The curves of the training runs among these results (none where no result has a step), and notes on the others.

    Results without images (blind) are no checkpoints of their own; they give the visual gain.

    Args:
        runs: from `radar_tasks.results.find_runs`.
        rng: source of the resamples.
        metric: a mean over questions.
        resamples: bootstrap replicates of every curve.

    Raises:
        ResultsError: two results of a training run have the same step, or they were scored on other data or
            in another way.
    """
    require_mean_over_questions(metric)
    seen = [run for run in runs if not run.withheld]
    if not any(run.step is not None for run in seen):
        names = ", ".join(run.label for run in runs)
        return [], [f"the training steps cannot be told from the names ({names}). {HOW_TO_GIVE_STEPS}"]
    trainings, notes = training_runs(seen, at_least=1)
    _require_same_data([run for training in trainings for run in training.results])
    blind = [run for run in runs if run.withheld]
    return [_training_curves(training, blind, metric, rng, resamples) for training in trainings], notes


def _training_curves(
    training: TrainingRun,
    blind: Sequence[CheckpointResult],
    metric: str,
    rng: np.random.Generator,
    resamples: int,
) -> TrainingCurves:
    name, runs, notes = training.name, training.results, list(training.notes)
    lacking = [s for s in training.sources if not all(available(run.sources[s], metric) for run in runs)]
    if lacking:
        raise ResultsError(scores_missing(name, metric, lacking))
    sources: dict[str, DevelopmentCurve] = {}
    for source in training.sources:
        try:
            sources[source] = _of_source(runs, source, metric, rng, resamples)
        except MetricError as problem:
            notes.append(f"{name}: {source} is left out, it has too few questions for an interval ({problem}).")
    if not sources:
        raise ResultsError(f"{name}: nothing to draw a curve of. {' '.join(notes)}")
    samples = [runs[0].sources[source] for source in sources]
    abilities = {a: _mean(a, [sources[s] for s in of]) for a, of in ability_sources(samples).items()}
    for ability, made in abilities.items():
        if not any(set(average.sources) == set(made.sources) for average in averages_of(samples)):
            notes.append(f"{name}: {ability} is the mean of {', '.join(made.sources)} only.")
        elif apart := [s for s, of in sources.items() if of.ability == ability and s not in made.sources]:
            notes.append(
                f"{name}: {ability} is the mean of the {len(made.sources)} sources of its suite; not in it: "
                f"{', '.join(apart)}."
            )
    return TrainingCurves(name, runs, metric, sources, abilities, _visual_gain(runs, blind, sources), tuple(notes))


def _of_source(
    runs: Sequence[CheckpointResult], source: str, metric: str, rng: np.random.Generator, resamples: int
) -> DevelopmentCurve:
    samples = [run.sources[source] for run in runs]
    first = samples[0]
    steps = np.array([run.step or 0 for run in runs], dtype=np.float64)
    curve = Curve(steps, *resampled_headlines(first, _scores(samples, metric), rng, resamples))
    return DevelopmentCurve(
        first.source, first.ability, curve, chance_level(first, metric), len(first), (first.source,)
    )


def _mean(ability: Ability, members: Sequence[DevelopmentCurve]) -> DevelopmentCurve:
    curves = [member.curve for member in members]
    curve = Curve(
        curves[0].steps,
        np.mean([c.values for c in curves], axis=0),
        reduce(np.add, (c.replicates for c in curves)) / len(curves),
    )
    levels = [member.chance for member in members if member.chance is not None]
    chance = float(np.mean(levels)) if len(levels) == len(members) else None
    questions = sum(member.questions for member in members)
    return DevelopmentCurve(ability, ability, curve, chance, questions, tuple(member.name for member in members))


def _scores(samples: Sequence[SourceSamples], metric: str) -> FloatArray:
    rows = [per_question(part, metric) for part in samples]
    return np.array([row for row in rows if row is not None])


def _visual_gain(
    runs: Sequence[CheckpointResult], blind: Sequence[CheckpointResult], sources: Mapping[str, DevelopmentCurve]
) -> dict[str, float]:
    """SDS minus that of the blind twin, at the last checkpoint that has one."""
    for run in reversed(runs):
        for twin in blind:
            if are_twins(run, twin) and (run.experiment, run.step) == (twin.experiment, twin.step):
                gains: dict[str, float] = {}
                for source in sources:
                    seen = value(run.sources[source], "sds")
                    unseen = value(twin.sources[source], "sds") if source in twin.sources else None
                    if seen is not None and unseen is not None:
                        gains[source] = seen - unseen
                return gains
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
            "the runs were scored on different versions of the data and cannot be on one curve:\n"
            + "\n".join(lines)
            + "\nScore them again on one version, or give only results of one version."
        )


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")

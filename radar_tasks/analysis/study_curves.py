"""A study's curves: several training runs on the same questions, whose replicates share the drawn questions.

What runs have in common (hard questions, a lucky draw of pictures) then cancels in every difference between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_tasks.analysis.chance_level import chance_level
from radar_tasks.analysis.paired_questions import refuse_unless_comparable
from radar_tasks.analysis.training_amount import IN_STEPS, TrainingAmount
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import SourceSamples, TrainingRun
from radar_tasks.results.metrics import question_matrix, require_mean_over_questions, scores_missing
from radar_tasks.results.strata import resampled_headlines
from radar_tasks.results.suites import ability_sources

RESAMPLES = 2_000


@dataclass(frozen=True)
class StudyCurve:
    """A source, or the mean of an ability's sources, over the matched amounts of training of R runs.

    Attributes:
        name: the source, or the ability.
        ability: perception or reasoning.
        chance: the metric for a model that cannot tell the options apart; None where it has no such level.
        questions: number of questions that all runs answered.
        values: (R, S).
        replicates: (B, R, S); a replicate draws the same questions for all runs and amounts.
    """

    name: str
    ability: Ability
    chance: float | None
    questions: int
    values: FloatArray
    replicates: FloatArray

    @property
    def of_ability(self) -> bool:
        """Whether it is an ability's mean."""
        return self.name == self.ability


@dataclass(frozen=True)
class StudyCurves:
    """The curves of a study, abilities' means apart from sources."""

    abilities: tuple[StudyCurve, ...]
    sources: tuple[StudyCurve, ...]

    @property
    def curves(self) -> tuple[StudyCurve, ...]:
        """Abilities first, then sources."""
        return self.abilities + self.sources


@dataclass(frozen=True)
class StudyScores:
    """Single questions of a source in all runs: `values` (R, S, N), and `asked`, the N questions as the first run had
    them."""

    asked: SourceSamples
    values: FloatArray


@dataclass(frozen=True)
class Study:
    """Training runs at the amounts of training and on the questions that all of them have.

    Attributes:
        runs: the training runs.
        measured_by: `step`, or what amounts are of.
        amounts: (S,) increasing.
        reading: of each run (S, S_run), how its checkpoints make up these amounts.
        sources: those that every checkpoint of every run answered.
    """

    runs: tuple[TrainingRun, ...]
    measured_by: str
    amounts: FloatArray
    reading: tuple[FloatArray, ...]
    sources: tuple[str, ...]

    @property
    def between_checkpoints(self) -> tuple[int, ...]:
        """(R,) of each run at how many of the amounts it has no checkpoint and is read on the straight line between."""
        return tuple(int(((rows > 0).sum(axis=1) > 1).sum()) for rows in self.reading)

    @property
    def members(self) -> dict[Ability, tuple[str, ...]]:
        """The sources that stand for each ability."""
        return ability_sources(self.runs[0].results[0].sources[source] for source in self.sources)

    def scores(self, source: str, metric: str) -> StudyScores:
        """Numbers of the single questions of a source that all runs answered, in the order of their q_id.

        Raises:
            ResultsError: no question in common, a metric that is not a mean over questions, or a run does not hold its
                scores.
        """
        require_mean_over_questions(metric)
        every = [run.results[0].sources[source] for run in self.runs]
        common = reduce(np.intersect1d, [samples.q_id for samples in every])
        if not len(common):
            raise ResultsError(f"{source}: the runs have no question in common.")
        rows = [_rows(samples, common) for samples in every]
        tables = [
            weights @ _scores(run, source, metric)[:, mine]
            for run, weights, mine in zip(self.runs, self.reading, rows, strict=True)
        ]
        return StudyScores(every[0].take(rows[0]), np.stack(tables))

    def curves(self, rng: np.random.Generator, metric: str = "sds", resamples: int = RESAMPLES) -> StudyCurves:
        """The curves of all sources and abilities.

        Args:
            rng: source of the resamples.
            metric: a mean over questions.
            resamples: bootstrap replicates.

        Raises:
            ResultsError: as `scores`, or a source with too few questions for an interval.
        """
        sources = {source: source_curve(self.scores(source, metric), metric, rng, resamples) for source in self.sources}
        return StudyCurves(
            abilities=tuple(ability_curve(ability, [sources[s] for s in of]) for ability, of in self.members.items()),
            sources=tuple(sources.values()),
        )


def study_of(runs: Sequence[TrainingRun], amount: TrainingAmount = IN_STEPS, *, allow_different: bool = False) -> Study:
    """Runs where they can be compared.

    Amounts of training are matched where every run has a checkpoint. Where they share none, the first run's are taken
    that lie between the first and the last checkpoint of every other run, whose questions are read on the straight line
    between their neighbouring checkpoints.

    Args:
        runs: training runs, one or more.
        amount: what training is measured by.
        allow_different: compare in spite of other data, prompts or limits, on the questions that all have.

    Raises:
        ResultsError: runs on other data or questions, asked otherwise, or without a source or a stretch of training in
            common.
    """
    for other in runs[1:]:
        refuse_unless_comparable(runs[0].results[0], other.results[0], allow_different)
    amounts, reading = _matched(runs, amount)
    sources = tuple(source for source in runs[0].sources if all(source in other.sources for other in runs))
    if not sources:
        names = ", ".join(run.name for run in runs)
        raise ResultsError(f"{names}: no source that every checkpoint of every run answered.")
    return Study(tuple(runs), amount.name, amounts, tuple(reading), sources)


def source_curve(scores: StudyScores, metric: str, rng: np.random.Generator, resamples: int = RESAMPLES) -> StudyCurve:
    """The curve of one source. Raises `ResultsError` where it has too few questions for an interval."""
    asked, shape = scores.asked, scores.values.shape[:2]
    try:
        values, replicates = resampled_headlines(asked, scores.values.reshape(-1, len(asked)), rng, resamples)
    except MetricError as problem:
        raise ResultsError(f"{asked.source}: too few questions for an interval: {problem}") from None
    return StudyCurve(
        name=asked.source,
        ability=asked.ability,
        chance=chance_level(asked, metric),
        questions=len(asked),
        values=values.reshape(shape),
        replicates=replicates.reshape(resamples, *shape),
    )


def over_training(amounts: FloatArray) -> FloatArray:
    """(S,) weights of the mean over training, the integral by trapezoids divided by the span."""
    if len(amounts) == 1:
        return np.ones(1)
    return np.asarray(np.trapezoid(np.eye(len(amounts)), amounts, axis=1) / (amounts[-1] - amounts[0]))


def _matched(runs: Sequence[TrainingRun], amount: TrainingAmount) -> tuple[FloatArray, list[FloatArray]]:
    """Amounts at which all runs can be compared (S,), and for each run the weight of its checkpoints (S, S_run)."""
    places = [np.array([amount.at(result.experiment, result.step or 0) for result in run.results]) for run in runs]
    for run, of in zip(runs, places, strict=True):
        if (np.diff(of) <= 0).any():
            raise ResultsError(f"{run.name}: {amount.name} does not grow from checkpoint to checkpoint: {of.tolist()}.")
    shared = reduce(np.intersect1d, places)
    # Untrained weights alone are no ground for a comparison of trainings.
    if not (shared > 0).any():
        low, high = max(of[0] for of in places), min(of[-1] for of in places)
        shared = places[0][(places[0] >= low) & (places[0] <= high)]
    if not len(shared):
        spans = "; ".join(f"{run.name} {of[0]:,g} to {of[-1]:,g}" for run, of in zip(runs, places, strict=True))
        raise ResultsError(f"these runs have no {amount.name} in common at which to compare them: {spans}.")
    return shared, [_weights(shared, of) for of in places]


def _weights(at: FloatArray, places: FloatArray) -> FloatArray:
    """(S, S_run) weights that read a run at these amounts on the line between its neighbouring checkpoints."""
    return np.stack([np.interp(at, places, unit) for unit in np.eye(len(places))], axis=1)


def _rows(samples: SourceSamples, common: np.ndarray) -> np.ndarray:
    """Where a run has these questions: runs may list them in another order."""
    order = np.argsort(samples.q_id)
    return np.asarray(order[np.searchsorted(samples.q_id, common, sorter=order)])


def _scores(run: TrainingRun, source: str, metric: str) -> FloatArray:
    scores = question_matrix(run, source, metric)
    if scores is None:
        raise ResultsError(scores_missing(run.name, metric, [source]))
    return scores


def ability_curve(ability: Ability, members: Sequence[StudyCurve]) -> StudyCurve:
    """The unweighted mean of an ability's sources, replicate by replicate."""
    levels = [member.chance for member in members if member.chance is not None]
    return StudyCurve(
        name=ability,
        ability=ability,
        chance=float(np.mean(levels)) if len(levels) == len(members) else None,
        questions=sum(member.questions for member in members),
        values=np.mean([member.values for member in members], axis=0),
        replicates=reduce(np.add, (member.replicates for member in members)) / len(members),
    )

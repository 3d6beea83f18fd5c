"""A study's curves: several training runs on the same questions, whose replicates share the drawn questions.

What runs have in common (hard questions, a lucky draw of pictures) then cancels in every difference between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from radar_metrics.clusters import bootstrap_means, group, stratified_mean
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_tasks.analysis.chance_level import chance_level
from radar_tasks.analysis.paired_questions import refuse_unless_comparable
from radar_tasks.analysis.training_amount import IN_STEPS, TrainingAmount
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import SourceSamples, TrainingRun
from radar_tasks.results.metrics import question_matrix, question_weights
from radar_tasks.results.strata import strata_of
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
    """The curves of several training runs at the amounts of training where they can be compared.

    Attributes:
        runs: the training runs.
        metric: a name of `METRICS`.
        measured_by: `step`, or what amounts are of.
        amounts: (S,) increasing.
        between_checkpoints: (R,) of each run at how many of these amounts it had no checkpoint and was read on the
            straight line between two.
        abilities, sources: the curves, abilities' means apart.
    """

    runs: tuple[TrainingRun, ...]
    metric: str
    measured_by: str
    amounts: FloatArray
    between_checkpoints: tuple[int, ...]
    abilities: tuple[StudyCurve, ...]
    sources: tuple[StudyCurve, ...]

    @property
    def curves(self) -> tuple[StudyCurve, ...]:
        """Abilities first, then sources."""
        return self.abilities + self.sources


def study_curves(
    runs: Sequence[TrainingRun],
    rng: np.random.Generator,
    metric: str = "sds",
    *,
    amount: TrainingAmount = IN_STEPS,
    allow_different: bool = False,
    resamples: int = RESAMPLES,
) -> StudyCurves:
    """The curves of runs on the questions and at the amounts of training that all of them have.

    Amounts are matched where every run has a checkpoint. Where they share none, the first run's are taken that lie
    between the first and the last checkpoint of every other run, whose questions are read on the straight line between
    their neighbouring checkpoints.

    Args:
        runs: training runs, one or more.
        rng: source of the resamples.
        metric: a mean over questions.
        amount: what training is measured by.
        allow_different: compare in spite of other data, prompts or limits, on the questions that all have.
        resamples: bootstrap replicates.

    Raises:
        ResultsError: runs on other data or questions, asked otherwise, without a source or a stretch of training in
            common, or without the scores of the metric.
    """
    for other in runs[1:]:
        refuse_unless_comparable(runs[0].results[0], other.results[0], allow_different)
    at, reading = _matched(runs, amount)
    shared = [source for source in runs[0].sources if all(source in other.sources for other in runs)]
    sources = {}
    for source in shared:
        try:
            sources[source] = _of_source(source, metric, list(zip(runs, reading, strict=True)), rng, resamples)
        except MetricError as problem:
            raise ResultsError(f"{source}: too few questions for an interval: {problem}") from None
    if not sources:
        names = ", ".join(run.name for run in runs)
        raise ResultsError(f"{names}: no source that every checkpoint of every run answered.")
    members = ability_sources(runs[0].results[0].sources[source] for source in sources)
    return StudyCurves(
        runs=tuple(runs),
        metric=metric,
        measured_by=amount.name,
        amounts=at,
        between_checkpoints=tuple(int(((rows > 0).sum(axis=1) > 1).sum()) for rows in reading),
        abilities=tuple(_mean(ability, [sources[s] for s in of]) for ability, of in members.items()),
        sources=tuple(sources.values()),
    )


def _matched(runs: Sequence[TrainingRun], amount: TrainingAmount) -> tuple[FloatArray, list[FloatArray]]:
    """Amounts at which all runs can be compared (S,), and for each run the weight of its checkpoints (S, S_run)."""
    places = [np.array([amount.at(run.name, result.step or 0) for result in run.results]) for run in runs]
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
        raise ResultsError(f"nowhere can these runs be compared by {amount.name}: {spans}.")
    return shared, [_weights(shared, of) for of in places]


def _weights(at: FloatArray, places: FloatArray) -> FloatArray:
    """(S, S_run) weights that read a run at these amounts on the line between its neighbouring checkpoints."""
    return np.stack([np.interp(at, places, unit) for unit in np.eye(len(places))], axis=1)


def _of_source(
    source: str,
    metric: str,
    runs: Sequence[tuple[TrainingRun, FloatArray]],
    rng: np.random.Generator,
    resamples: int,
) -> StudyCurve:
    every = [run.results[0].sources[source] for run, _ in runs]
    common = reduce(np.intersect1d, [samples.q_id for samples in every])
    if not len(common):
        raise ResultsError(f"{source}: the runs have no question in common.")
    # Rows of the common questions in the order of their q_id, run by run: runs may list them otherwise.
    rows = [_rows(samples, common) for samples in every]
    first = every[0].take(rows[0])
    scores = np.stack(
        [weights @ _scores(run, source, metric)[:, mine] for (run, weights), mine in zip(runs, rows, strict=True)]
    )
    table = scores.reshape(-1, len(common))
    labels, weights = strata_of(first)
    strata = group(table, first.image_id, labels, weights)
    exact = table @ question_weights(first)
    # With categories of one image resampled together the bootstrap's mean is another weighting of them: its spread is
    # kept and moved to the headline.
    drawn = bootstrap_means(strata, rng, resamples) + (exact - stratified_mean(strata))
    shape = scores.shape[:2]
    return StudyCurve(
        name=source,
        ability=first.ability,
        chance=chance_level(first, metric),
        questions=len(common),
        values=exact.reshape(shape),
        replicates=drawn.reshape(resamples, *shape),
    )


def _rows(samples: SourceSamples, common: np.ndarray) -> np.ndarray:
    order = np.argsort(samples.q_id)
    return np.asarray(order[np.searchsorted(samples.q_id, common, sorter=order)])


def _scores(run: TrainingRun, source: str, metric: str) -> FloatArray:
    scores = question_matrix(run, source, metric)
    if scores is None:
        raise ResultsError(
            f"{run.name} holds no {metric} on {source}: the scores it is made from are not in its samples."
        )
    return scores


def _mean(ability: Ability, members: Sequence[StudyCurve]) -> StudyCurve:
    levels = [member.chance for member in members if member.chance is not None]
    return StudyCurve(
        name=ability,
        ability=ability,
        chance=float(np.mean(levels)) if len(levels) == len(members) else None,
        questions=sum(member.questions for member in members),
        values=np.mean([member.values for member in members], axis=0),
        replicates=reduce(np.add, (member.replicates for member in members)) / len(members),
    )

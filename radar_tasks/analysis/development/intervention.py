"""What a change of training did: two training runs that part at a step, question by question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.curves import Curve, bootstrap_curve
from radar_metrics.development import Intervention, intervention
from radar_metrics.errors import MetricError
from radar_tasks.analysis.development.curves import TrainingCurves
from radar_tasks.errors import ResultsError
from radar_tasks.questions import ABILITIES, Ability


@dataclass(frozen=True)
class InterventionPoint:
    """Changed run minus unchanged run at one checkpoint after the parting; the band holds the whole curve at 95 %."""

    ability: Ability
    step: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class InterventionEffect:
    """What the change did to one ability.

    Attributes:
        ability: perception or reasoning.
        unchanged, changed: the training runs.
        parting: the last step that they share.
        last_difference, low, high: difference at the last checkpoint with its band.
        onset: first step from which the band leaves 0 to the end; None if never.
    """

    ability: Ability
    unchanged: str
    changed: str
    parting: int
    last_difference: float
    low: float
    high: float
    onset: float | None


def interventions(
    trainings: Sequence[TrainingCurves], parting: int, rng: np.random.Generator
) -> tuple[list[InterventionPoint], list[InterventionEffect]]:
    """Points and effects of the abilities that both training runs have; the unchanged run comes first.

    Raises:
        ResultsError: not two training runs, nothing in common, or no checkpoint after the parting.
    """
    if len(trainings) != 2:
        names = ", ".join(training.name for training in trainings)
        raise ResultsError(f"a parting step needs two experiments, the unchanged one first; here: {names}.")
    unchanged, changed = trainings
    points: list[InterventionPoint] = []
    effects: list[InterventionEffect] = []
    for ability in ABILITIES:
        if ability not in unchanged.abilities or ability not in changed.abilities:
            continue
        try:
            found = intervention(_difference(unchanged, changed, ability, rng), parting)
        except MetricError as problem:
            raise ResultsError(f"{unchanged.name} and {changed.name}: {problem}") from None
        points += _points(ability, found)
        effects.append(
            InterventionEffect(
                ability=ability,
                unchanged=unchanged.name,
                changed=changed.name,
                parting=parting,
                last_difference=float(found.difference[-1]),
                low=float(found.band.low[-1]),
                high=float(found.band.high[-1]),
                onset=found.onset,
            )
        )
    return points, effects


def _points(ability: Ability, found: Intervention) -> list[InterventionPoint]:
    return [
        InterventionPoint(ability, int(step), float(value), float(low), float(high))
        for step, value, low, high in zip(found.steps, found.difference, found.band.low, found.band.high, strict=True)
    ]


def _difference(
    unchanged: TrainingCurves, changed: TrainingCurves, ability: Ability, rng: np.random.Generator
) -> Curve:
    """Mean over the ability's sources of the per-question differences, at the steps that both have."""
    steps = [step for step in unchanged.steps if step in changed.steps]
    if not steps:
        raise ResultsError(f"{unchanged.name} and {changed.name} have no step in common.")
    sources = [s for s in unchanged.abilities[ability].sources if s in changed.sources]
    if not sources:
        raise ResultsError(f"{unchanged.name} and {changed.name} have no {ability} source in common.")
    curves = [_source_difference(unchanged, changed, source, steps, rng) for source in sources]
    return Curve(
        curves[0].steps,
        np.mean([c.values for c in curves], axis=0),
        np.mean([c.replicates for c in curves], axis=0),
    )


def _source_difference(
    unchanged: TrainingCurves, changed: TrainingCurves, source: str, steps: Sequence[int], rng: np.random.Generator
) -> Curve:
    first = unchanged.question_scores(source, steps)
    second = changed.question_scores(source, steps)
    common, rows, others = np.intersect1d(first.q_id, second.q_id, return_indices=True)
    if len(common) == 0:
        raise ResultsError(f"{source}: {unchanged.name} and {changed.name} have no question in common.")
    weights = first.weights[rows] / first.weights[rows].mean()
    differences = (second.values[:, others] - first.values[:, rows]) * weights
    resamples = len(unchanged.sources[source].curve.replicates)
    return bootstrap_curve(steps, differences, first.image_id[rows], rng, n_resamples=resamples)

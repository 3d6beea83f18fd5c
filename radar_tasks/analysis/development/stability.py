"""How many questions are enough: curves from random subsets of the questions of an ability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radar_metrics.stability import SubsetCurves, enough_questions, subset_curves
from radar_tasks.analysis.development.curves import TrainingCurves
from radar_tasks.questions import Ability

SUBSET_SIZES = (50, 100, 200, 400, 800, 1600, 3200)
_SUBSETS = 50
_SUBSETS_DRAWN = 12


@dataclass(frozen=True)
class SubsetPoint:
    """One random subset of an ability's questions at one checkpoint.

    Attributes:
        run, ability: whose questions.
        size: of the subset.
        subset: which of the subsets of this size, from 0.
        step: of the checkpoint.
        value: mean over the subset.
        whole: mean over all questions.
    """

    run: str
    ability: Ability
    size: int
    subset: int
    step: int
    value: float
    whole: float


@dataclass(frozen=True)
class SubsetAgreement:
    """Subsets of one size.

    Attributes:
        run, ability, size: of what, and how large.
        spread: standard deviation between subsets, mean over checkpoints.
        agreement: Kendall's tau of a subset's order of the checkpoints with that of all questions, mean over subsets.
        enough: of all sizes, the smallest from which on the agreement is at least 0.9; None where none is.
    """

    run: str
    ability: Ability
    size: int
    spread: float
    agreement: float
    enough: int | None


def subsets_of(training: TrainingCurves, ability: Ability, rng: np.random.Generator) -> tuple[SubsetCurves, ...]:
    """Subsets of several sizes, the last one all questions; none with a single checkpoint."""
    if len(training.steps) < 2:
        return ()
    scores = training.scores(ability)
    questions = scores.shape[1]
    sizes = [size for size in SUBSET_SIZES if size <= questions / 2] + [questions]
    return tuple(subset_curves(scores, sizes, rng, _SUBSETS))


def subset_points(training: TrainingCurves, ability: Ability, subsets: tuple[SubsetCurves, ...]) -> list[SubsetPoint]:
    """What a chart draws: some subsets of each size below that of all questions."""
    if not subsets:
        return []
    whole = subsets[-1].curves.mean(axis=0)
    return [
        SubsetPoint(training.name, ability, subset.size, s, step, float(curve[k]), float(whole[k]))
        for subset in subsets[:-1]
        for s, curve in enumerate(subset.curves[:_SUBSETS_DRAWN])
        for k, step in enumerate(training.steps)
    ]


def subset_agreements(run: str, ability: Ability, subsets: tuple[SubsetCurves, ...]) -> list[SubsetAgreement]:
    """A row per size."""
    enough = enough_questions(subsets) if subsets else None
    return [SubsetAgreement(run, ability, s.size, s.spread, s.agreement, enough) for s in subsets]

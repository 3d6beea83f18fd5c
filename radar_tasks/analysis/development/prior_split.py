"""What the text alone gives and what the picture adds, over a training; whether a fall was of sight or of the prior.

SDS = sds_blind + visual_gain at every checkpoint: what the model says of the options without the picture, and what the
picture changes about it. Both need results with `prior=…`.

A fall of SDS is told apart by the metric without the prior (`sds_free`, or `sds_pmi` where options do not repeat): what
did not fall there was a prior that drifted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radar_metrics.curves import Curve, percentile_interval, pointwise_band
from radar_metrics.development import Fall
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.curves import DevelopmentCurve, TrainingCurves, training_curves
from radar_tasks.analysis.development.growth import Growth
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult

Cause = Literal["prior", "sight", "both"]

KEPT_SIGHT = 0.5
"""A fall of which less than this part is left without the prior, while that can be told from 0, has both causes."""


@dataclass(frozen=True)
class PriorSplitPoint:
    """SDS of one source or ability at one checkpoint, split in two.

    Attributes:
        run, ability, source: whose it is; `source` is the ability's name for its mean.
        step: training step of the checkpoint.
        text: SDS without the picture, with its pointwise 95 % interval.
        sight: SDS minus that: what the picture adds.
        chance: SDS of a model that cannot tell the options apart.
    """

    run: str
    ability: Ability
    source: str
    step: int
    text: Interval
    sight: Interval
    chance: float | None

    @property
    def of_ability(self) -> bool:
        """Whether it is an ability's mean."""
        return self.source == self.ability


@dataclass(frozen=True)
class FallCause:
    """Why SDS of a source or ability fell on the way.

    Attributes:
        run, ability, source: whose fall it is.
        metric: the metric without the prior.
        fall: of SDS, with its steps.
        without_prior: change of that metric between the same steps, with its 95 % interval.
        cause: `prior` where the metric without it cannot be said to have fallen; `sight` where that fell by half as
            much or more; else `both`.
    """

    run: str
    ability: Ability
    source: str
    metric: str
    fall: Fall
    without_prior: Interval
    cause: Cause


def prior_split(runs: Sequence[CheckpointResult], rng: np.random.Generator) -> list[PriorSplitPoint]:
    """The split at every checkpoint whose result holds scores without the picture; empty where none does."""
    asked = _with_blind_scores(runs)
    if not asked:
        return []
    text, _ = training_curves(asked, rng, "sds_blind")
    sight, _ = training_curves(asked, rng, "visual_gain")
    return [point for of_text, of_sight in zip(text, sight, strict=True) for point in _points(of_text, of_sight)]


def fall_causes(
    growth: Sequence[Growth], runs: Sequence[CheckpointResult], rng: np.random.Generator
) -> list[FallCause]:
    """The cause of every fall of SDS for which a metric without the prior can be had."""
    fallen = [row for row in growth if row.fall is not None]
    if not fallen:
        return []
    found: dict[tuple[str, str], tuple[str, DevelopmentCurve]] = {}
    # The options' own texts say more exactly what they are worth to the model than one blind question does, for a model
    # that was never trained on text without pictures at least: so they go first where a vocabulary is closed.
    for metric in ("sds_pmi", "sds_free"):
        try:
            free, _ = training_curves(runs, rng, metric)
        except ResultsError:  # not asked blind, or options that stand under one question only
            continue
        found |= {(training.name, curve.name): (metric, curve) for training in free for curve in _all_curves(training)}
    return [
        _cause(row, row.fall, *found[row.run, row.source])
        for row in fallen
        if row.fall is not None and (row.run, row.source) in found
    ]


def _cause(row: Growth, fall: Fall, metric: str, curve: DevelopmentCurve) -> FallCause:
    change = _change(curve.curve, fall.start, fall.end)
    share = change.estimate / fall.change.estimate
    cause: Cause = "prior" if change.high >= 0 else "sight" if share >= KEPT_SIGHT else "both"
    return FallCause(row.run, row.ability, row.source, metric, fall, change, cause)


def _change(curve: Curve, start: float, end: float) -> Interval:
    """Between two steps, from the replicates of both: they are resamples of the same questions."""
    first, last = (int(np.flatnonzero(curve.steps == step)[0]) for step in (start, end))
    return percentile_interval(
        float(curve.values[last] - curve.values[first]), curve.replicates[:, last] - curve.replicates[:, first], 0.95
    )


def _points(text: TrainingCurves, sight: TrainingCurves) -> Iterator[PriorSplitPoint]:
    added = {curve.name: curve.curve for curve in _all_curves(sight)}
    for curve in _all_curves(text):
        if curve.name not in added:
            continue
        values = zip(_intervals(curve.curve), _intervals(added[curve.name]), text.steps, strict=True)
        for of_text, of_sight, step in values:
            yield PriorSplitPoint(text.name, curve.ability, curve.name, step, of_text, of_sight, curve.chance)


def _intervals(curve: Curve) -> list[Interval]:
    band = pointwise_band(curve)
    return [
        Interval(float(value), float(low), float(high))
        for value, low, high in zip(curve.values, band.low, band.high, strict=True)
    ]


def _all_curves(training: TrainingCurves) -> list[DevelopmentCurve]:
    return [*training.abilities.values(), *training.sources.values()]


def _with_pictures(runs: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    return [run for run in runs if not run.withheld and run.step is not None]


def _with_blind_scores(runs: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    return [
        run
        for run in _with_pictures(runs)
        if all(samples.logprob_blind is not None for samples in run.sources.values())
    ]

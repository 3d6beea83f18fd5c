"""A curve's points with their intervals, as charts and tables take them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from radar_metrics.curves import pointwise_band
from radar_tasks.analysis.development.curves import DevelopmentCurve, TrainingCurves
from radar_tasks.questions import Ability


@dataclass(frozen=True)
class CurvePoint:
    """One source or ability of one training run at one checkpoint.

    Attributes:
        run: the training run.
        ability: perception or reasoning.
        step: training step of the checkpoint.
        value: the metric, with `low` and `high`, the ends of its 95 % interval.
        chance: the metric for a model that cannot tell the options apart; None where it has no such level.
        source: the source; the ability's name for its mean.
        questions: number of questions that the value rests on.
    """

    run: str
    ability: Ability
    step: int
    value: float
    low: float
    high: float
    chance: float | None = None
    source: str = ""
    questions: int = 0


def curve_points(training: TrainingCurves, curves: Iterable[DevelopmentCurve]) -> list[CurvePoint]:
    """A point a curve and checkpoint, with its pointwise 95 % interval."""
    points = []
    for of in curves:
        band = pointwise_band(of.curve)
        for k, step in enumerate(training.steps):
            points.append(
                CurvePoint(
                    run=training.name,
                    ability=of.ability,
                    source=of.name,
                    step=step,
                    value=float(of.curve.values[k]),
                    low=float(band.low[k]),
                    high=float(band.high[k]),
                    chance=of.chance,
                    questions=of.questions,
                )
            )
    return points


def last_points(points: Iterable[CurvePoint]) -> dict[tuple[str, Ability], CurvePoint]:
    """The last of `curve_points` of each run and ability."""
    return {(point.run, point.ability): point for point in points}

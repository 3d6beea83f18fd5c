"""How far perception runs ahead of reasoning in a training run."""

from __future__ import annotations

from dataclasses import dataclass

from radar_metrics.curves import pointwise_band
from radar_metrics.development import Asymmetry, asymmetry
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.curves import TrainingCurves


@dataclass(frozen=True)
class LeadPoint:
    """Chance-centred perception minus reasoning at one checkpoint of a training run, with its 95 % interval."""

    run: str
    step: int
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Lead:
    """Perception's lead over a whole training run.

    Attributes:
        run: the training run.
        area: mean of the lead over training, with its 95 % interval.
        perception_emergence, reasoning_emergence: first step from which each stays above chance, or None.
        lag: reasoning's emergence minus perception's in steps, or None where either never emerged.
        first_step: step of the first checkpoint; what is above chance there emerged then or before.
    """

    run: str
    area: Interval
    perception_emergence: float | None
    reasoning_emergence: float | None
    lag: float | None
    first_step: int

    @property
    def lag_is_bound(self) -> bool:
        """Whether the lag may be longer: the earlier ability was above chance at the first checkpoint already."""
        return self.first_step > 0 and self.first_step in (self.perception_emergence, self.reasoning_emergence)


def asymmetry_of(training: TrainingCurves) -> Asymmetry | None:
    """The lead as a curve; None with one checkpoint, one ability, or a metric without a chance level."""
    perception, reasoning = training.abilities.get("perception"), training.abilities.get("reasoning")
    if len(training.steps) < 2 or perception is None or reasoning is None:
        return None
    if perception.chance is None or reasoning.chance is None:
        return None
    return asymmetry(perception.curve, reasoning.curve, perception.chance, reasoning.chance)


def lead_points(run: str, found: Asymmetry) -> list[LeadPoint]:
    """A point a checkpoint."""
    band = pointwise_band(found.curve)
    return [
        LeadPoint(run, int(step), float(value), float(low), float(high))
        for step, value, low, high in zip(found.curve.steps, found.curve.values, band.low, band.high, strict=True)
    ]


def lead_of(run: str, found: Asymmetry) -> Lead:
    """The lead over the whole training run."""
    first_step = int(found.curve.steps[0])
    return Lead(run, found.area, found.perception_emergence, found.reasoning_emergence, found.lag, first_step)

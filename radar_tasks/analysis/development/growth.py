"""When a source or an ability emerges, how fast it grows, when it stops, and whether it fell on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from radar_metrics.development import Fall, changes_of, emergence, fall, growth_rate, log_growth_rate, saturation
from radar_metrics.errors import MetricError
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.curves import DevelopmentCurve, TrainingCurves
from radar_tasks.questions import Ability


@dataclass(frozen=True)
class Growth:
    """One source or ability of one training run from its first checkpoint to its last.

    Definitions with formulas: `radar_metrics.development`. None is a "never" by the rule of its definition, or a number
    that so few checkpoints cannot give.

    Attributes:
        run, ability, source: whose it is; `source` is the ability's name for its mean.
        first, last: the metric at the first and the last checkpoint.
        chance: the metric for a model that cannot tell the options apart.
        emergence: first step from which it stays above chance.
        saturation: first step after which no further gain can be told from noise; None as well for what never
            emerged, and for a single checkpoint.
        rate_per_1000_steps, rate_per_doubling: gain between emergence and saturation, or over the whole curve where
            there is neither, with its 95 % interval; None with fewer than two checkpoints between them.
        fall: the largest fall from one checkpoint to a later one that can be told from noise, or None.
        questions: number of questions.
        checkpoints: number of checkpoints; with one, nothing is said of growth.
        first_step: step of the first checkpoint: what is above chance there emerged then or before.
    """

    run: str
    ability: Ability
    source: str
    first: float
    last: float
    chance: float
    emergence: float | None
    saturation: float | None
    rate_per_1000_steps: Interval | None
    rate_per_doubling: Interval | None
    fall: Fall | None
    questions: int
    checkpoints: int
    first_step: int

    @property
    def of_ability(self) -> bool:
        """Whether it is an ability's mean."""
        return self.source == self.ability


def growth_of(training: TrainingCurves) -> list[Growth]:
    """A row per ability, then a row per source; only of those whose metric has a chance level."""
    curves = [*training.abilities.values(), *training.sources.values()]
    return [_growth(training, of, of.chance) for of in curves if of.chance is not None]


def _growth(training: TrainingCurves, of: DevelopmentCurve, chance: float) -> Growth:
    curve = of.curve
    risen = emergence(curve, chance)
    # Without emergence there is no growth that could end: "saturates at step 0" would be said of every flat curve.
    changes = changes_of(curve) if risen is not None and len(curve.steps) > 1 else None
    full = saturation(curve, changes=changes) if changes else None
    start = float(curve.steps[0]) if risen is None else risen
    end = float(curve.steps[-1]) if full is None else full
    # Step 0 has no logarithm: doublings are counted from the first step after it.
    first_doubled = float(curve.steps[curve.steps > 0][0]) if start == 0 and (curve.steps > 0).any() else start
    return Growth(
        run=training.name,
        ability=of.ability,
        source=of.name,
        first=float(curve.values[0]),
        last=float(curve.values[-1]),
        chance=chance,
        emergence=risen,
        saturation=full,
        rate_per_1000_steps=_scaled(lambda: growth_rate(curve, start, end), 1000.0),
        rate_per_doubling=_scaled(lambda: log_growth_rate(curve, first_doubled, end), float(np.log(2.0))),
        fall=fall(curve, chance, changes=changes),
        questions=of.questions,
        checkpoints=len(curve.steps),
        first_step=int(curve.steps[0]),
    )


def _scaled(rate: Callable[[], Interval], by: float) -> Interval | None:
    """A rate in another unit; None where fewer than two checkpoints lie between start and end."""
    try:
        found = rate()
    except MetricError:
        return None
    return Interval(found.estimate * by, found.low * by, found.high * by)

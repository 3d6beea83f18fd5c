"""Forecasts of one run: every source and ability, by the law that did best in trials, as wide as that missed there.

Where copying the last value did as well in the trials of a source, the source is not predictable, and the last value
is what is shown for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from radar_metrics.options import FloatArray
from radar_tasks.analysis.forecast.margin_tracks import METRICS
from radar_tasks.analysis.forecast.trials import Trial
from radar_tasks.questions import ABILITIES, Ability

LEVEL = 0.9
"""Of the intervals."""
SHRINKAGE = 3.0
"""The spread of all sources of an ability counts as much as so many trials of one source."""
LEAST = 1e-3
"""Radians of `_angle` below which misses are rounding."""


@dataclass(frozen=True)
class Forecast:
    """What a source, or the mean of an ability's sources, will be.

    Attributes:
        run: the training run, or the larger model.
        name: the source, or the ability.
        ability: perception or reasoning.
        of_ability: whether it is the mean over the ability's sources.
        metric: `sds` or `acc`.
        along: what is gone along: `step`, or the name of the size.
        start, at: from which amount of it, to which.
        step: of training, where the last value was measured.
        last: the score at `start`.
        value: the forecast; the last value where it is not predictable.
        low, high: its 90 % interval; None where there were not two trials.
        predictable: whether trials say that it does better than copying (of an ability: of one of
            its sources, and of their mean).
        trials: number of trials.
        missed, copying_missed: mean absolute error of both in these trials; None where there was none.
    """

    run: str
    name: str
    ability: Ability
    of_ability: bool
    metric: str
    along: str
    start: float
    at: float
    step: int
    last: float
    value: float
    low: float | None
    high: float | None
    predictable: bool
    trials: int
    missed: float | None
    copying_missed: float | None


def forecasts(asked: Sequence[Trial], tried: Sequence[Trial], along: str = "step") -> list[Forecast]:
    """Abilities and their sources in both metrics.

    Args:
        asked: of every source of one run, at one amount.
        tried: the same where the truth is known; may be empty, and then nothing is predictable.
        along: `step`, or the name of the size.
    """
    rows: list[Forecast] = []
    choice = _Choice(tried)
    for k, metric in enumerate(METRICS):
        for ability in ABILITIES:
            mine = [choice.settled(trial, k) for trial in asked if trial.ability == ability]
            known = [choice.settled(trial, k) for trial in tried if trial.ability == ability]
            if mine:
                rows += _of_ability(mine, known, metric, along)
    return rows


@dataclass(frozen=True, eq=False)
class _Settled:
    """A trial in one metric, by the law that was chosen: its forecast, the last value, and the truth (or NaN)."""

    trial: Trial
    value: float
    last: float
    truth: float
    predictable: bool

    @property
    def miss(self) -> float:
        return self.value - self.truth

    @property
    def miss_as_angle(self) -> float:
        return _angle(self.value) - _angle(self.truth)

    @property
    def whole(self) -> tuple[str, float, float, float]:
        """What the trials of one run at one time have in common: they miss together."""
        return self.trial.run, self.trial.step, self.trial.start, self.trial.at


class _Choice:
    """Which law forecasts, and for which sources it does better than copying, as the trials say.

    SDS decides for accuracy as well, whose misses are rough: near chance a checkpoint's accuracy is drawn by lot. A
    source has few trials: how much its forecasts gained is drawn to what those of its ability gained.
    """

    def __init__(self, tried: Sequence[Trial]) -> None:
        self._law = _best_law(tried)
        self._gained: dict[tuple[Ability, str], list[float]] = {}
        for trial in tried:
            if self._law is not None and np.isfinite(made := trial.ahead[self._law, 0]):
                gained = abs(trial.last[0] - trial.truth[0]) - abs(made - trial.truth[0])
                self._gained.setdefault((trial.ability, trial.source), []).append(float(gained))

    def settled(self, trial: Trial, k: int) -> _Settled:
        """The forecast of a metric as it is shown: the last value where nothing better is known."""
        better = self._law is not None and np.isfinite(trial.ahead[self._law, k]) and self._beats_copying(trial)
        value = trial.ahead[self._law, k] if better else trial.last[k]
        return _Settled(trial, float(value), float(trial.last[k]), float(trial.truth[k]), bool(better))

    def _beats_copying(self, trial: Trial) -> bool:
        of_ability = [
            gain for (ability, _), gains in self._gained.items() if ability == trial.ability for gain in gains
        ]
        own = self._gained.get((trial.ability, trial.source), [])
        return bool(of_ability) and sum(own) + SHRINKAGE * float(np.mean(of_ability)) > 0


def _best_law(tried: Sequence[Trial]) -> int | None:
    """The law that missed SDS by least; None without trials."""
    if not tried:
        return None
    misses = np.abs(np.array([trial.ahead[:, 0] - trial.truth[0] for trial in tried]))
    # Laws are compared on the same trials: those in which all of them had something to go by, if there are any.
    whole = np.isfinite(misses).all(axis=1)
    return int(np.nanargmin((misses[whole] if whole.any() else misses).mean(axis=0)))


def _of_ability(mine: Sequence[_Settled], known: Sequence[_Settled], metric: str, along: str) -> list[Forecast]:
    spread = _Spread(known)
    rows = []
    for one in mine:
        of = [past for past in known if past.trial.source == one.trial.source]
        half = spread.half_width(one.trial.source)
        ends = (None, None) if half is None else _around(one.value, half)
        rows.append(_row(one.trial.source, [one], [[past] for past in of], ends, (metric, along)))
    together: dict[tuple[str, float, float, float], list[_Settled]] = {}
    for past in known:
        together.setdefault(past.whole, []).append(past)
    before = list(together.values())
    return [_row(mine[0].trial.ability, mine, before, _interval_of_mean(mine, before), (metric, along)), *rows]


def _row(
    name: str,
    of: Sequence[_Settled],
    known: Sequence[Sequence[_Settled]],
    ends: tuple[float | None, float | None],
    metric_along: tuple[str, str],
) -> Forecast:
    """A source (one of `of`), or the mean of an ability's sources, with what came out for it before."""
    trial = of[0].trial
    misses = _means(known, lambda past: past.miss)
    copying = _means(known, lambda past: past.last - past.truth)
    missed, copying_missed = (float(np.abs(errors).mean()) if len(errors) else None for errors in (misses, copying))
    better = missed is not None and copying_missed is not None and missed < copying_missed
    return Forecast(
        run=trial.run,
        name=name,
        ability=trial.ability,
        of_ability=name == trial.ability,
        metric=metric_along[0],
        along=metric_along[1],
        start=trial.start,
        at=trial.at,
        step=int(trial.step),
        last=float(np.mean([one.last for one in of])),
        value=float(np.mean([one.value for one in of])),
        low=ends[0],
        high=ends[1],
        predictable=any(one.predictable for one in of) and (name != trial.ability or better),
        trials=len(misses),
        missed=missed,
        copying_missed=copying_missed,
    )


class _Spread:
    """How far trials of each source missed, as angles, and how wide that makes an interval.

    A miss is divided by its source's spread as the other runs show it; of these ratios the quantile at `LEVEL`, with
    its correction for a finite number (split conformal prediction, Lei et al., arXiv 1604.04173), is the half-width in
    spreads.
    """

    def __init__(self, known: Sequence[_Settled]) -> None:
        self._misses = np.array([past.miss_as_angle for past in known])
        self._sources = np.array([past.trial.source for past in known])
        runs = np.array([past.trial.run for past in known])
        self._quantile = 0.0
        if len(known) >= 2:
            ratios = [
                abs(miss) / self._of(np.flatnonzero((self._sources == source) & (runs != run)))
                for miss, source, run in zip(self._misses, self._sources, runs, strict=True)
            ]
            self._quantile = float(np.quantile(ratios, min(1.0, LEVEL * (1.0 + 1.0 / len(ratios)))))

    def half_width(self, source: str) -> float | None:
        if len(self._misses) < 2:
            return None
        return self._quantile * self._of(np.flatnonzero(self._sources == source))

    def _of(self, kept: np.ndarray) -> float:
        """Root mean square of these misses, drawn to that of all."""
        pooled = max(float((self._misses**2).mean()), LEAST**2)
        square = (SHRINKAGE * pooled + float((self._misses[kept] ** 2).sum())) / (SHRINKAGE + len(kept))
        return float(np.sqrt(square))


def _around(value: float, half: float) -> tuple[float, float]:
    low, high = max(_angle(value) - half, 0.0), min(_angle(value) + half, np.pi / 2)
    return float(np.sin(low) ** 2), float(np.sin(high) ** 2)


def _interval_of_mean(
    mine: Sequence[_Settled], known: Sequence[Sequence[_Settled]]
) -> tuple[float | None, float | None]:
    """From the misses of such means, for the sources of a run miss together: Student's t about the forecast."""
    misses = _means(known, lambda past: past.miss)
    n = len(misses)
    if n < 2:
        return None, None
    half = -float(stdtrit(n, (1 - LEVEL) / 2)) * float(np.sqrt((misses**2).mean() * (1 + 1 / n)))
    value = float(np.mean([one.value for one in mine]))
    return max(value - half, 0.0), min(value + half, 1.0)


def _means(known: Sequence[Sequence[_Settled]], of: Callable[[_Settled], float]) -> FloatArray:
    """(n,) the mean of a number over what belongs together."""
    return np.array([np.mean([of(past) for past in together]) for together in known])


def _angle(score: float) -> float:
    """arcsin of the root, in [0, pi / 2]: a miss at .98 and one at .5 are of one size there, as of a share's noise."""
    return float(np.arcsin(np.sqrt(score)))

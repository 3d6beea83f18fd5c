"""The back-test: forecasts made with a part held out, beside what came out and beside simpler forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radar_tasks.analysis.forecast.forecasts import Forecast, forecasts
from radar_tasks.analysis.forecast.margin_tracks import METRICS, RunTrack
from radar_tasks.analysis.forecast.trials import (
    Trial,
    end_trials,
    is_long_enough,
    shared_late_steps,
    size_trials,
    tried_ends,
    tried_sizes,
)
from radar_tasks.questions import ABILITIES, Ability

HELD_OUT = 1 / 3
"""The last part of every run."""
MOST_FORECAST = 6
"""Checkpoints of that part which are forecast, evenly spread and with the last one."""


@dataclass(frozen=True)
class HeldOut:
    """A forecast of what was held out, and what came out.

    Attributes:
        forecast: made without it.
        truth: the score that came out.
        line: what a least-squares line in log step or log size says.
    """

    forecast: Forecast
    truth: float
    line: float

    @property
    def covered(self) -> bool | None:
        """Whether the interval holds the truth; None where there is no interval."""
        low, high = self.forecast.low, self.forecast.high
        return None if low is None or high is None else low <= self.truth <= high


@dataclass(frozen=True)
class BackTest:
    """How good forecasts were: mean absolute errors, in the unit of the score, and the coverage of the intervals.

    Attributes:
        held_out: `last third` or `largest size`.
        metric: `sds` or `acc`.
        ability: perception or reasoning.
        of_ability: whether the means over the ability's sources were forecast, or its sources each.
        forecasts, runs: how many, of how many training runs.
        missed: of the forecasts.
        copying_missed: of the last value.
        line_missed: of a line in log step or log size.
        coverage: share of the 90 % intervals that hold the truth; None without intervals.
        width: mean width of these intervals.
        predictable: share of forecasts that were said to be better than copying.
    """

    held_out: str
    metric: str
    ability: Ability
    of_ability: bool
    forecasts: int
    runs: int
    missed: float
    copying_missed: float
    line_missed: float
    coverage: float | None
    width: float | None
    predictable: float


def last_thirds(runs: Sequence[RunTrack]) -> list[HeldOut]:
    """Every run forecast from its first two thirds, at checkpoints of the last; runs too short are left out.

    Other runs that end at the same step may inform a forecast, as they would have been there; the run itself never.
    """
    made: list[HeldOut] = []
    for run in runs:
        start = _last_known(run)
        if start is None:
            continue
        seen = run.until(start)
        finished = finished_like(run, runs)
        later = run.steps[run.steps > start]
        spread = np.linspace(len(later) - 1, 0, min(len(later), MOST_FORECAST)).round().astype(int)
        for at in later[spread[::-1]]:
            asked = end_trials(run, start, at, finished)
            made += _settled(asked, forecasts(asked, tried_ends(seen, at, finished)))
    return made


def largest_size(by_size: Mapping[float, Sequence[RunTrack]], along: str) -> list[HeldOut]:
    """The largest size forecast from the smaller ones, at each shared checkpoint after the first third of training.

    Empty where there are not three sizes.
    """
    sizes = sorted(by_size)
    if len(sizes) < 3:
        return []
    smaller = {size: by_size[size] for size in sizes[:-1]}
    steps = shared_late_steps([run for of in by_size.values() for run in of])
    tried = tried_sizes(smaller, steps)
    return [
        held
        for run in by_size[sizes[-1]]
        for step in steps
        for asked in (size_trials(smaller, sizes[-1], step, run, run.name),)
        for held in _settled(asked, forecasts(asked, tried, along))
    ]


def finished_like(run: RunTrack, runs: Sequence[RunTrack]) -> list[RunTrack]:
    """The other runs that end where this one does: a run that goes on further is another training there."""
    return [other for other in runs if other is not run and other.steps[-1] == run.steps[-1]]


def back_test(held: Sequence[HeldOut], held_out: str) -> list[BackTest]:
    """The errors by metric, ability, and whether sources or their mean were forecast."""
    rows = []
    for metric in METRICS:
        for ability in ABILITIES:
            for of_ability in (True, False):
                of = [
                    one
                    for one in held
                    if (one.forecast.metric, one.forecast.ability, one.forecast.of_ability)
                    == (metric, ability, of_ability)
                ]
                if of:
                    rows.append(_errors(of, held_out))
    return rows


def _errors(of: Sequence[HeldOut], held_out: str) -> BackTest:
    first = of[0].forecast
    covered = [one.covered for one in of if one.covered is not None]
    widths = [
        one.forecast.high - one.forecast.low
        for one in of
        if one.forecast.low is not None and one.forecast.high is not None
    ]
    return BackTest(
        held_out=held_out,
        metric=first.metric,
        ability=first.ability,
        of_ability=first.of_ability,
        forecasts=len(of),
        runs=len({one.forecast.run for one in of}),
        missed=float(np.mean([abs(one.forecast.value - one.truth) for one in of])),
        copying_missed=float(np.mean([abs(one.forecast.last - one.truth) for one in of])),
        line_missed=float(np.mean([abs(one.line - one.truth) for one in of])),
        coverage=float(np.mean(covered)) if covered else None,
        width=float(np.mean(widths)) if widths else None,
        predictable=float(np.mean([one.forecast.predictable for one in of])),
    )


def _last_known(run: RunTrack) -> float | None:
    """The last step before what is held out; None for a run that is too short."""
    before = run.steps[run.steps <= (1 - HELD_OUT) * run.steps[-1]]
    return float(before[-1]) if len(before) and is_long_enough(run, before[-1]) else None


def _settled(asked: Sequence[Trial], made: Sequence[Forecast]) -> list[HeldOut]:
    """Forecasts beside the truth of their trials, means over sources for those of an ability."""
    held = []
    for forecast in made:
        k = METRICS.index(forecast.metric)
        of = [
            trial
            for trial in asked
            if (trial.ability == forecast.ability if forecast.of_ability else trial.source == forecast.name)
        ]
        truth, line = np.mean([(trial.truth[k], trial.line[k]) for trial in of], axis=0)
        held.append(HeldOut(forecast, float(truth), float(line)))
    return held

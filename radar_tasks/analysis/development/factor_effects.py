"""Whether perception's lead over reasoning depends on what differs between runs: data, size, mix, strategy.

Every run of a factor is read at the last step that all of them have. Numbers are chance-centred (0 chance, 1 perfect),
so that abilities with other numbers of options can be subtracted. Intervals know the luck of the questions, which all
runs share, and that of the seeds (`radar_metrics.run_contrasts`): the spread between runs at one level, pooled over the
factor's levels; in a slope the scatter of the runs about the line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from radar_metrics.discrimination import chance_centred
from radar_metrics.options import BoolArray, FloatArray
from radar_metrics.run_contrasts import Contrast, RunSpread, contrast, run_spread
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.run_factors import Factor, factors_of
from radar_tasks.analysis.study_curves import RESAMPLES, StudyCurves, over_training, study_of
from radar_tasks.errors import ResultsError
from radar_tasks.results import TrainingRun

Quantity = Literal["perception", "reasoning", "lead", "mean lead", "lag"]

REACHED = 0.1
"""The lag is told where both abilities have come so far from chance (0) to perfect (1)."""


@dataclass(frozen=True)
class FactorLevel:
    """The runs at one level of a factor.

    Attributes:
        factor, level: which.
        runs: names of the runs at it.
        step: the last one that all runs of the factor have.
        perception, reasoning: chance-centred at that step, with their 95 % intervals.
        lead: perception minus reasoning there.
        mean_lead: the same, mean over training up to there.
        lag: how many doublings of training reasoning needs more than perception to come a tenth of the way from chance
            to perfect, for good; None where a run has not come so far.
        over_seeds: whether the spread between seeds is in the intervals.
    """

    factor: str
    level: str
    runs: tuple[str, ...]
    step: float
    perception: Interval
    reasoning: Interval
    lead: Interval
    mean_lead: Interval
    lag: Interval | None
    over_seeds: bool


@dataclass(frozen=True)
class FactorEffect:
    """What a factor does to one quantity: a slope where its levels are amounts, else a level against the first one.

    Attributes:
        factor, quantity: what of what. An effect on the lead says that the two abilities do not grow alike.
        level, against: the level and the first one; both "" for a slope.
        effect: difference between the two, or gain for ten times the amount, with its 95 % interval.
        p_value: of "there is none", not corrected for looking at several quantities and levels.
        runs: number of runs that it rests on.
        over_seeds: whether the spread between seeds is in the interval.
    """

    factor: str
    quantity: Quantity
    level: str
    against: str
    effect: Interval
    p_value: float
    runs: int
    over_seeds: bool

    @property
    def is_slope(self) -> bool:
        """Whether it is the gain for ten times an amount."""
        return not self.level


@dataclass(frozen=True)
class _Quantity:
    """A number of each run (R,) with its replicates (B, R); NaN where a run has none."""

    values: FloatArray
    replicates: FloatArray

    @property
    def known(self) -> BoolArray:
        """(R,) where a run has it, in nineteen of twenty resamples at least."""
        return np.asarray(np.isfinite(self.values) & (np.isfinite(self.replicates).mean(axis=0) >= 0.95))

    def contrast(self, weights: FloatArray, spread: RunSpread | None) -> Contrast:
        """The weighted sum over the runs that have a weight; resamples in which one has no number are left out."""
        used = weights != 0
        whole = np.isfinite(self.replicates[:, used]).all(axis=1)
        return contrast(weights[used], self.values[used, None], self.replicates[whole][:, used, None], spread)


def factor_effects(
    runs: Sequence[TrainingRun],
    descriptions: Sequence[RunDescription],
    rng: np.random.Generator,
    metric: str = "sds",
    resamples: int = RESAMPLES,
) -> tuple[list[FactorLevel], list[FactorEffect], list[str]]:
    """Levels and effects of every factor of the descriptions, and what could not be told, in words.

    Args:
        runs: training runs.
        descriptions: with `factor` and `level`.
        rng: source of the resamples.
        metric: a mean over questions that has a chance level.
        resamples: bootstrap replicates.
    """
    levels: list[FactorLevel] = []
    effects: list[FactorEffect] = []
    notes = []
    for factor in factors_of(runs, descriptions):
        try:
            study = study_of(factor.runs)
            quantities = _quantities(study.amounts, study.curves(rng, metric, resamples))
        except ResultsError as problem:
            notes.append(f"{factor.name}: {problem}")
            continue
        if quantities is None:
            notes.append(f"{factor.name}: both abilities, in a metric with a chance level, are needed for a lead.")
            continue
        levels += _levels(factor, float(study.amounts[-1]), quantities)
        effects += _effects(factor, quantities)
    return levels, effects, notes


def _quantities(steps: FloatArray, curves: StudyCurves) -> dict[Quantity, _Quantity] | None:
    centred = {
        curve.ability: [chance_centred(table, curve.chance) for table in (curve.values, curve.replicates)]
        for curve in curves.abilities
        if curve.chance is not None
    }
    if len(centred) < 2:
        return None
    perception, reasoning = centred["perception"], centred["reasoning"]
    lead = [p - r for p, r in zip(perception, reasoning, strict=True)]
    over = over_training(steps)
    mean = [table @ over for table in lead]
    # A ratio of steps: checkpoints are spread on a logarithmic axis, and a small model needs more steps for everything.
    with np.errstate(invalid="ignore", divide="ignore"):
        lag = [np.log2(_reached(r, steps) / _reached(p, steps)) for p, r in zip(perception, reasoning, strict=True)]
    return {
        "perception": _Quantity(*(table[..., -1] for table in perception)),
        "reasoning": _Quantity(*(table[..., -1] for table in reasoning)),
        "lead": _Quantity(*(table[..., -1] for table in lead)),
        "mean lead": _Quantity(*mean),
        "lag": _Quantity(*(np.where(np.isfinite(table), table, np.nan) for table in lag)),
    }


def _reached(curves: FloatArray, steps: FloatArray) -> FloatArray:
    """(...) step from which curves (..., S) stay at or above `REACHED`, on the line between checkpoints; NaN if never.

    A curve that is there at the first checkpoint reached it by then: that step is returned.
    """
    below = curves < REACHED
    last_below = np.where(below.any(axis=-1), curves.shape[-1] - 1 - np.argmax(below[..., ::-1], axis=-1), -1)
    k = np.clip(last_below, 0, max(curves.shape[-1] - 2, 0))
    here = np.take_along_axis(curves, k[..., None], axis=-1)[..., 0]
    there = np.take_along_axis(curves, np.minimum(k + 1, curves.shape[-1] - 1)[..., None], axis=-1)[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        between = steps[k] + (REACHED - here) / (there - here) * (steps[np.minimum(k + 1, len(steps) - 1)] - steps[k])
    found = np.where(last_below < 0, steps[0], between)
    return np.asarray(np.where(last_below == curves.shape[-1] - 1, np.nan, found))


def _levels(factor: Factor, step: float, quantities: Mapping[Quantity, _Quantity]) -> Iterator[FactorLevel]:
    level_of = _level_of(factor)
    for k, level in enumerate(factor.levels):
        mean = (level_of == k) / len(level.runs)

        def interval(quantity: Quantity, mean: FloatArray = mean) -> Interval | None:
            of = quantities[quantity]
            return of.contrast(mean, _spread(of, level_of)).interval(0) if of.known[mean > 0].all() else None

        found = {quantity: interval(quantity) for quantity in get_args(Quantity)}
        perception, reasoning, lead, mean_lead = (found[q] for q in ("perception", "reasoning", "lead", "mean lead"))
        if perception is None or reasoning is None or lead is None or mean_lead is None:
            continue
        yield FactorLevel(
            factor=factor.name,
            level=level.name,
            runs=tuple(run.name for run in level.runs),
            step=step,
            perception=perception,
            reasoning=reasoning,
            lead=lead,
            mean_lead=mean_lead,
            lag=found["lag"],
            over_seeds=len(factor.levels) < len(level_of),
        )


def _effects(factor: Factor, quantities: Mapping[Quantity, _Quantity]) -> Iterator[FactorEffect]:
    level_of, amounts = _level_of(factor), factor.amounts
    for quantity, of in quantities.items():
        if amounts is not None:
            log = np.log10(np.array(amounts))[level_of]
            if (slope := _slope(log, of)) is not None:
                yield _effect(factor, quantity, slope, ("", ""), int(of.known.sum()))
            continue
        for k, level in enumerate(factor.levels[1:], 1):
            weights = (level_of == k) / len(level.runs) - (level_of == 0) / len(factor.levels[0].runs)
            if of.known[weights != 0].all():
                made = of.contrast(weights, _spread(of, level_of))
                count = len(level.runs) + len(factor.levels[0].runs)
                yield _effect(factor, quantity, made, (level.name, factor.levels[0].name), count)


def _effect(factor: Factor, quantity: Quantity, made: Contrast, levels: tuple[str, str], runs: int) -> FactorEffect:
    over_seeds = made.degrees is not None
    return FactorEffect(factor.name, quantity, *levels, made.interval(0), made.p_value(0), runs, over_seeds)


def _slope(log: FloatArray, of: _Quantity) -> Contrast | None:
    """Least squares over the runs that have the quantity; None with fewer than three, or all at one amount."""
    known = of.known
    x = np.where(known, log - log[known].mean() if known.any() else 0.0, 0.0)
    squares = float((x**2).sum())
    if known.sum() < 3 or squares == 0:
        return None
    weights = x / squares
    y = np.where(known, of.values, 0.0)
    slope = float(weights @ y)
    residuals = (y - y[known].mean() - slope * x)[known]
    degrees = int(known.sum()) - 2
    return of.contrast(weights, RunSpread(np.array([float((residuals**2).sum()) / degrees]), degrees))


def _spread(of: _Quantity, level_of: np.ndarray) -> RunSpread | None:
    """Between runs at one level, of those runs that have the quantity."""
    known = of.known
    return run_spread(of.values[known, None], level_of[known].tolist())


def _level_of(factor: Factor) -> np.ndarray:
    """(R,) position of each run's level."""
    return np.repeat(np.arange(len(factor.levels)), [len(level.runs) for level in factor.levels])

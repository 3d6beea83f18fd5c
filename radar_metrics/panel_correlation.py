"""Correlation of two numbers that are known of runs x steps x sources, taken apart by what makes it.

Over training nearly everything rises, and sources differ in level (if only by their number of options). So any two
numbers correlate when all points are pooled, and a number that knows nothing of the model, such as the step, does too.
Each further kind takes away one of these reasons.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radar_metrics.errors import MetricError
from radar_metrics.jackknife import jackknife
from radar_metrics.options import FloatArray
from radar_metrics.signal import fisher_interval, pearson, to_fisher
from radar_metrics.uncertainty import Interval


class Kind(str, Enum):
    """What a correlation is taken over.

    pooled: all points. What the RADAR paper reports.
    within: deviations from the mean of each source: does a source that has grown have a better other number?
    given_step: what is left of both numbers after a straight line in log step (partial correlation).
    differences: changes from one step of a run to its next, on one source.
    between_runs: deviations from the mean of all runs at one step on one source: does the better run have a better
        other number?
    """

    pooled = "pooled"
    within = "within"
    given_step = "given_step"
    differences = "differences"
    between_runs = "between_runs"


@dataclass(frozen=True)
class Panel:
    """Where points stand.

    Attributes:
        runs, sources: (n,) labels of the training run and the source.
        steps: (n,) >= 0; a point of step 0 has no logarithm, and is left out where one is needed.
    """

    runs: NDArray[np.int64]
    sources: NDArray[np.int64]
    steps: FloatArray

    @classmethod
    def of(cls, runs: Sequence[str], sources: Sequence[str], steps: ArrayLike) -> "Panel":
        """From names. Raises MetricError where lengths differ, a step is negative, or a point is there twice."""
        made = cls(_labels(runs), _labels(sources), np.asarray(steps, dtype=np.float64))
        if not len(made.runs) == len(made.sources) == len(made.steps):
            raise MetricError(f"{len(runs)} runs, {len(sources)} sources, {len(made.steps)} steps: one of each a point")
        if not (made.steps >= 0).all():
            raise MetricError(f"steps must be 0 or more: {made.steps.tolist()}")
        if len(set(zip(runs, sources, made.steps.tolist(), strict=True))) < len(made.steps):
            raise MetricError("a run has two points of one step on one source")
        return made

    def of_points(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Panel":
        """The same for a part of the points."""
        return Panel(self.runs[kept], self.sources[kept], self.steps[kept])


@dataclass(frozen=True)
class PanelCorrelation:
    """Pearson's r of one kind, in [-1, 1].

    Attributes:
        kind: what it is taken over.
        r: with its interval by the two-way jackknife over runs and sources, [-1, 1] where nothing tells it.
        n: numbers that it is made from: points, changes, or deviations.
        runs, sources: how many of each there are.
    """

    kind: Kind
    r: Interval
    n: int
    runs: int
    sources: int


def panel_correlation(
    kind: Kind, x: ArrayLike, y: ArrayLike, panel: Panel, level: float = 0.95
) -> PanelCorrelation | None:
    """Correlation of x with y, each (n,), of one kind; None where it has no value.

    The whole of it is made anew without each run and each source: atanh(r) +- t * sqrt(V) of `jackknife`.
    """
    first, second = _numbers(x, panel), _numbers(y, panel)
    made = _prepared(kind, panel, first, second)
    r = math.nan if made is None else pearson(*made.numbers)
    if made is None or math.isnan(r):
        return None

    def statistic(kept: NDArray[np.bool_]) -> float:
        return to_fisher(panel_r(kind, panel.of_points(kept), first[kept], second[kept]))

    spread = jackknife(statistic, (panel.runs, panel.sources))
    runs, sources = (len(np.unique(labels)) for labels in (made.panel.runs, made.panel.sources))
    return PanelCorrelation(kind, fisher_interval(r, spread.half_width(level)), len(made.numbers[0]), runs, sources)


def panel_difference(
    kind: Kind, x: ArrayLike, rival: ArrayLike, y: ArrayLike, panel: Panel, *, level: float = 0.95
) -> Interval | None:
    """How much stronger x correlates with y than a rival does on the same points: |r(x, y)| - |r(rival, y)|.

    The interval is that of the two-way jackknife of the difference itself, so that what both share cancels; None where
    one of the two correlations has no value.
    """
    first, other, second = _numbers(x, panel), _numbers(rival, panel), _numbers(y, panel)
    # The signs are those of all points: without a run a weak one may change, and its size is then a negative one.
    signs = [_sign(panel_r(kind, panel, numbers, second)) for numbers in (first, other)]

    def statistic(kept: NDArray[np.bool_]) -> float:
        part = panel.of_points(kept)
        of_x, of_rival = (panel_r(kind, part, numbers[kept], second[kept]) for numbers in (first, other))
        return signs[0] * of_x - signs[1] * of_rival

    difference = statistic(np.ones(len(second), dtype=bool))
    if math.isnan(difference):
        return None
    half = jackknife(statistic, (panel.runs, panel.sources)).half_width(level)
    return Interval(difference, max(difference - half, -1.0), min(difference + half, 1.0))


@dataclass(frozen=True)
class _Prepared:
    """Two numbers of the points (or changes) of a kind, and where they stand."""

    numbers: tuple[FloatArray, FloatArray]
    panel: Panel


def panel_r(kind: Kind, panel: Panel, x: FloatArray, y: FloatArray) -> float:
    """Pearson's r of x and y, (n,) finite numbers each, of one kind; NaN where it has no value."""
    made = _prepared(kind, panel, x, y)
    return math.nan if made is None else pearson(*made.numbers)


def _prepared(kind: Kind, panel: Panel, x: FloatArray, y: FloatArray) -> _Prepared | None:
    """What a kind correlates; None for fewer than four numbers."""
    if kind is Kind.given_step:
        kept = panel.steps > 0
        panel, x, y = panel.of_points(kept), x[kept], y[kept]
        if len(x):
            line = np.log(panel.steps)
            x, y = _off_line(line, x), _off_line(line, y)
    elif kind is Kind.within:
        x, y = _deviations(x, panel.sources), _deviations(y, panel.sources)
    elif kind is Kind.differences:
        order = np.lexsort((panel.steps, panel.sources, panel.runs))
        panel, x, y = panel.of_points(order), np.diff(x[order]), np.diff(y[order])
        same = (np.diff(panel.runs) == 0) & (np.diff(panel.sources) == 0)
        panel, x, y = panel.of_points(np.flatnonzero(same)), x[same], y[same]
    elif kind is Kind.between_runs:
        _, step = np.unique(panel.steps, return_inverse=True)
        place = step * (panel.sources.max(initial=0) + 1) + panel.sources
        _, place, count = np.unique(place, return_inverse=True, return_counts=True)
        kept = count[place] > 1  # one run alone deviates from nothing
        panel, place, x, y = panel.of_points(kept), place[kept], x[kept], y[kept]
        x, y = _deviations(x, place), _deviations(y, place)
    return _Prepared((x, y), panel) if len(x) >= 4 else None


def _deviations(values: FloatArray, groups: NDArray[np.int64]) -> FloatArray:
    """(n,) less the mean of each group, with exact zeros where a group does not vary."""
    if not len(values):
        return values
    counts = np.maximum(np.bincount(groups), 1)
    left = values - (np.bincount(groups, weights=values) / counts)[groups]
    return _without_rounding(left, values)


def _off_line(line: FloatArray, values: FloatArray) -> FloatArray:
    """(n,) less its least-squares line in `line`; less its mean where `line` is constant."""
    x, y = line - line.mean(), values - values.mean()
    square = float(x @ x)
    left = y - (float(x @ y) / square) * x if square > 1e-24 * float(line @ line) else y
    return _without_rounding(left, values)


def _without_rounding(left: FloatArray, values: FloatArray) -> FloatArray:
    """Zeros where a subtraction left nothing but rounding."""
    return np.where(np.abs(left) > 1e-12 * np.abs(values).max(), left, 0.0)


def _sign(r: float) -> float:
    return -1.0 if r < 0 else 1.0


def _labels(names: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)


def _numbers(values: ArrayLike, panel: Panel) -> FloatArray:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != panel.steps.shape:
        raise MetricError(f"numbers of shape {array.shape} for {len(panel.steps)} points: one a point")
    if not np.isfinite(array).all():
        raise MetricError(f"numbers hold NaN or infinite values: {array.tolist()}")
    return array

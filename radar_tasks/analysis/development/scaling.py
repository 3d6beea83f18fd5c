"""Abilities against amounts that describe the runs (data volume, parameters): points, lines, and are they parallel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from radar_metrics.curves import pointwise_band
from radar_metrics.errors import MetricError
from radar_metrics.scaling import equal_slopes, fit_line
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.curves import TrainingCurves
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.questions import Ability


@dataclass(frozen=True)
class ScalingPoint:
    """An ability at an amount.

    Attributes:
        column: of the file of descriptions, what `x` is.
        ability: perception or reasoning.
        group: runs of one line; "" where all are one.
        run: the training run.
        step: of its last checkpoint, or of the checkpoint that the amount belongs to.
        x: the amount, above 0.
        value, low, high: the metric with its 95 % interval.
    """

    column: str
    ability: Ability
    group: str
    run: str
    step: int
    x: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ScalingLine:
    """A least-squares line against log10 of an amount.

    Attributes:
        column, ability, group: which points.
        x, value: both ends of the line.
        slope: gain for ten times the amount, with its 95 % interval.
        r_squared: share of the variance that the line explains; None where all values are alike.
        n: number of points.
    """

    column: str
    ability: Ability
    group: str
    x: tuple[float, float]
    value: tuple[float, float]
    slope: Interval
    r_squared: float | None
    n: int


@dataclass(frozen=True)
class SlopeComparison:
    """Whether lines are parallel: F test between groups, or between abilities; a small p says no."""

    column: str
    between: str
    slope: float
    f: float
    p: float


@dataclass(frozen=True)
class Scaling:
    """Everything against amounts: points, lines, tests, and notes on what could not be made."""

    points: list[ScalingPoint]
    lines: list[ScalingLine]
    tests: list[SlopeComparison]
    notes: list[str]


def scaling_of(trainings: Sequence[TrainingCurves], descriptions: Sequence[RunDescription]) -> Scaling:
    """Points for each row that gives an amount to a training run (its last checkpoint) or to one of its checkpoints."""
    made = Scaling([], [], [], [])
    for column in dict.fromkeys(column for row in descriptions for column in row.amounts):
        points = [point for training in trainings for point in _points(training, descriptions, column)]
        if not points:
            made.notes.append(f"no row of the file gives {column} to one of these runs: nothing to draw against.")
        elif len({point.run for point in points}) < len({(p.run, p.step) for p in points}):
            # Several checkpoints of a training run: each run is a line of its own, unless the file says otherwise.
            several = len({point.run for point in points}) > 1
            points = [replace(point, group=point.group or (point.run if several else "")) for point in points]
        made.points.extend(points)
        _add_lines(made, column, points)
    return made


def _points(training: TrainingCurves, descriptions: Sequence[RunDescription], column: str) -> list[ScalingPoint]:
    first = training.results[0]
    giving = [row for row in descriptions if column in row.amounts]
    of_run = [row for row in giving if row.is_about_training(first)]
    rows: dict[int, RunDescription] = dict.fromkeys(training.steps[-1:], of_run[0]) if of_run else {}
    for result in training.results:
        for row in giving:
            if row.is_about_checkpoint(result):
                rows[result.step or 0] = row
    points = []
    for ability, of in training.abilities.items():
        band = pointwise_band(of.curve)
        points += [
            ScalingPoint(
                column=column,
                ability=ability,
                group=description.group or "",
                run=training.name,
                step=step,
                x=description.amounts[column],
                value=float(of.curve.values[k]),
                low=float(band.low[k]),
                high=float(band.high[k]),
            )
            for k, step in enumerate(training.steps)
            if (description := rows.get(step)) is not None
        ]
    return points


def _add_lines(made: Scaling, column: str, points: Sequence[ScalingPoint]) -> None:
    """A line for each ability and group, and the test of equal slopes between groups, else between abilities."""
    members: dict[tuple[Ability, str], list[ScalingPoint]] = {}
    for point in points:
        members.setdefault((point.ability, point.group), []).append(point)
    fitted: dict[tuple[Ability, str], tuple[list[float], list[float]]] = {}
    for (ability, group), of in members.items():
        x, y = [point.x for point in of], [point.value for point in of]
        try:
            line = fit_line(x, y)
        except MetricError as problem:
            made.notes.append(f"{column}, {' '.join((ability, group)).strip()}: no line, {problem}.")
            continue
        fitted[ability, group] = (x, y)
        low, high = (line.intercept + line.slope.estimate * float(np.log10(end)) for end in (min(x), max(x)))
        made.lines.append(
            ScalingLine(column, ability, group, (min(x), max(x)), (low, high), line.slope, line.r_squared, line.n)
        )
    made.tests.extend(_slope_tests(column, fitted))


def _slope_tests(
    column: str, fitted: Mapping[tuple[Ability, str], tuple[list[float], list[float]]]
) -> list[SlopeComparison]:
    between: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    groups = {group for _, group in fitted}
    for (ability, group), line in fitted.items():
        if len(groups) > 1:
            between.setdefault(f"groups, {ability}", {})[group] = line
        else:
            between.setdefault("abilities", {})[ability] = line
    tests = []
    for what, lines in between.items():
        try:
            test = equal_slopes(lines)
        except MetricError:  # one line only, or points that lie exactly on their lines
            continue
        tests.append(SlopeComparison(column, what, test.common_slope, test.f, test.p_value))
    return tests

"""Perception and reasoning over training, and every source for itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from radar_tasks.analysis.development.curve_points import CurvePoint
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel, domain_of
from radar_tasks.report.charts.figure import (
    ABILITY_NAMES,
    SMALL_HEIGHT,
    Datum,
    Figure,
    metric_title,
)
from radar_tasks.report.charts.run_curves import run_panels
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def abilities_over_steps(
    rows: Iterable[CurvePoint | Mapping[str, Any]],
    metric: str = "sds",
    axis: TrainingAxis = STEPS,
    configurations: Sequence[Configuration] = (),
) -> Figure:
    """Perception and reasoning over training steps with their intervals and chance.

    Args:
        rows: points of `radar_tasks.analysis.development`, or mappings with `run`, `ability`, `step`, `value`, `low`,
            `high` and `chance`. One run: both abilities in one panel; several: a panel an ability, a colour a run.
        metric: what `value` is.
        axis: steps, or what else training is measured by.
        configurations: which runs are seeds of one; each run stands for itself without them.
    """
    points = [_point(row) for row in rows]
    runs = list(dict.fromkeys(point.run for point in points))
    if len(runs) == 1:
        panels = [curve_panel("", _by_ability(points), ABILITY_NAMES, CurveStyle(metric_title(metric)), axis)]
        return Figure("abilities", f"Abilities of {runs[0]} {_when(points)}", how_to_read(points, axis), panels)
    abilities = dict.fromkeys(point.ability for point in points)
    data = {of.capitalize(): [asdict(point) for point in points if point.ability == of] for of in abilities}
    made = run_panels(data, CurveStyle(metric_title(metric)), axis, configurations)
    reading = how_to_read(points, axis) + made.reading
    return Figure("abilities", f"Abilities {_when(points)}", reading, made.panels, len(made.panels), made.legend)


def sources_over_steps(
    points: Sequence[CurvePoint],
    metric: str = "sds",
    axis: TrainingAxis = STEPS,
    configurations: Sequence[Configuration] = (),
) -> Figure:
    """One small panel a source, on common axes; colours are abilities, or runs where there are several."""
    style = CurveStyle(metric.upper(), domain_of([asdict(point) for point in points]), SMALL_HEIGHT, named=False)
    title, reading = f"Every source {_when(points)}", how_to_read(points, axis)
    by_source = {name: [p for p in points if p.source == name] for name in dict.fromkeys(p.source for p in points)}
    if len({point.run for point in points}) == 1:
        panels = [
            curve_panel(name, _by_ability(members), ABILITY_NAMES, style, axis) for name, members in by_source.items()
        ]
        return Figure("sources", title, reading, panels, 3, tuple(ABILITY_NAMES))
    data = {name: [asdict(point) for point in members] for name, members in by_source.items()}
    made = run_panels(data, style, axis, configurations)
    return Figure("sources", title, reading + made.reading, made.panels, 3, made.legend)


def how_to_read(points: Sequence[CurvePoint], axis: TrainingAxis = STEPS) -> str:
    """What the bands are, how many questions they rest on, and what the axis cannot show."""
    questions = max((point.questions for point in points), default=0)
    count = f" up to {questions:,} questions a curve." if questions else ""
    hidden = any(axis.place(point.run, point.step) <= 0 for point in points) if axis.log else False
    start = " Step 0 has no place on a logarithmic axis." if hidden else ""
    drawn = "Lines" if len({point.step for point in points}) == 1 else "Shaded"
    bands = f"{drawn}: 95 % cluster-bootstrap intervals;{count}"
    return f"{bands} Dashed: a model that cannot tell the options apart.{start}"


def _when(points: Sequence[CurvePoint]) -> str:
    steps = {point.step for point in points}
    return f"at step {steps.pop():,}" if len(steps) == 1 else "over training"


def _point(row: CurvePoint | Mapping[str, Any]) -> CurvePoint:
    if isinstance(row, CurvePoint):
        return row
    known = {field.name for field in fields(CurvePoint)}
    return CurvePoint(**{name: value for name, value in row.items() if name in known})


def _by_ability(points: Sequence[CurvePoint]) -> list[Datum]:
    return [{**asdict(point), "series": point.ability.capitalize()} for point in points]

"""How early metrics order configurations as the end of training does, and how far they tell them from seeds."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.decisions import ITSELF, Decisions, DecisionStudy
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel
from radar_tasks.report.charts.dot_panel import DotAxes, dot_panel
from radar_tasks.report.charts.figure import ABILITY_NAMES, SMALL_HEIGHT, Datum, Figure
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def decision_chart(made: DecisionStudy, axis: TrainingAxis = STEPS) -> Figure:
    """Decision accuracy of each metric against its own end, a panel a metric, then the pairs and the signal.

    Args:
        made: decisions on abilities.
        axis: of training; every run stands at the same place on it.
    """
    rows = [row for row in made.rows if row.of_ability and row.target == ITSELF]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    every = rows[0].pairs + rows[0].not_told
    pairs = DotAxes("metric", "pairs", f"Pairs told apart at the end, of {every}", domain=(0.0, float(every)))
    signal = DotAxes("metric", "signal", "Range between configurations ÷ spread between seeds")
    told = [_dot(row, "pairs", float(row.pairs)) for row in rows]
    panels = [dot_panel("Pairs told apart", told, metrics, pairs)]
    if dots := [_dot(row, "signal", row.signal_to_seed_noise) for row in rows if row.signal_to_seed_noise is not None]:
        panels.append(dot_panel("Signal to seed noise", dots, metrics, signal))
    for metric in metrics:
        if data := _by_step([row for row in rows if row.metric == metric]):
            style = CurveStyle("Pairs ordered alike", (-0.02, 1.04), SMALL_HEIGHT, reference="guessing", named=False)
            panels.append(curve_panel(f"{metric}, as at its end", data, ABILITY_NAMES, style, axis))
    none = [metric for metric in metrics if not any(row.by_step for row in rows if row.metric == metric)]
    runs = sum(map(len, made.configurations.values()))
    subtitle = (
        f"{len(made.configurations)} configurations in {runs} runs. Of the pairs that a metric tells apart at the end, "
        "the share that it orders alike before, with its 95 % interval over runs."
        + (f" No pair is told apart by {', '.join(none)}." if none else "")
    )
    return Figure("decisions", "How early can one decide?", subtitle, panels, 2, tuple(ABILITY_NAMES))


def _by_step(rows: Sequence[Decisions]) -> list[Datum]:
    return [
        {
            "metric": row.metric,
            "series": row.ability.capitalize(),
            "step": step.at,
            "value": step.accuracy.estimate,
            "low": step.accuracy.low,
            "high": step.accuracy.high,
            "chance": 0.5,
        }
        for row in rows
        for step in row.by_step
    ]


def _dot(row: Decisions, field: str, value: float | None) -> Datum:
    return {"metric": row.metric, "series": row.ability.capitalize(), field: value}

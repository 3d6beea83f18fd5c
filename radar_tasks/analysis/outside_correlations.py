"""Does a metric of pre-training go with a number from outside, such as accuracy after fine-tuning, and for what reason?

Every metric is set against every outside column over runs, steps and sources, in the kinds of
`radar_metrics.panel_correlation`, beside rivals that know nothing of the abilities: the step itself, how well one can
guess, and losses of whole checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.options import FloatArray
from radar_metrics.panel_correlation import Kind, Panel, PanelCorrelation, panel_correlation, panel_difference
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.chance_level import chance_level
from radar_tasks.analysis.outside_column import Outside
from radar_tasks.results import CheckpointResult, TrainingRun
from radar_tasks.results.metrics import METRICS, SourceMetrics, metric_tables

LOG_STEP = "log step"
"""The trivial rival: the logarithm of the training step, which every later checkpoint has more of."""

CHANCE = "chance level"
"""The other one: how often an option is right that is drawn at random, which questions of few options have more of."""

RIVALS = (LOG_STEP, CHANCE)

AGAINST_STEP = (Kind.pooled, Kind.within)
"""Kinds in which log step is a rival: in the others it is taken out, or the same for all."""


@dataclass(frozen=True)
class OutsideCorrelation:
    """One metric, or a rival, against one outside column.

    Attributes:
        column: the outside column.
        metric: a name of `METRICS`, a rival, or the column of a file of losses.
        is_rival: whether it knows nothing of the model: `log step` and `chance level`.
        higher_is_better: the metric's direction.
        correlation: of one kind, in the metric's own direction (a loss that falls as the column rises has r < 0).
        beyond_step: |r| less that of log step, on the same points; None in kinds where log step is not a rival.
    """

    column: str
    metric: str
    is_rival: bool
    higher_is_better: bool
    correlation: PanelCorrelation
    beyond_step: Interval | None

    @property
    def holds(self) -> bool:
        """Whether a better metric goes with a higher number, as far as the interval tells."""
        return self.correlation.r.low > 0 if self.higher_is_better else self.correlation.r.high < 0

    @property
    def is_reversed(self) -> bool:
        """Whether a worse metric does."""
        return self.correlation.r.high < 0 if self.higher_is_better else self.correlation.r.low > 0


@dataclass(frozen=True)
class _Point:
    """One checkpoint on one source."""

    training: str
    result: CheckpointResult
    step: int
    source: str
    metrics: SourceMetrics


def outside_correlations(
    trainings: Sequence[TrainingRun], outside: Outside, metrics: Sequence[str] = (), losses: Sequence[Outside] = ()
) -> list[OutsideCorrelation]:
    """Every metric and rival against every outside column; what has no value is left out.

    Args:
        trainings: training runs.
        outside: numbers to correlate with.
        metrics: names of `METRICS`, all without them.
        losses: numbers of whole checkpoints that are set against the outside columns as metrics are.
    """
    points = [
        _Point(training.name, result, result.step, source, table[source])
        for training in trainings
        for result, table in zip(training.results, metric_tables(training), strict=True)
        if result.step is not None  # every one of a training run has one
        for source in training.sources
    ]
    panel = Panel.of([p.training for p in points], [p.source for p in points], [p.step for p in points])
    candidates = {
        LOG_STEP: _numbers(math.log(point.step) if point.step > 0 else None for point in points),
        CHANCE: _numbers(chance_level(point.result.sources[point.source], "sds") for point in points),
    }
    for metric in metrics or METRICS:
        candidates[metric] = _numbers(point.metrics.values.get(metric) for point in points)
    for file in losses:
        for name in file.columns:
            candidates[name] = _numbers(file.of(point.result, point.source, name) for point in points)
    made = []
    for column in outside.columns:
        numbers = _numbers(outside.of(point.result, point.source, column) for point in points)
        for metric, values in candidates.items():
            known = ~np.isnan(values) & ~np.isnan(numbers)
            x, y, part = values[known], numbers[known], panel.of_points(known)
            for kind in Kind:
                found = panel_correlation(kind, x, y, part)
                if found is None:
                    continue
                beyond = None
                if kind in AGAINST_STEP and metric not in RIVALS:
                    trained = part.steps > 0
                    rival, rest = np.log(part.steps[trained]), part.of_points(trained)
                    beyond = panel_difference(kind, x[trained], rival, y[trained], rest)
                upright = metric in RIVALS or (metric in METRICS and METRICS[metric].higher_is_better)
                made.append(OutsideCorrelation(column, metric, metric in RIVALS, upright, found, beyond))
    return made


def _numbers(values: Iterable[float | None]) -> FloatArray:
    """(n,) with NaN where a number is not known."""
    return np.array([math.nan if value is None else value for value in values], dtype=np.float64)

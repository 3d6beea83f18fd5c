"""Which metric tells checkpoints apart: every metric on every source, judged by the same yardsticks.

The one place that decides it: `radar agreement` asks for every metric and source, `radar analyze` and the page for some
metrics on the abilities of each training run.

All yardsticks are those of `radar_metrics.signal` and `radar_metrics.stability`. Lower-is-better metrics are negated
first, so that a higher number means the same for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from radar_metrics import signal
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.stability import SubsetCurves, enough_questions, subset_curves
from radar_tasks.analysis.outside_column import Outside
from radar_tasks.analysis.outside_correlations import OutsideCorrelation
from radar_tasks.analysis.training_runs import require_same_questions
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import METRICS, SourceMetrics, metric_tables, question_matrix

ALL_SOURCES = "all sources"
"""The name of rows that take every source of a training run together."""

LAST_CHECKPOINTS = 5
"""How many checkpoints at the end of a run make its noise in the signal-to-noise ratio between runs."""

DECIDED = 0.9
"""Decision accuracy from which a prefix of training is said to predict the final ranking."""

SIZES = (25, 50, 100, 200, 400, 800, 1600)
"""Numbers of questions that are tried, below the number there is."""


@dataclass(frozen=True)
class QuestionSubsets:
    """How well random subsets of one size stand for all questions.

    Attributes:
        size: questions in a subset.
        spread: standard deviation over subsets, mean over checkpoints, in the metric's unit.
        agreement: mean Kendall's tau between the subset's order of the checkpoints and that of all, in [-1, 1].
    """

    size: int
    spread: float
    agreement: float


@dataclass(frozen=True)
class MetricQuality:
    """One metric on one source, average, or on `all sources`. None where something cannot be had.

    Attributes:
        metric, name: the metric, and what it was measured on: a source, an average, an ability.
        run: the training run; "" where several are judged together.
        monotonicity: Kendall's tau with the training step, mean over training runs, in [-1, 1].
        noise: standard deviation between neighbouring checkpoints, mean over runs, in the metric's unit.
        growth_to_noise: range over one run divided by that noise, mean over runs.
        signal_to_noise: between runs, as Signal and Noise defines it; needs two runs.
        decided_half_way: decision accuracy of the checkpoint half-way with the last one, in [0, 1]: between runs, or on
            `all sources` between the sources of one run.
        decided_from: first step from which that stays at 0.9 or above.
        correlations: with each outside column, with intervals over runs (on `all sources` over runs and sources).
        subsets: random subsets of the questions, smallest first (of the first training run).
        enough: the smallest number of questions whose order of checkpoints agrees with that of all (tau 0.9).
    """

    metric: str
    name: str
    run: str = ""
    monotonicity: float | None = None
    noise: float | None = None
    growth_to_noise: float | None = None
    signal_to_noise: float | None = None
    decided_half_way: float | None = None
    decided_from: float | None = None
    correlations: Mapping[str, signal.Correlation | None] = field(default_factory=dict)
    subsets: tuple[QuestionSubsets, ...] = ()
    enough: int | None = None


@dataclass(frozen=True)
class MetricAgreement:
    """All that `radar agreement` says: metrics by the yardsticks, and their correlations with outside columns."""

    metrics: tuple[MetricQuality, ...]
    correlations: tuple[OutsideCorrelation, ...]


def metric_qualities(
    trainings: Sequence[TrainingRun],
    rng: np.random.Generator,
    metrics: Sequence[str] = (),
    outside: Outside | None = None,
    n_subsets: int = 100,
) -> list[MetricQuality]:
    """Judges metrics on everything that all training runs have.

    Args:
        trainings: training runs; several are compared at the steps they share.
        rng: source of the subsets of questions.
        metrics: names of `METRICS`, all without them. One that a checkpoint has no scores for is left out.
        outside: numbers to correlate with.
        n_subsets: random subsets a number of questions.

    Raises:
        ResultsError: an unknown metric, nothing that all training runs have, or runs that were not asked alike.
    """
    if unknown := [metric for metric in metrics if metric not in METRICS]:
        near = did_you_mean(unknown[0], METRICS)
        raise ResultsError(f"unknown metric {', '.join(unknown)}; there are {', '.join(METRICS)}.{near}")
    require_same_questions(trainings, set.intersection(*(set(training.sources) for training in trainings)))
    tables = {training.name: metric_tables(training) for training in trainings}
    made = []
    for metric in metrics or METRICS:
        curves = {training.name: _curves(metric, tables[training.name]) for training in trainings}
        names = [name for name in curves[trainings[0].name] if all(name in of for of in curves.values())]
        for name in names:
            subsets = _subsets(trainings[0], name, metric, rng, n_subsets)
            made.append(
                replace(
                    _quality(metric, name, [_OrderedCurve(t.steps, curves[t.name][name]) for t in trainings]),
                    correlations=_correlations(name, metric, trainings, tables, outside),
                    subsets=tuple(QuestionSubsets(part.size, part.spread, part.agreement) for part in subsets),
                    enough=enough_questions(subsets) if subsets else None,
                )
            )
        if names:
            made.append(_of_all_sources(metric, trainings, curves, tables, outside))
    if not made:
        raise ResultsError("no metric and source that every checkpoint has.")
    return made


def column_quality(metric: str, trainings: Sequence[TrainingRun], values: Outside) -> list[MetricQuality]:
    """Judges a lower-is-better number of whole checkpoints that is in no samples file: MIR.

    Training runs of which a checkpoint is missing are left out.
    """
    curves = []
    for training in trainings:
        numbers = [values.of(run, "", metric) for run in training.results]
        if None not in numbers:
            curves.append(_OrderedCurve(training.steps, -np.array(numbers, dtype=np.float64)))
    return [_quality(metric, ALL_SOURCES, curves)] if curves else []


def _curves(metric: str, tables: Sequence[Mapping[str, SourceMetrics]]) -> dict[str, FloatArray]:
    """(S,) by source and average, negated where lower is better."""
    names = [name for name in tables[0] if all(name in table and metric in table[name].values for table in tables)]
    return {name: _sign(metric) * np.array([table[name].values[metric] for table in tables]) for name in names}


@dataclass(frozen=True)
class _OrderedCurve:
    """One metric over one training run, negated where lower is better: `steps` (S,) and `values` (S,)."""

    steps: FloatArray
    values: FloatArray


def quality_of_curve(metric: str, name: str, steps: Sequence[int], values: FloatArray, run: str = "") -> MetricQuality:
    """A metric (S,) over the checkpoints of one training run, in the metric's own direction.

    Args:
        metric: a name of `METRICS`.
        name: what it was measured on.
        steps: (S,) increasing, S >= 2; noise needs three.
        values: (S,) the metric.
        run: the training run.
    """
    return _quality(metric, name, [_OrderedCurve(np.asarray(steps, dtype=np.float64), _sign(metric) * values)], run)


def _quality(metric: str, name: str, curves: Sequence[_OrderedCurve], run: str = "") -> MetricQuality:
    with_noise = [curve for curve in curves if len(curve.steps) >= 3]
    between = _between_runs(curves)
    return MetricQuality(
        metric,
        name,
        run,
        monotonicity=_mean([signal.monotonicity(curve.values) for curve in curves]),
        noise=_mean([signal.neighbour_noise(curve.steps, curve.values) for curve in with_noise]),
        growth_to_noise=_mean([signal.curve_signal_to_noise(curve.steps, curve.values) for curve in with_noise]),
        signal_to_noise=None if between is None else signal.signal_to_noise(between[1][:, -LAST_CHECKPOINTS:]),
        decided_half_way=None if between is None else _half_way(between[1]),
        decided_from=None if between is None else _decided_from(*between),
    )


def _sign(metric: str) -> float:
    return 1.0 if METRICS[metric].higher_is_better else -1.0


def _between_runs(curves: Sequence[_OrderedCurve]) -> tuple[FloatArray, FloatArray] | None:
    """The steps that all of several training runs have, two or more, and (R, S) the metric at them."""
    steps = curves[0].steps
    for curve in curves[1:]:
        steps = np.intersect1d(steps, curve.steps)
    if len(curves) < 2 or len(steps) < 2:
        return None
    return steps, np.stack([curve.values[np.isin(curve.steps, steps)] for curve in curves])


def _of_all_sources(
    metric: str,
    trainings: Sequence[TrainingRun],
    curves: Mapping[str, Mapping[str, FloatArray]],
    tables: Mapping[str, Sequence[Mapping[str, SourceMetrics]]],
    outside: Outside | None,
) -> MetricQuality:
    """How early each run's ranking of its sources is that of its end, and correlation over all sources."""
    half, first = [], []
    for training in trainings:
        sources = [curves[training.name][source] for source in training.sources if source in curves[training.name]]
        if len(sources) >= 2:
            table = np.stack(sources)
            half.append(_half_way(table))
            first.append(_decided_from(training.steps, table))
    correlations = _correlations(None, metric, trainings, tables, outside)
    return MetricQuality(
        metric, ALL_SOURCES, decided_half_way=_mean(half), decided_from=_mean(first), correlations=correlations
    )


def _half_way(table: FloatArray) -> float:
    return float(signal.prefix_prediction(table)[(table.shape[1] - 1) // 2])


def _decided_from(steps: FloatArray, table: FloatArray) -> float:
    undecided = np.flatnonzero(signal.prefix_prediction(table) < DECIDED)
    return float(steps[undecided[-1] + 1]) if len(undecided) else float(steps[0])


def _correlations(
    name: str | None,
    metric: str,
    trainings: Sequence[TrainingRun],
    tables: Mapping[str, Sequence[Mapping[str, SourceMetrics]]],
    outside: Outside | None,
) -> dict[str, signal.Correlation | None]:
    """With each outside column, over the checkpoints, and over the sources too where no name is given."""
    made: dict[str, signal.Correlation | None] = {}
    for column in outside.columns if outside else ():
        points = [
            (row.values[metric], number, training.name, row.name)
            for training in trainings
            for run, table in zip(training.results, tables[training.name], strict=True)
            for row in table.values()
            if (row.name == name if name else not row.is_average) and metric in row.values
            if outside and (number := outside.of(run, row.name, column)) is not None
        ]
        try:
            x, y, of_runs, of_sources = zip(*points, strict=True) if points else ((), (), (), ())
            made[column] = signal.correlation(x, y, runs=of_runs, sources=of_sources)
        except MetricError:  # fewer than four pairs, or one side does not vary
            made[column] = None
    return made


def _subsets(
    training: TrainingRun, name: str, metric: str, rng: np.random.Generator, n_subsets: int
) -> tuple[SubsetCurves, ...]:
    questions = question_matrix(training, name, metric) if name in training.sources else None
    sizes = [size for size in SIZES if questions is not None and size < questions.shape[1]]
    if questions is None or not sizes:
        return ()
    return tuple(subset_curves(_sign(metric) * questions, sizes, rng, n_subsets))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None

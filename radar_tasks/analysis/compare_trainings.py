"""Training against training: where one is better than the other, by how much, and since when.

Two sides, each one training run or several that differ in their seed alone. Questions are paired: all runs see the
same ones in every resample. The band over the matched steps holds the whole difference at 95 %, so that it may be
looked at step by step. With one run a side it knows the luck of the questions only and speaks of these two runs; with
several, the spread between seeds is in it (`radar_metrics.run_contrasts`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal

import numpy as np

from radar_metrics.curves import Band
from radar_metrics.options import FloatArray
from radar_metrics.run_contrasts import Contrast, contrast, difference_weights, run_spread
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.compare import default_metrics
from radar_tasks.analysis.run_factors import shared_names
from radar_tasks.analysis.study_curves import RESAMPLES, Study, StudyCurve, over_training, study_of
from radar_tasks.analysis.training_amount import IN_STEPS, TrainingAmount
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult, TrainingRun
from radar_tasks.results.metrics import METRICS

Side = Literal["first", "second"]


@dataclass(frozen=True)
class TrainingSide:
    """One side of a comparison: what it is called, and its training runs, which differ in their seed alone."""

    name: str
    runs: tuple[TrainingRun, ...]


@dataclass(frozen=True)
class MatchedPoint:
    """Both sides at one matched amount of training.

    Attributes:
        at: steps, or another amount.
        first, second: the metric, mean over a side's runs.
        value: second minus first, with `low` and `high`, the ends of the band that holds all matched amounts at 95 %.
    """

    at: float
    first: float
    second: float
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Stretch:
    """Neighbouring matched amounts at which one side is better beyond the band.

    Attributes:
        start, end: the first and the last of them.
        better: which side.
        difference: second minus first, mean over them with the mean of the band's ends: as the band holds everywhere at
            once, this interval holds although the stretch was picked after looking.
    """

    start: float
    end: float
    better: Side
    difference: Interval


@dataclass(frozen=True)
class TrainingDifference:
    """One source or ability in both sides.

    Attributes:
        name, ability: the source, or the ability for its mean.
        questions: number of questions that all runs answered.
        points: at each matched amount.
        stretches: where one side is better beyond the band; none where no difference is shown.
        mean: second minus first, mean over training (by trapezoids over the matched amounts), with its 95 % interval.
        last: second minus first at the last matched amount, with its 95 % interval, of that point alone.
    """

    name: str
    ability: Ability
    questions: int
    points: tuple[MatchedPoint, ...]
    stretches: tuple[Stretch, ...]
    mean: Interval
    last: Interval

    @property
    def of_ability(self) -> bool:
        """Whether it is an ability's mean."""
        return self.name == self.ability

    @property
    def bound(self) -> float:
        """The largest difference that the band leaves possible at any matched amount."""
        return max(max(abs(point.low), abs(point.high)) for point in self.points)


@dataclass(frozen=True)
class TrainingComparison:
    """Two sides of training runs.

    Attributes:
        first, second: what they are called.
        first_runs, second_runs: names of their training runs.
        metric: a name of `METRICS`.
        measured_by: `step`, or what the matched amounts are of.
        amounts: the matched ones.
        over_seeds: whether the spread between seeds is in the intervals; else they speak of these runs only.
        rows: abilities first, then sources.
        notes: what else must be known.
    """

    first: str
    second: str
    first_runs: tuple[str, ...]
    second_runs: tuple[str, ...]
    metric: str
    measured_by: str
    amounts: tuple[float, ...]
    over_seeds: bool
    rows: tuple[TrainingDifference, ...]
    notes: tuple[str, ...] = ()


def compare_trainings(
    first: TrainingSide,
    second: TrainingSide,
    rng: np.random.Generator,
    *,
    metric: str = "sds",
    amount: TrainingAmount = IN_STEPS,
    allow_different: bool = False,
    resamples: int = RESAMPLES,
) -> TrainingComparison:
    """Compares two sides at the amounts of training that all their runs have. Raises as `Study`.

    Args:
        first: the baseline.
        second: the side compared with it.
        rng: source of the resamples.
        metric: a mean over questions.
        amount: what training is measured by.
        allow_different: compare in spite of other data, prompts or limits, on the questions that all have.
        resamples: bootstrap replicates.
    """
    runs = [*first.runs, *second.runs]
    study = study_of(runs, amount, allow_different=allow_different)
    on_first = [run in first.runs for run in runs]
    return TrainingComparison(
        first=first.name,
        second=second.name,
        first_runs=tuple(run.name for run in first.runs),
        second_runs=tuple(run.name for run in second.runs),
        metric=metric,
        measured_by=study.measured_by,
        amounts=tuple(study.amounts.tolist()),
        over_seeds=len(runs) > 2,
        rows=tuple(
            _difference(curve, study.amounts, METRICS[metric].higher_is_better, on_first)
            for curve in study.curves(rng, metric, resamples).curves
        ),
        notes=tuple(_notes(study, first, second)),
    )


def each_against_first(
    sides: Sequence[TrainingSide], rng: np.random.Generator, metric: str = "sds", resamples: int = RESAMPLES
) -> tuple[list[TrainingComparison], list[str]]:
    """Every further side against the first, step by step, and why some could not be compared, in words."""
    made, notes = [], []
    for side in sides[1:]:
        try:
            made.append(compare_trainings(sides[0], side, rng, metric=metric, resamples=resamples))
        except ResultsError as problem:
            notes.append(f"{side.name} is not compared with {sides[0].name}: {problem}")
    return made, notes


def training_sides(found: Sequence[tuple[str, Sequence[CheckpointResult]]]) -> tuple[list[TrainingSide], list[str]]:
    """Sides of a comparison, and what was left out, in words.

    Results without images are no runs of their own where the same side has results with them.

    Args:
        found: of each side where its results lie, and these; several trainings of one side are its seeds.

    Raises:
        ResultsError: as `training_runs`, a side without a step, or results that stand on two sides.
    """
    files = [file for _, results in found for file in {run.file for run in results}]
    if twice := [file for file, times in Counter(files).items() if times > 1]:
        raise ResultsError(f"{twice[0]} cannot be on both sides of a comparison.")
    sides = [_seen([replace(run, title="") for run in results]) for _, results in found]
    holders = Counter(experiment for of in sides for experiment in {run.experiment for run in of})
    # The same training on both sides, scored in two ways: the place of the results tells them apart.
    named = [
        [replace(run, experiment=f"{where}/{run.experiment}") if holders[run.experiment] > 1 else run for run in of]
        for (where, _), of in zip(found, sides, strict=True)
    ]
    trainings, notes = training_runs([run for of in named for run in of], at_least=1)
    of_sides = [tuple(training for training in trainings if training.results[0] in of) for of in named]
    for (where, _), of_side in zip(found, of_sides, strict=True):
        if not of_side:
            raise ResultsError(f"{where}: no training run with steps in the names of its checkpoints.")
    called = shared_names([[training.name for training in of_side] for of_side in of_sides])
    made = list(map(TrainingSide, called, of_sides))
    return made, [*notes, *(note for training in trainings for note in training.notes)]


def holds_training(results: Sequence[CheckpointResult]) -> bool:
    """Whether these results are of two or more steps of one training."""
    steps = {(run.experiment, run.step) for run in results if run.step is not None}
    return any(count > 1 for count in Counter(experiment for experiment, _ in steps).values())


def _seen(results: list[CheckpointResult]) -> list[CheckpointResult]:
    return [run for run in results if not run.withheld] or results


def metrics_of_both(runs: Sequence[TrainingRun]) -> tuple[str, str]:
    """What is compared where the user names no metric: SDS and accuracy, by bytes where a run has no token counts."""
    return default_metrics(result.sources[source] for run in runs for result in run.results for source in run.sources)


def _difference(
    curve: StudyCurve, amounts: FloatArray, higher_is_better: bool, on_first: Sequence[bool]
) -> TrainingDifference:
    sides = np.array(on_first)
    weights = difference_weights(on_first)
    found = _contrast(curve.values, curve.replicates, weights, on_first)
    band = found.band()
    mean = over_training(amounts)
    whole = _contrast((curve.values @ mean)[:, None], (curve.replicates @ mean)[:, :, None], weights, on_first)
    points = [
        MatchedPoint(*map(float, row))
        for row in zip(
            amounts,
            curve.values[sides].mean(axis=0),
            curve.values[~sides].mean(axis=0),
            found.values,
            band.low,
            band.high,
            strict=True,
        )
    ]
    return TrainingDifference(
        name=curve.name,
        ability=curve.ability,
        questions=curve.questions,
        points=tuple(points),
        stretches=tuple(_stretches(amounts, found.values, band, higher_is_better)),
        mean=whole.interval(0),
        last=found.interval(-1),
    )


def _contrast(values: FloatArray, replicates: FloatArray, weights: FloatArray, on_first: Sequence[bool]) -> Contrast:
    return contrast(weights, values, replicates, run_spread(values, on_first))


def _stretches(at: FloatArray, values: FloatArray, band: Band, higher_is_better: bool) -> Iterator[Stretch]:
    side = np.where(band.low > 0, 1, np.where(band.high < 0, -1, 0))
    for sign, places in groupby(range(len(at)), key=lambda k: int(side[k])):
        if sign == 0:
            continue
        k = list(places)
        better: Side = "second" if (sign > 0) == higher_is_better else "first"
        means = [float(column[k].mean()) for column in (values, band.low, band.high)]
        yield Stretch(float(at[k[0]]), float(at[k[-1]]), better, Interval(*means))


def _notes(study: Study, first: TrainingSide, second: TrainingSide) -> Iterator[str]:
    for run, count in zip(study.runs, study.between_checkpoints, strict=True):
        if count:
            yield (
                f"{run.name} has no checkpoint at {count} of the {len(study.amounts)} matched amounts: it is "
                "interpolated linearly between its neighbouring checkpoints."
            )
    seeds = [len(side.runs) for side in (first, second)]
    if max(seeds) == 1:
        yield (
            "One run per side: the intervals cover chance in the questions, not in the seed. They are about these two "
            "runs only; another seed of the same training can differ by more."
        )
    elif min(seeds) == 1:
        alone, several = (first, second) if seeds[0] == 1 else (second, first)
        yield f"{alone.name} is one run: it is assumed to vary as the runs of {several.name} do."

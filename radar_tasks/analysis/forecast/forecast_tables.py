"""What `radar forecast` says: forecasts of runs that have not ended, of a larger model, and the back-test of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from radar_tasks.analysis.forecast.backtest import (
    BackTest,
    HeldOut,
    back_test,
    largest_size,
    last_thirds,
)
from radar_tasks.analysis.forecast.forecasts import Forecast, forecasts
from radar_tasks.analysis.forecast.margin_tracks import METRICS, RunTrack, run_track
from radar_tasks.analysis.forecast.trials import (
    FEWEST,
    end_trials,
    is_long_enough,
    shared_late_steps,
    size_trials,
    tried_ends,
    tried_sizes,
)
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.training_runs import require_same_questions
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.results import CheckpointResult, TrainingRun


@dataclass(frozen=True)
class MeasuredPoint:
    """What was measured of an ability: the mean over its sources in one metric, at an amount (`step`, or a size)."""

    run: str
    ability: Ability
    metric: str
    along: str
    at: float
    value: float


@dataclass(frozen=True)
class ForecastTables:
    """Forecasts, what was measured until then, and how good such forecasts were where the truth is known.

    Attributes:
        forecasts: of every run that has not come to the step asked for, and of the larger model.
        measured: what they go on from: curves over steps, and the ends of runs by size.
        back_test: errors and coverage.
        held_out: each forecast of the back-test with what came out.
        notes: what could not be made, and why.
    """

    forecasts: list[Forecast] = field(default_factory=list)
    measured: list[MeasuredPoint] = field(default_factory=list)
    back_test: list[BackTest] = field(default_factory=list)
    held_out: list[HeldOut] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Larger:
    """A size to be forecast: a column of the descriptions, and the amount of it (None for the back-test alone)."""

    column: str
    amount: float | None


def forecast_tables(
    trainings: Sequence[TrainingRun],
    at: int | None = None,
    larger: Larger | None = None,
    descriptions: Sequence[RunDescription] = (),
) -> ForecastTables:
    """Forecasts of all training runs.

    Args:
        trainings: two or more checkpoints each.
        at: the step at which runs end; the last step of the longest run by default.
        larger: also forecast a model of this size, from runs to which the descriptions give theirs.
        descriptions: of the runs.

    Raises:
        ResultsError: runs were asked different questions of a source; no run has log-probabilities or enough
            checkpoints; a step that every run has passed; a size that no description gives, that is not above the sizes
            described, or fewer than two of those.
    """
    require_same_questions(trainings, {source for training in trainings for source in training.sources})
    runs = [run_track(training) for training in trainings]
    made = ForecastTables()
    long = [run for run in runs if is_long_enough(run, run.steps[-1])]
    if not long:
        raise ResultsError(
            f"a forecast needs {FEWEST} or more checkpoints of a run after step 0; there are "
            + ", ".join(f"{(run.steps > 0).sum()} of {run.name}" for run in runs)
            + "."
        )
    made.notes.extend(
        f"{run.name}: left out, {(run.steps > 0).sum()} checkpoint(s) after step 0 are too few to draw on."
        for run in runs
        if run not in long
    )
    _add_ends(made, long, at)
    if larger is not None:
        first = {training.name: training.results[0] for training in trainings}
        _add_larger(
            made, long, larger, {run.name: _size_of(first[run.name], larger.column, descriptions) for run in long}
        )
    asked_of = {row.run for row in made.forecasts}
    for run in long:
        if run.name in asked_of:
            made.measured.extend(point for step in run.steps for point in _measured(run, step, "step", step))
    return made


def _add_ends(made: ForecastTables, runs: Sequence[RunTrack], at: int | None) -> None:
    end = float(at) if at is not None else max(run.steps[-1] for run in runs)
    if all(run.steps[-1] > end for run in runs):
        first = min(run.steps[-1] for run in runs)
        raise ResultsError(
            f"--at {end:,.0f}: these runs have come to step {first:,.0f} and further; give a later step."
        )
    finished = [run for run in runs if run.steps[-1] == end]
    for run in runs:
        if run.steps[-1] < end:
            asked = end_trials(run, run.steps[-1], end, finished)
            made.forecasts.extend(forecasts(asked, tried_ends(run, end, finished)))
    if len(finished) == len(runs):
        made.notes.append(
            f"every run has come to step {end:,.0f}: nothing is left to forecast before it. --at STEP looks further; "
            "the back-test shows how well these ends could have been forecast."
        )
    held = last_thirds(runs)
    made.held_out.extend(held)
    made.back_test.extend(back_test(held, "last third"))


def _add_larger(
    made: ForecastTables, runs: Sequence[RunTrack], larger: Larger, sizes: Mapping[str, float | None]
) -> None:
    by_size = _by_size(runs, larger.column, sizes)
    made.notes.extend(
        f"{run.name}: left out of the larger model, the file of --runs gives it no {larger.column}."
        for run in runs
        if sizes[run.name] is None
    )
    steps = shared_late_steps([run for of in by_size.values() for run in of])
    if not len(steps):
        raise ResultsError("the runs of different sizes have no step in common after the first third of training.")
    if larger.amount is not None:
        if larger.amount <= max(by_size):
            raise ResultsError(
                f"{larger.column}={larger.amount:g}: the largest size of these runs is {max(by_size):g}; a larger one "
                "can be forecast."
            )
        name = f"{larger.column}={larger.amount:g}"
        asked = size_trials(by_size, larger.amount, steps[-1], None, name)
        made.forecasts.extend(forecasts(asked, tried_sizes(by_size, steps), larger.column))
        for size, of in by_size.items():
            made.measured.extend(p for run in of for p in _measured(run, steps[-1], larger.column, size))
    if len(by_size) < 3:
        made.notes.append(f"two sizes of {larger.column}: none can be held out to test a forecast.")
    held = largest_size(by_size, larger.column)
    made.held_out.extend(held)
    made.back_test.extend(back_test(held, "largest size"))


def _size_of(result: CheckpointResult, column: str, descriptions: Sequence[RunDescription]) -> float | None:
    """The size of the model that this checkpoint is of."""
    known = list(dict.fromkeys(name for row in descriptions for name in row.amounts))
    if column not in known:
        raise ResultsError(
            f"no row of the file of --runs gives {column!r} (it has {', '.join(known) or 'no amounts'})."
            f"{did_you_mean(column, known)}"
        )
    giving = (row for row in descriptions if column in row.amounts and row.is_about_training(result))
    return next((row.amounts[column] for row in giving), None)


def _by_size(runs: Sequence[RunTrack], column: str, sizes: Mapping[str, float | None]) -> dict[float, list[RunTrack]]:
    made: dict[float, list[RunTrack]] = {}
    for run in runs:
        if (size := sizes[run.name]) is not None:
            made.setdefault(size, []).append(run)
    if any(size <= 0 for size in made):
        raise ResultsError(f"{column}: a size must be above 0, there is {min(made):g}.")
    if len(made) < 2:
        raise ResultsError(
            f"{column}: a larger model is forecast from two or more sizes; the file of --runs gives "
            f"{', '.join(f'{size:g}' for size in made) or 'none'} to the runs that there are results of."
        )
    return dict(sorted(made.items()))


def _measured(run: RunTrack, step: float, along: str, at: float) -> list[MeasuredPoint]:
    """The abilities of a run at one of its steps."""
    points = []
    for ability in ABILITIES:
        of = [track.scores[track.place_of(step)] for track in run.sources.values() if track.ability == ability]
        if of:
            scores = np.mean(of, axis=0)
            points += [
                MeasuredPoint(run.name, ability, metric, along, float(at), float(scores[k]))
                for k, metric in enumerate(METRICS)
            ]
    return points

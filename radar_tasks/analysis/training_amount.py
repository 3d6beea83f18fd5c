"""How far a training has come at a checkpoint: in steps, or in images, tokens, or whatever a user counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.errors import RadarError, did_you_mean
from radar_tasks.results import CheckpointResult
from radar_tasks.results.origin import short_names


def _step(run: str, step: int) -> float:  # noqa: ARG001 (every amount is asked for a checkpoint of a run)
    return float(step)


@dataclass(frozen=True)
class TrainingAmount:
    """What training is measured by.

    Attributes:
        name: `step`, or what the user calls the amount.
        at: the amount of a training run at a step, at least 0. A run is known by its experiment, and by what
            `training_runs` calls it among all that the amount was made for.
    """

    name: str = "step"
    at: Callable[[str, int], float] = _step


IN_STEPS = TrainingAmount()


def training_amount(
    what: str, results: Sequence[CheckpointResult], descriptions: Sequence[RunDescription] = ()
) -> TrainingAmount:
    """The measure that a user asks for with `--x`.

    Args:
        what: `step`; `NAME=AMOUNT`, so much of something at each step (`images=512`); or a column of the descriptions:
            a checkpoint has its own amount where a row gives one, else its share by steps of the amount that its run
            has at its last checkpoint.
        results: the checkpoints in question.
        descriptions: of the runs.

    Raises:
        RadarError: an amount that is not a number above 0, or a column that does not place every checkpoint.
    """
    if what == "step":
        return IN_STEPS
    name, given, amount = what.partition("=")
    if given:
        try:
            a_step = float(amount)
        except ValueError:
            a_step = 0.0
        if not name or not 0 < a_step < float("inf"):
            raise RadarError(
                f"--x {what}: the amount a step must have a name and be a number above 0, as in images=512."
            )
        return TrainingAmount(name, lambda _, step: step * a_step)
    with_step = [result for result in results if result.step is not None]
    places = _places(name, with_step, descriptions)
    return TrainingAmount(name, lambda run, step: places[run, step])


def _places(
    column: str, results: Sequence[CheckpointResult], descriptions: Sequence[RunDescription]
) -> dict[tuple[str, int], float]:
    rows = [row for row in descriptions if column in row.amounts]
    if not rows:
        known = list(dict.fromkeys(name for row in descriptions for name in row.amounts))
        there = f"it has {', '.join(known)}" if known else "there is none"
        raise RadarError(
            f"--x {column}: no such column in the file of --runs ({there}).{did_you_mean(column, [*known, 'step'])} "
            f"A constant amount per step is written {column}=512."
        )
    names = short_names([result.experiment for result in results])
    places: dict[tuple[str, int], float] = {}
    for result in results:
        step = result.step or 0
        run = names[result.experiment]
        own = next((row for row in rows if row.is_about_checkpoint(result)), None)
        whole = next((row for row in rows if row.is_about_training(result)), None)
        last = max(other.step or 0 for other in results if other.experiment == result.experiment)
        if own is not None:
            amount = own.amounts[column]
        elif whole is not None and last > 0:
            amount = whole.amounts[column] * step / last
        else:
            raise RadarError(f"--x {column}: the file of --runs gives no {column} to {run}/{result.name} or to {run}.")
        places[run, step] = places[result.experiment, step] = amount
    return places

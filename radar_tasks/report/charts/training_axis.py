"""The axis of training: steps, or amounts such as images and tokens, linear or logarithmic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.errors import RadarError, did_you_mean
from radar_tasks.report.charts.figure import Datum
from radar_tasks.results import CheckpointResult
from radar_tasks.results.origin import short_names


def _step(run: str, step: int) -> float:  # noqa: ARG001 (every axis is asked for a checkpoint of a run)
    return float(step)


@dataclass(frozen=True)
class TrainingAxis:
    """Where a checkpoint stands.

    Attributes:
        title: of the axis.
        place: amount at a step of a training run, at least 0.
        log: whether the axis is logarithmic; checkpoints at 0 have no place on it and are not drawn.
    """

    title: str = "Training step"
    place: Callable[[str, int], float] = _step
    log: bool = False

    def placed(self, data: Sequence[Datum]) -> list[Datum]:
        """The data with their place `x` on this axis; what has none is left out."""
        with_place = [{**datum, "x": self.place(datum.get("run", ""), datum["step"])} for datum in data]
        return [datum for datum in with_place if datum["x"] > 0 or not self.log]

    def encoding(self, data: Sequence[Datum], small: bool = False) -> alt.X:
        """The axis of these data."""
        places = sorted({datum["x"] for datum in data})
        form = ".3~s" if places[-1] >= 10_000 else (",d" if all(x == int(x) for x in places) else "~g")
        few = len(places) < (5 if small else 8)
        ticks: dict[str, Any] = {"values": places} if few else {"tickCount": 4 if small else 7}
        axis = alt.Axis(format=form, labelOverlap="greedy", labelSeparation=6, **ticks)
        pad = (places[-1] - places[0]) * 0.012 or 1.0
        if self.log:
            scale = alt.Scale(type="log", domain=[places[0] / 1.05, places[-1] * 1.05], nice=False)
        else:
            scale = alt.Scale(domain=[places[0] - pad, places[-1] + pad], nice=False)
        title = f"{self.title} (log scale)" if self.log else self.title
        return alt.X("x:Q", title=title, scale=scale, axis=axis)


STEPS = TrainingAxis()


def training_axis(
    what: str, log: bool, results: Sequence[CheckpointResult], descriptions: Sequence[RunDescription] = ()
) -> TrainingAxis:
    """The axis that a user asks for.

    Args:
        what: `step`; `NAME=AMOUNT`, so much of something at each step (`images=512`); or a column of the descriptions:
            a checkpoint has its own amount where a row gives one, else its share by steps of the amount that its run
            has at its last checkpoint.
        log: whether the axis is logarithmic.
        results: the checkpoints that will be drawn.
        descriptions: of the runs.

    Raises:
        RadarError: an amount that is no number above 0, or a column that does not place every checkpoint.
    """
    if what == "step":
        return TrainingAxis(log=log)
    name, given, amount = what.partition("=")
    if given:
        try:
            a_step = float(amount)
        except ValueError:
            a_step = 0.0
        if not 0 < a_step < float("inf"):
            raise RadarError(f"--x {what}: the amount a step must be a number above 0, as in images=512.")
        return TrainingAxis(name.capitalize(), lambda _, step: step * a_step, log)
    drawn = [result for result in results if result.step is not None and not result.withheld]
    places = _places(name, drawn, descriptions)
    return TrainingAxis(name.capitalize(), lambda run, step: places[run, step], log)


def _places(
    column: str, results: Sequence[CheckpointResult], descriptions: Sequence[RunDescription]
) -> dict[tuple[str, int], float]:
    rows = [row for row in descriptions if column in row.amounts]
    if not rows:
        known = list(dict.fromkeys(name for row in descriptions for name in row.amounts))
        there = f"it has {', '.join(known)}" if known else "there is none"
        raise RadarError(
            f"--x {column}: no such column in the file of --runs ({there}).{did_you_mean(column, [*known, 'step'])} "
            f"So much at each step is written {column}=512."
        )
    names = short_names([result.experiment for result in results])
    places: dict[tuple[str, int], float] = {}
    for result in results:
        step = result.step or 0
        run = names[result.experiment]
        own = next((row for row in rows if row.is_about_checkpoint(result)), None)
        whole = next((row for row in rows if row.is_about(run) or row.is_about(result.experiment)), None)
        last = max(other.step or 0 for other in results if other.experiment == result.experiment)
        if own is not None:
            places[run, step] = own.amounts[column]
        elif whole is not None and last > 0:
            places[run, step] = whole.amounts[column] * step / last
        else:
            raise RadarError(f"--x {column}: the file of --runs gives no {column} to {run}/{result.name} or to {run}.")
    return places

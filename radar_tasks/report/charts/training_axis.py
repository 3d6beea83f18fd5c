"""The axis of training: steps, or amounts such as images and tokens, linear or logarithmic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.training_amount import IN_STEPS, training_amount
from radar_tasks.report.charts.figure import Datum
from radar_tasks.results import CheckpointResult


@dataclass(frozen=True)
class TrainingAxis:
    """Where a checkpoint stands.

    Attributes:
        title: of the axis.
        place: amount at a step of a training run, at least 0.
        log: whether the axis is logarithmic; checkpoints at 0 have no place on it and are not drawn.
    """

    title: str = "Training step"
    place: Callable[[str, int], float] = IN_STEPS.at
    log: bool = False

    def placed(self, data: Sequence[Datum]) -> list[Datum]:
        """The data with their place `x` on this axis, those that have one as they are; what has none is left out."""
        with_place = [
            datum if "x" in datum else {**datum, "x": self.place(datum.get("run", ""), datum["step"])} for datum in data
        ]
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
    """The axis that a user asks for: `training_amount` drawn, linear or logarithmic. Raises as that does."""
    amount = training_amount(what, [result for result in results if not result.withheld], descriptions)
    return TrainingAxis(log=log) if amount is IN_STEPS else TrainingAxis(amount.name.capitalize(), amount.at, log)

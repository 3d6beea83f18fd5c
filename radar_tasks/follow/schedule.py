"""At which steps of a training the model is measured."""

from __future__ import annotations

import math

from radar_tasks.errors import RadarError

EVERY = 500
"""Steps between two measurements where the user says nothing."""


class Schedule:
    """Steps, asked by `step in schedule`: step 0 and every N-th, or step 0 and a number of them a doubling.

    Abilities appear on the scale of log steps, so that `first=100, per_doubling=2` (0, 100, 141, 200, 283, 400, ...)
    sees as much of the first thousand steps as of the last hundred thousand.

    Args:
        every: steps between two measurements.
        first: the first step after 0 of a log-spaced schedule.
        per_doubling: measurements for each doubling of the step, 1 by default.

    Raises:
        RadarError: a number below 1, or both kinds at once.
    """

    def __init__(self, every: int | None = None, first: int | None = None, per_doubling: int | None = None) -> None:
        given = {"every": every, "first": first, "per_doubling": per_doubling}
        if wrong := [f"{name}={value}" for name, value in given.items() if value is not None and value < 1]:
            raise RadarError(f"{', '.join(wrong)}: it must be at least 1.")
        if every is not None and (first is not None or per_doubling is not None):
            raise RadarError("every=… is one schedule, first=… and per_doubling=… are another: give one of them.")
        if per_doubling is not None and first is None:
            raise RadarError("per_doubling=… needs first=…, the first step that is measured after step 0.")
        self._every = (every or EVERY) if first is None else None
        self._first, self._per_doubling = first or 1, per_doubling or 1

    def __contains__(self, step: int) -> bool:
        if self._every is not None:
            return step % self._every == 0
        if step < self._first:
            return step == 0
        nearest = round(self._per_doubling * math.log2(step / self._first))
        return round(self._first * 2 ** (nearest / self._per_doubling)) == step

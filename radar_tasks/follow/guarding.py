"""A guardian beside a model in training: alarms as they are raised, told and acted on alike on every rank."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from radar_tasks.analysis.guardian import Alarm, Guardian, Measurement
from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.results import CheckpointResult, find_runs

logger = logging.getLogger("radar")

Guard = Literal["flag", "stop"] | Callable[[Alarm], bool | None]
"""What happens with an alarm: it is only told, training shall end, or a function of the user's decides by returning
True for the end."""
ALARMS = "alarms.jsonl"
"""File beside the measurements, a line per alarm."""


def check_guard(guard: Guard) -> None:
    """Raises `RadarError` where it is none of the three."""
    if not callable(guard) and guard not in ("flag", "stop"):
        raise RadarError(f"guard={guard!r}: give 'flag', 'stop', or a function that is called with each alarm.")


class Guarding:
    """The guardian of one training, on the first rank.

    Args:
        guard: what happens with an alarm.
        output: folder of the measurements, where alarms are written, too; None for none.
        is_alike: whether an earlier process's measurement asked the same questions in the same way.

    Attributes:
        stop: whether training shall end.

    Raises:
        RadarError: `guard` is none of the three.
    """

    def __init__(self, guard: Guard, output: Path | None, is_alike: Callable[[CheckpointResult], bool]) -> None:
        check_guard(guard)
        self._guard, self._output, self._is_alike = guard, output, is_alike
        self._guardian: Guardian | None = None
        self.stop = False

    def observe(self, measurement: Measurement) -> list[Alarm]:
        """Tells and returns the alarms that this measurement raises."""
        return self._told(self._looking(measurement.step).observe(measurement))

    def not_measured(self, step: int, reason: str) -> list[Alarm]:
        """The same where the model's scores were not finite."""
        return self._told([self._looking(step).not_measured(step, reason)])

    def _looking(self, step: int) -> Guardian:
        """The guardian, who has seen what an earlier process of this training measured."""
        if self._guardian is None:
            self._guardian = Guardian()
            for result in sorted(self._earlier(), key=lambda result: result.step or 0):
                if result.step is not None and result.step < step and self._is_alike(result):
                    self._guardian.observe(Measurement.of(result))
        return self._guardian

    def _earlier(self) -> Sequence[CheckpointResult]:
        """What lies in the folder of the measurements; nothing, and a warning, where one of them cannot be read."""
        if self._output is None or not any(self._output.glob("*/*_results.json")):
            return []
        try:
            return find_runs([self._output])
        except ResultsError as error:
            logger.warning("guard: what was measured earlier is not looked at: %s", error)
            return []

    def _told(self, alarms: list[Alarm]) -> list[Alarm]:
        for alarm in alarms:
            line = json.dumps(asdict(alarm), ensure_ascii=False)
            logger.warning("%s", line)
            if self._output is not None:
                self._output.mkdir(parents=True, exist_ok=True)
                with (self._output / ALARMS).open("a", encoding="utf-8") as lines:
                    lines.write(line + "\n")
            wants_end = self._guard == "stop" if isinstance(self._guard, str) else bool(self._guard(alarm))
            self.stop = self.stop or wants_end
        return alarms


def as_results_say(scoring: dict[str, Any]) -> dict[str, Any]:
    """Settings as they come back from a results file: lists for tuples, texts for what JSON does not know."""
    plain: dict[str, Any] = json.loads(json.dumps(scoring, default=str))
    return plain

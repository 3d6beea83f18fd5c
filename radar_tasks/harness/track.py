"""Score every checkpoint of a run that has no finished result yet, and go on where a former call stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.harness.run import Harness
from radar_tasks.tracking import TrackedCheckpoint, find_checkpoints, is_settled

QUIET_SECONDS = 20.0
"""A folder in which nothing changed for so long counts as written, when watching."""


@dataclass
class Tracker:
    """Follows a run: finds its checkpoints, scores those without a finished result, keeps one results folder each.

    A result is finished when its files are whole and were made from the same data (checksums), the same weights
    (fingerprint), the same settings and the same limit.

    Attributes:
        patterns: folders or glob patterns of checkpoints.
        tasks: tasks or groups of this project.
        output: results go to `output/<name of the checkpoint's folder>`.
        model_args: further arguments of the model, `pretrained` left out.
        every, limit, batch_size: see `radar track --help`.
        say: prints one line about what happened.
    """

    patterns: Sequence[str]
    tasks: Sequence[str]
    output: Path
    model_args: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    limit: float | None = None
    batch_size: int | str = "auto"
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self._harness = Harness(self.tasks)
        self._sources = self._harness.data()
        self._failed: dict[str, str] = {}

    def once(self) -> dict[str, str]:
        """Score what is there now.

        Returns:
            The reason of each checkpoint that failed, by name; the others have their results.

        Raises:
            RadarError: nothing to track, or missing data.
        """
        self._score(find_checkpoints(self.patterns, self.every))
        return self._failed

    def watch(self, pause: float = 10.0) -> None:
        """Score what is there and what comes, until interrupted; a folder still being written is left alone so far."""
        while True:
            try:
                settled = [
                    c for c in find_checkpoints(self.patterns, self.every) if is_settled(c.folder, QUIET_SECONDS)
                ]
            except RadarError:
                settled = []  # the run has not written its first checkpoint yet
            self._score([c for c in settled if c.name not in self._failed])
            time.sleep(pause)

    def _score(self, checkpoints: Sequence[TrackedCheckpoint]) -> None:
        todo = [checkpoint for checkpoint in checkpoints if not self._is_finished(checkpoint)]
        if done := len(checkpoints) - len(todo):
            self.say(f"{done} of {len(checkpoints)} checkpoints are finished already")
        started = time.perf_counter()
        for number, checkpoint in enumerate(todo, start=1):
            reason = self._score_one(checkpoint)
            if reason is not None:
                self._failed[checkpoint.name] = reason
            passed = time.perf_counter() - started
            left = passed / number * (len(todo) - number)
            outcome = "done" if reason is None else f"FAILED: {reason}"
            self.say(
                f"[{number}/{len(todo)}] {checkpoint.name}: {outcome} ({_clock(passed)} so far, {_clock(left)} left)"
            )

    def _score_one(self, checkpoint: TrackedCheckpoint) -> str | None:
        try:
            self._harness.evaluate(
                {"pretrained": str(checkpoint.folder), **self.model_args},
                self.output / checkpoint.name,
                batch_size=self.batch_size,
                limit=self.limit,
            )
        except RadarError as error:
            return str(error)
        except Exception as error:  # one checkpoint must not take the others with it, whatever is wrong with it
            return f"{type(error).__name__}: {error}"
        return None

    def _is_finished(self, checkpoint: TrackedCheckpoint) -> bool:
        from radar_tasks.results import load_run
        from radar_tasks.scoring.checkpoints import CheckpointOptions, recognise

        try:
            run = load_run(self.output / checkpoint.name)
            described = recognise(CheckpointOptions(pretrained=str(checkpoint.folder), **self.model_args)).describe()
        except (ResultsError, FileNotFoundError):
            return False
        except RadarError:
            return False  # what is wrong with the checkpoint is said when it is scored
        same_data = {name: data["checksum"] for name, data in run.data.items()} == self._sources
        same_settings = all(run.scoring.get(name) == value for name, value in described.items())
        return same_data and same_settings and run.config.get("limit") == self.limit


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

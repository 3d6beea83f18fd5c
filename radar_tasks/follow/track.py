"""Score every checkpoint of a run that has no finished result yet, and go on where a former call stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.follow.discovery import Signature, TrackedCheckpoint, find_checkpoints, is_settled, signature
from radar_tasks.follow.finished import is_finished
from radar_tasks.follow.progress import Progress
from radar_tasks.harness.evaluation import Harness
from radar_tasks.harness.ranks import decided_by_main, failing_together, ranks
from radar_tasks.scoring.checkpoints import checkpoint_options, recognise

QUIET_SECONDS = 20.0
"""A folder in which nothing changed for so long counts as written, when watching."""

Todo = list[tuple[TrackedCheckpoint, Signature]]


@dataclass
class Tracker:
    """Follows a run: finds its checkpoints, scores those without a finished result, keeps one results folder each.

    A result is finished when its files are whole and were made from the same data (checksums), the same weights
    (fingerprint), the same settings and the same limit. Under a launcher (`torchrun`, `accelerate launch`) every
    process makes a `Tracker` and calls the same methods; the questions of a checkpoint are spread over them.

    Attributes:
        patterns: folders or glob patterns of checkpoints.
        tasks: tasks or groups of this project.
        output: results go to `output/<name of the checkpoint's folder>`.
        model_args: further arguments of the model, `pretrained` left out.
        every: only checkpoints whose step is a multiple of it.
        limit: so many questions a source, a stratified part; None for all.
        batch_size: questions a batch, or `auto`.
        feature_store: folder in which checkpoints with the same vision tower share its features; None for none.
        say: prints one line about what happened, on rank 0.

    Raises:
        RadarError: an unknown task or model argument.
        DataError: a source is missing.
    """

    patterns: Sequence[str]
    tasks: Sequence[str]
    output: Path
    model_args: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    limit: int | None = None
    batch_size: int | str = "auto"
    feature_store: Path | None = None
    say: Callable[[str], None] = print

    def __post_init__(self) -> None:
        self._options = {name: value for name, value in self.model_args.items() if name != "scoring"}
        with failing_together():
            checkpoint_options({"pretrained": "any", **self._options})
            self._harness = Harness(self.tasks)
            self._data = self._harness.data()
        self._failed: dict[str, str] = {}
        self._judged: dict[str, Signature] = {}
        self._told: set[str] = set()

    def once(self) -> dict[str, str]:
        """Score what is there now.

        Returns:
            The reason of each checkpoint that failed, by name; the others have their results.

        Raises:
            RadarError: nothing to track, or results of other settings at the same place.
        """
        self._score(decided_by_main(self._todo))
        return self._failed

    def watch(self, pause: float = 10.0) -> None:
        """Score what is there and what comes, until interrupted; a folder still being written is left alone so far.

        Args:
            pause: seconds between two looks.

        Raises:
            RadarError: results of other settings at the same place.
        """
        while True:
            self._score(decided_by_main(self._settled))
            time.sleep(pause)

    def _todo(self) -> Todo:
        """What is there and not finished."""
        return self._unfinished([(c, signature(c.folder)) for c in find_checkpoints(self.patterns, self.every)])

    def _settled(self) -> Todo:
        """What is there, new or changed since the last look, and not being written."""
        try:
            found = [(c, signature(c.folder)) for c in find_checkpoints(self.patterns, self.every)]
        except CheckpointError as error:  # the run has not written its first checkpoint yet
            self._say_once(f"waiting: {error}")
            return []
        new = [(c, files) for c, files in found if self._judged.get(c.name) != files]
        return self._unfinished([(c, files) for c, files in new if self._is_whole(c, files)])

    def _is_whole(self, checkpoint: TrackedCheckpoint, files: Signature) -> bool:
        if not is_settled(files, QUIET_SECONDS):
            return False
        try:
            recognise(checkpoint_options({"pretrained": str(checkpoint.folder), **self._options}))
        except CheckpointError as error:  # shards or index may still come
            self._say_once(f"waiting for {checkpoint.name}: {error}")
            return False
        return True

    def _unfinished(self, candidates: Todo) -> Todo:
        todo: Todo = []
        for checkpoint, files in candidates:
            if is_finished(checkpoint.folder, self.model_args, self.output / checkpoint.name, self._data, self.limit):
                self._judged[checkpoint.name] = files
            else:
                todo.append((checkpoint, files))
        if len(todo) < len(candidates):
            self.say(f"{len(candidates) - len(todo)} of {len(candidates)} checkpoints are finished already")
        return todo

    def _score(self, todo: Todo) -> None:
        questions = sum(min(about["questions"], self.limit or about["questions"]) for about in self._data.values())
        with Progress([checkpoint.name for checkpoint, _ in todo], questions, ranks(), self.say) as progress:
            for checkpoint, files in todo:
                progress.start(checkpoint.name)
                reason = self._score_one(checkpoint, progress.one_more)
                progress.finish(checkpoint.name, reason)
                self._judged[checkpoint.name] = files
                self._failed.pop(checkpoint.name, None)
                if reason is not None:
                    self._failed[checkpoint.name] = reason

    def _score_one(self, checkpoint: TrackedCheckpoint, on_scored: Callable[[], None]) -> str | None:
        """Why it failed, None if it did not."""
        try:
            self._harness.evaluate(
                {"pretrained": str(checkpoint.folder), **self.model_args},
                self.output / checkpoint.name,
                batch_size=self.batch_size,
                limit=self.limit,
                feature_store=self.feature_store,
                on_scored=on_scored,
            )
        except RadarError as error:
            return str(error)
        except Exception as error:  # one checkpoint must not take the others with it, whatever is wrong with it
            return f"{type(error).__name__}: {error}"
        return None

    def _say_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self.say(line)

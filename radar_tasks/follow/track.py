"""Score every checkpoint of a run that has no finished result yet, and go on where a former call stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError, RadarError, ResultsError
from radar_tasks.follow.discovery import (
    Signature,
    TrackedCheckpoint,
    find_checkpoints,
    is_settled,
    seconds_ahead,
    signature,
)
from radar_tasks.follow.finished import asked_alike, reason_to_score
from radar_tasks.follow.measurement_folder import headline_by_category
from radar_tasks.follow.progress import Progress, clock
from radar_tasks.follow.until import Earlier, Until, check_until, last_measurement
from radar_tasks.harness.documents import Documents
from radar_tasks.harness.evaluation import Harness
from radar_tasks.harness.ranks import decided_by_main, failing_together, ranks
from radar_tasks.questions import ABILITIES
from radar_tasks.results import CheckpointResult, load_run
from radar_tasks.results.tracker_values import tracker_values
from radar_tasks.results.until_record import until_record
from radar_tasks.run_arguments import questions_asked
from radar_tasks.scoring.checkpoints import recognise
from radar_tasks.scoring.checkpoints.model_args import options_for
from radar_tasks.store import open_source

QUIET_SECONDS = 20.0
"""A folder in which nothing changed for so long counts as written, when watching."""

TOLD_AHEAD = 60.0
"""Files dated so many seconds in the future are worth a line: the clocks of two machines differ."""


@dataclass(frozen=True)
class Candidate:
    """A checkpoint that may have to be scored.

    Attributes:
        checkpoint: which one.
        files: its files when it was looked at.
        reason: why it cannot be scored, "" as far as is known before it is loaded.
    """

    checkpoint: TrackedCheckpoint
    files: Signature
    reason: str = ""


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
        limit: so many questions per source, a stratified part; None for all.
        until: ask of these only as many as it takes to tell whether each ability rose, fell, or changed by no more than
            this SDS since the checkpoint before (`radar_tasks.follow.until`); None for all.
        batch_size: questions per batch, or `auto`.
        feature_store: folder in which checkpoints with the same vision tower share its features; None for none.
        say: prints one line about what happened, on rank 0.
        left_out: by checkpoint how many questions it was not asked, since it refuses them; on rank 0.
        on_result: given the result of each checkpoint as it is finished, on rank 0.

    Raises:
        RadarError: an unknown task or model argument, an `until` that is not between 0 and 1.
        DataError: a source is missing.
    """

    patterns: Sequence[str]
    tasks: Sequence[str]
    output: Path
    model_args: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    limit: int | None = None
    until: float | None = None
    batch_size: int | str = "auto"
    feature_store: Path | None = None
    say: Callable[[str], None] = print
    on_result: Callable[[CheckpointResult], None] = lambda _: None

    def __post_init__(self) -> None:
        with failing_together():
            options_for("any", self.model_args)
            if self.until is not None:
                check_until(self.until)
            self._harness = Harness(self.tasks)
            self._data = self._harness.data()
            self._until = None if self.until is None else self._order(self.until)
            if self._until is not None and ranks().is_main_process and (reason := self._until.saves_nothing):
                self.say(reason)
        self._failed: dict[str, str] = {}
        self.left_out: dict[str, int] = {}
        self._judged: dict[str, Signature] = {}
        self._unchanged: dict[str, tuple[Signature, float]] = {}  # since when files are as they are
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

    def _todo(self) -> list[Candidate]:
        """What is there and not finished."""
        found = find_checkpoints(self.patterns, self.every)
        return self._unfinished([self._candidate(checkpoint) for checkpoint in found])

    def _settled(self) -> list[Candidate]:
        """What is there, new or changed since the last look, and not being written."""
        try:
            found = find_checkpoints(self.patterns, self.every)
        except CheckpointError as error:  # the run has not written its first checkpoint yet
            self._say_once(f"waiting: {error}")
            return []
        candidates = [self._candidate(checkpoint) for checkpoint in found]
        new = [c for c in candidates if self._judged.get(c.checkpoint.name) != c.files]
        return self._unfinished([checked for c in new if (checked := self._whole(c)) is not None])

    def _candidate(self, checkpoint: TrackedCheckpoint) -> Candidate:
        try:
            return Candidate(checkpoint, signature(checkpoint.folder))
        except (CheckpointError, OSError) as error:
            return Candidate(checkpoint, (), str(error))

    def _whole(self, candidate: Candidate) -> Candidate | None:
        """The candidate, perhaps with the reason why it never will be scored; None while it is being written."""
        checkpoint, files = candidate.checkpoint, candidate.files
        if candidate.reason:
            return candidate
        before, since = self._unchanged.get(checkpoint.name, ((), 0.0))
        if files != before:
            since = time.monotonic()
            self._unchanged[checkpoint.name] = files, since
        if files and (ahead := seconds_ahead(files)) > TOLD_AHEAD:
            self._say_once(
                f"{checkpoint.name}: its newest file is dated {clock(ahead)} in the future, so another clock wrote it; "
                f"it counts as written when nothing has changed here for {QUIET_SECONDS:.0f} seconds."
            )
        if not is_settled(files, QUIET_SECONDS, time.monotonic() - since):
            return None
        try:
            recognise(options_for(str(checkpoint.folder), self.model_args)[0])
        except CheckpointError as error:  # shards or index may still come
            self._say_once(f"waiting for {checkpoint.name}: {error}")
            return None
        except Exception as error:  # no reader of configurations is proof against everything in them
            return replace(candidate, reason=_in_words(error))
        return candidate

    def _unfinished(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        todo: list[Candidate] = []
        for candidate in candidates:
            checkpoint = candidate.checkpoint
            results = self.output / checkpoint.name
            try:
                if candidate.reason:
                    todo.append(candidate)
                    continue
                reason = reason_to_score(
                    checkpoint.folder, self.model_args, results, self._data, limit=self.limit, until=self.until
                )
                if reason is None:
                    self._judged[checkpoint.name] = candidate.files
                    continue
                if reason:
                    self._say_once(f"{checkpoint.name} is scored again: {reason}")
                todo.append(candidate)
            except ResultsError:  # other settings: nothing may be scored before the user has chosen
                raise
            except Exception as error:  # one that cannot be read must not take the others with it
                todo.append(replace(candidate, reason=_in_words(error)))
        if len(todo) < len(candidates):
            self.say(f"{len(candidates) - len(todo)} of {len(candidates)} checkpoints are finished already")
        return todo

    def _score(self, todo: Sequence[Candidate]) -> None:
        questions = sum(questions_asked(self.limit, about["questions"]) for about in self._data.values())
        with Progress([c.checkpoint.name for c in todo], questions, ranks(), self.say) as progress:
            for candidate in todo:
                name = candidate.checkpoint.name
                progress.start(name)
                reason = candidate.reason or self._score_one(candidate.checkpoint, progress.one_more)
                result = load_run(self.output / name) if not reason and ranks().is_main_process else None
                progress.finish(name, reason, "" if result is None else in_a_line(result))
                self._judged[name] = candidate.files
                self._failed.pop(name, None)
                if reason:
                    self._failed[name] = reason
                if result is not None:
                    if refused := result.refused:
                        self.left_out[name] = refused
                    self.on_result(result)

    def _order(self, until: float) -> Until:
        """In which order questions are asked of every checkpoint."""
        there = [source for source, about in self._data.items() if not about.get("missing")]
        documents = {source: Documents.of(open_source(source)) for source in there}
        asked = [(s, k) for s, of in documents.items() for k in range(questions_asked(self.limit, len(of)))]
        return Until(until, documents, asked, [s for s in there if headline_by_category(f"radar_{s}")])

    def _last_before(self, checkpoint: TrackedCheckpoint) -> Earlier | None:
        """The results of the checkpoint before."""
        try:
            now = recognise(options_for(str(checkpoint.folder), self.model_args)[0]).describe()
        except Exception as error:  # the other ranks wait for an answer, whatever is wrong with the checkpoint
            raise CheckpointError(_in_words(error)) from error
        return last_measurement(
            self.output, checkpoint.step, self.limit, lambda result: asked_alike(result, now, self._data)
        )

    def _score_one(self, checkpoint: TrackedCheckpoint, on_scored: Callable[[], None]) -> str:
        """Why it failed, "" if it did not."""
        try:
            asking = None
            if self._until is not None:
                asking = self._until.measurement(decided_by_main(lambda: self._last_before(checkpoint)))
            self._harness.evaluate(
                {"pretrained": str(checkpoint.folder), **self.model_args},
                self.output / checkpoint.name,
                batch_size=self.batch_size,
                limit=self.limit,
                feature_store=self.feature_store,
                on_scored=on_scored,
                asking=asking,
            )
        except Exception as error:  # one checkpoint must not take the others with it, whatever is wrong with it
            return _in_words(error)
        return ""

    def _say_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            self.say(line)


def in_a_line(result: CheckpointResult) -> str:
    """The headline numbers, `perception .512 ± .021, reasoning .498 ± .020`, with half of their 95 % intervals."""
    record = until_record(result.scoring)
    numbers = tracker_values(result.sources, until=record)
    said = []
    for ability in ABILITIES:
        if (sds := numbers.get(f"radar/{ability}_sds")) is not None:
            half = numbers.get(f"radar/{ability}_sds_half_width")
            said.append(f"{ability} {sds:.3f}" + ("" if half is None else f" ± {half:.3f}"))
    said += [str(change) for change in record.changes] if record is not None else []
    if result.refused:
        said.append(f"{result.refused} question(s) left out, refused by the checkpoint")
    return ", ".join(said)


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, RadarError) else f"{type(error).__name__}: {error}"

"""`LiveEvaluator`: SDS of a model where it trains, however its weights are spread, from any training loop."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.analysis.guardian import Alarm, Measurement
from radar_tasks.errors import CheckpointError, DataError, RadarError, ResultsError
from radar_tasks.follow.finished import asked_alike
from radar_tasks.follow.guarding import Guard, Guarding, as_results_say, check_guard
from radar_tasks.follow.measurement_folder import MeasuredSource, headline_by_category, write_measurement
from radar_tasks.follow.schedule import Schedule
from radar_tasks.follow.until import Earlier, Until, UntilMeasurement, check_until, last_measurement
from radar_tasks.harness.aggregation import of_question
from radar_tasks.harness.documents import Documents, Place
from radar_tasks.harness.responses import to_response
from radar_tasks.questions import Question
from radar_tasks.results import CheckpointResult, SourceSamples, samples_of
from radar_tasks.results.tracker_values import tracker_values
from radar_tasks.results.until_record import AbilityChange, UntilRecord
from radar_tasks.scoring import OptionScore, Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.checkpoints.model_args import Withheld
from radar_tasks.scoring.engine.lockstep import (
    PATIENCE,
    GivenUpError,
    Lockstep,
    RanksApartError,
    StoppedError,
    own_error,
)
from radar_tasks.scoring.engine.logits import NOT_FINITE
from radar_tasks.store import open_source

logger = logging.getLogger("radar")

BATCH = 16
"""Most questions a batch. A measurement shall need less memory than a training step, whose batches are small."""


@dataclass(frozen=True)
class Share:
    """What one rank has to tell the others.

    Attributes:
        scores: one an option, by the question's place among all.
        reason: why it could not go on, "" if it could.
    """

    scores: Mapping[int, Sequence[OptionScore]]
    reason: str = ""


class _Asked(Sequence[Question]):
    """Questions that are read from the store when they are needed, by source and place among its documents."""

    def __init__(self, documents: Mapping[str, Documents], places: Sequence[Place]) -> None:
        self._documents = documents
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: Any) -> Any:
        source, k = self.places[index]
        return self._documents[source].question(k)

    @property
    def image_ids(self) -> list[str]:
        """One a question; the engine encodes a picture once for all questions on it."""
        return [f"{source}/{self._documents[source][k]['image_id']}" for source, k in self.places]

    def at(self, indices: Sequence[int]) -> _Asked:
        """Some of them."""
        return _Asked(self._documents, [self.places[index] for index in indices])


class LiveEvaluator:
    """Measures a model in training, from any loop:

        radar = LiveEvaluator(model, processor, ["mmbench", "spatial"], every=500, output="results/exp1")
        for step, batch in enumerate(loader):
            ...
            if step in radar.schedule:
                numbers = radar.measure(step)

    The model is given as the loop calls it: bare, or wrapped by DistributedDataParallel, FSDP (`fully_shard` or
    FullyShardedDataParallel), DeepSpeed ZeRO, torch.compile, PEFT, tensor parallelism, or several of these. How its
    weights are spread is found out, and no rank holds all of them at once unless training gives all to each (DDP) or
    wraps the model as one unit. Every rank makes an evaluator and measures at the same steps; questions are shared
    among the ranks that do not see the same data anyway.

    Weights, gradients, optimizer, modes, random states and compiled graphs are as before afterwards.

    Args:
        model: of transformers, multimodal, perhaps wrapped.
        processor: the model's.
        sources: of the store or the embedded sample, e.g. `["mmbench", "mini_sum"]`.
        questions: questions a source, a stratified part, the same at every step; None for all.
        until: ask of these questions only as many as it takes to tell whether each ability rose, fell, or changed by no
            more than this SDS since the last measurement, also one of an earlier process in `output` with the same
            `questions`; see `radar_tasks.follow.until`. None asks all of them.
        every, first, per_doubling: the schedule, see `Schedule`; every 500 steps where nothing is said.
        output: folder for the results, one a measurement (`step-000100`), which `radar analyze`, `compare` and `report`
            read; None for none.
        log: called on the first rank with the numbers and the step: `lambda numbers, step: wandb.log(numbers, step)`.
        batch_size: most questions a batch; halved when memory runs out.
        patience: seconds that a rank waits for others before an error says which did not come.
        prior: also ask every question without its picture, which is left out (`blind`) or grey (`blank`).
        guard: what happens where an ability fell beyond noise (`radar_tasks.analysis.guardian`): `flag` tells, `stop`
            asks for the end of training by `stop`, a function is called with each alarm on the first rank and asks for
            it by returning True. Alarms are logged and written to `output/alarms.jsonl`, a line of JSON each. With
            `prior` the cause is told better. None looks for no falls.
        options: further arguments of `radar_tasks.scoring.checkpoints.from_model`, e.g. `prompt_format`.

    Attributes:
        schedule: the steps to measure at.
        refused: for each source why questions are left out, one text a question: its processor refuses a picture, say.
        changes: with `until` what the last measurement decided, an ability each; none at the first.
        alarms: with `guard` those of the last measurement, the same on every rank.
        stop: with `guard` whether training shall end, the same on every rank.

    Raises:
        RadarError: an impossible schedule, an `until` that is not between 0 and 1, or a `guard` that is none.
        DataError: a source is missing, or not the same on all ranks.
        CheckpointError: no transformers model, a processor that does not fit, a `prior` where pictures are withheld, or
            a source of which no question can be asked; also where another rank has failed.
    """

    def __init__(
        self,
        model: Any,
        processor: Any,
        sources: Sequence[str],
        *,
        questions: int | None = 200,
        until: float | None = None,
        every: int | None = None,
        first: int | None = None,
        per_doubling: int | None = None,
        output: str | Path | None = None,
        log: Callable[[dict[str, float], int], None] | None = None,
        batch_size: int = BATCH,
        patience: float = PATIENCE,
        prior: Withheld | None = None,
        guard: Guard | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.schedule = Schedule(every, first, per_doubling)
        if until is not None:
            check_until(until)
        if guard is not None:
            check_guard(guard)
        self._lockstep = Lockstep(model, patience)
        with self._met_by_all():
            self._documents = {source: Documents.of(open_source(source)) for source in sources}
            self._checkpoint = from_model(self._lockstep.model, processor, **(options or {}))
            self._scorer = Scorer(self._checkpoint, batch_size=batch_size, lockstep=self._lockstep, prior=prior)
        self._check_same_data()
        self._prior = prior
        self._limit, self._log = questions, log
        self._output = None if output is None else Path(output)
        self._before: dict[str, SourceSamples] | None = None
        parts = {source: len(asked) if questions is None else questions for source, asked in self._documents.items()}
        asked = [(s, k) for s, documents in self._documents.items() for k in range(min(parts[s], len(documents)))]
        refused = self._refused(_Asked(self._documents, asked))
        self._asked = _Asked(self._documents, [place for k, place in enumerate(asked) if k not in refused])
        self.refused: dict[str, list[str]] = {source: [] for source in self._documents}
        for k, reason in refused.items():
            self.refused[asked[k][0]].append(reason)
        for source, reasons in self.refused.items():
            if all(of != source for of, _ in self._asked.places):
                raise CheckpointError(
                    f"no question of {source} can be asked: {reasons[0] if reasons else 'it has none'}"
                )
            if reasons and self._lockstep.is_first:
                logger.warning("%s: %d questions are left out, the first because: %s", source, len(reasons), reasons[0])
        by_category = [source for source in self._documents if headline_by_category(f"radar_{source}")]
        self._until = None if until is None else Until(until, self._documents, self._asked.places, by_category)
        if self._until is not None and self._lockstep.is_first and (reason := self._until.saves_nothing):
            logger.warning(reason)
        self._earlier: Earlier | None = None
        self.changes: tuple[AbilityChange, ...] = ()
        self._guarding = None if guard is None else Guarding(guard, self._output, self._is_alike)
        self.alarms: tuple[Alarm, ...] = ()
        self.stop = False

    def __len__(self) -> int:
        """Questions a measurement; with `until` the most there can be."""
        return len(self._asked)

    def measure(self, step: int) -> dict[str, float]:
        """Scores the model as it is now; every rank must call this.

        Args:
            step: the training step, for the results.

        Returns:
            The same on every rank: `radar/<source>_<metric>` and `radar/<ability>_<metric>` (see
            `radar_tasks.results.tracker_values`) for SDS, accuracy, margin and answer loss, half-widths of 95 %
            intervals, changes since the last measurement, and `radar/seconds`.

        Raises:
            CheckpointError: scoring failed on some rank; all ranks raise it, and the model is as before.
            RanksApartError: other ranks did not come within `patience`.
            ResultsError: the results cannot be written.
        """
        started = time.perf_counter()
        self.changes, self.alarms = (), ()  # not those of an earlier one, where this one fails
        asking = None if self._until is None else self._until.measurement(self._last_before(step))
        try:
            scores = self._scores(range(len(self))) if asking is None else self._scores_until(asking)
        except CheckpointError as error:
            reason = str(error)
            if NOT_FINITE in reason:
                self._guard(lambda guarding: guarding.not_measured(step, reason))
            raise
        measured = self._measured(scores)
        sources = {
            str(source.data["source"]): samples_of(
                [record["sds"] for record in source.records], dict(source.data), source.leaf, source.by_category
            )
            for source in measured
        }
        record = None if asking is None else asking.record()
        numbers = tracker_values(sources, self._before, until=record)
        self._before = sources
        if record is not None:
            self.changes = tuple(record.changes)
            self._earlier = Earlier.of(_name_of(step), sources)
        numbers["radar/seconds"] = round(time.perf_counter() - started, 3)
        reason = self._keep(step, measured, numbers, record) if self._lockstep.is_first else ""
        numbers, reason = self._lockstep.gathered((numbers, reason))[0]  # seconds differ
        if reason:
            raise ResultsError(reason)
        self._guard(lambda guarding: guarding.observe(Measurement(step, sources, as_results_say(self._how_scored()))))
        return numbers

    @contextmanager
    def _met_by_all(self) -> Iterator[None]:
        """What one rank fails at within is raised by all, for the others would wait for it."""
        own = None
        try:
            yield
        except Exception as error:
            own = error
        reasons = self._lockstep.gathered("" if own is None else _in_words(own))
        if own is not None:
            raise own
        for rank, reason in enumerate(reasons):
            if reason:
                raise CheckpointError(f"rank {rank} of {len(reasons)}: {reason}")

    def _check_same_data(self) -> None:
        """Ranks on several hosts may have stores of their own. Raises `DataError` where they hold other questions."""
        mine = {source: documents.provenance["data"]["checksum"] for source, documents in self._documents.items()}
        for rank, other in enumerate(everyone := self._lockstep.gathered(mine)):
            if other != everyone[0]:
                differing = sorted(s for s in other.keys() | everyone[0].keys() if other.get(s) != everyone[0].get(s))
                raise DataError(
                    f"rank {rank} has other questions of {', '.join(differing)} than rank 0: give every host the same "
                    "store (RADAR_HOME), and every rank the same sources."
                )

    def _guard(self, look: Callable[[Guarding], list[Alarm]]) -> None:
        """Lets the first rank's guardian look, and tells all ranks what it found.

        Raises:
            ResultsError: the alarms cannot be written, or the user's function failed; raised by all.
        """
        if self._guarding is None:
            return
        found: tuple[Alarm, ...] = ()
        reason = ""
        if self._lockstep.is_first:
            try:
                found = tuple(look(self._guarding))
            except Exception as error:  # `guard` is the user's
                reason = _in_words(error)
        self.alarms, self.stop, reason = self._lockstep.gathered((found, self._guarding.stop, reason))[0]
        if reason:
            raise ResultsError(f"guard: {reason}")

    def _scores(self, asked: Sequence[int]) -> Mapping[int, Sequence[OptionScore]]:
        """The scores of these questions, by their place among all, each asked of one group of ranks.

        Raises:
            CheckpointError: a rank has met an error; raised by all.
        """
        mine = asked[self._lockstep.share :: self._lockstep.shares]
        share = Share({})
        with self._lockstep:
            try:
                scored = self._scorer.score(self._asked.at(mine))
                scores = {mine[index]: options for index, options in scored}
                self._lockstep.finish()
                share = Share(scores)
            except RanksApartError:
                raise  # there is nobody to tell
            except StoppedError:
                pass
            except Exception as error:  # whatever it is, the other ranks must not wait for this one
                own = own_error(error)
                if not isinstance(own, GivenUpError):  # else another rank of the group says why
                    share = Share({}, _in_words(own))
                self._lockstep.stop()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        shares = self._lockstep.gathered(share)
        for rank, other in enumerate(shares):
            if other.reason:
                where = f"rank {rank} of {len(shares)}: " if len(shares) > 1 else ""
                raise CheckpointError(where + other.reason)
        return {index: options for other in shares for index, options in other.scores.items()}

    def _scores_until(self, asking: UntilMeasurement) -> Mapping[int, Sequence[OptionScore]]:
        """The scores of as many questions as it takes; every rank is told all answers, and so all ask the same next."""
        scores: dict[int, Sequence[OptionScore]] = {}
        numbers = {place: n for n, place in enumerate(self._asked.places)}
        while places := asking.next():
            new = self._scores([numbers[place] for place in places])
            scores |= new
            answers = [self._documents[source][k]["answer"] for source, k in places]
            logprobs = [[option.logprob for option in new[numbers[place]]] for place in places]
            asking.tell(dict(zip(places, answer_probability(logprobs, answers).tolist(), strict=True)))
        return scores

    def _last_before(self, step: int) -> Earlier | None:
        """The last measurement; where this process has made none, that of an earlier one, read by the first rank."""
        if self._earlier is None and self._output is not None:
            read = None
            with self._met_by_all():
                if self._lockstep.is_first:
                    read = last_measurement(self._output, step, self._limit, self._is_alike)
            self._earlier = self._lockstep.gathered(read)[0]
        return self._earlier

    def _is_alike(self, result: CheckpointResult) -> bool:
        """Whether a measurement asked the same questions in the same way."""
        now = {**self._checkpoint.describe(), "blind": self._checkpoint.options.blind}
        return asked_alike(result, now, {source: of.provenance["data"] for source, of in self._documents.items()})

    def _measured(self, scores: Mapping[int, Sequence[OptionScore]]) -> list[MeasuredSource]:
        """What came out for each source."""
        measured = []
        for source, documents in self._documents.items():
            asked = [
                (documents[k], scores[n])
                for n, (of, k) in enumerate(self._asked.places)
                if of == source and n in scores
            ]
            measured.append(
                MeasuredSource(
                    data=documents.provenance["data"],
                    prompts=["<image>".join(document["text"]) for document, _ in asked],
                    records=[
                        of_question(document, [json.loads(to_response(score)) for score in options])
                        for document, options in asked
                    ],
                    refused=self.refused[source],
                )
            )
        return measured

    def _keep(
        self,
        step: int,
        measured: Sequence[MeasuredSource],
        numbers: dict[str, float],
        record: UntilRecord | None,
    ) -> str:
        """Writes and logs on the first rank; the reason if that failed, for the others."""
        scoring = {
            **self._how_scored(),
            "prior": self._prior,
            "blind": self._checkpoint.options.blind,
            "seconds": numbers["radar/seconds"],
            "questions_scored": sum(len(source.records) for source in measured),
            **{name: version(name) for name in ("torch", "transformers")},
            "radar": version("lmms-eval-radar"),
            **({} if record is None else record.scoring),
        }
        for change in self.changes:
            logger.info("step %d: %s", step, change)
        try:
            if self._output is not None:
                write_measurement(self._output / _name_of(step), measured, scoring, self._limit)
            if self._log is not None:
                self._log(dict(numbers), step)
        except Exception as error:  # `log` is the user's
            return _in_words(error)
        return ""

    def _how_scored(self) -> dict[str, Any]:
        """What checkpoint and engine say of their settings."""
        return {**self._checkpoint.describe(), **self._scorer.describe()}

    def _refused(self, asked: _Asked) -> dict[int, str]:
        """Which questions the checkpoint cannot be asked, and why; each rank looks at some.

        That is settled once and before anything is scored, so that every step is measured on the same questions.
        """
        found: dict[int, str] = {}
        for k in range(self._lockstep.share, len(asked), self._lockstep.shares):
            try:
                if self._prior is None:
                    self._checkpoint.encode(asked[k])
                else:
                    self._checkpoint.encode_with_prior(asked[k], self._prior)
            except Exception as error:  # a processor may raise anything
                found[k] = f"{asked.places[k][0]}, {_in_words(error)}"
        everyone = {k: reason for other in self._lockstep.gathered(found) for k, reason in other.items()}
        return dict(sorted(everyone.items()))


def _name_of(step: int) -> str:
    return f"step-{step:06d}"


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, RadarError) else f"{type(error).__name__}: {error}"

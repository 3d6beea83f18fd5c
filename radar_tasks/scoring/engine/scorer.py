"""`Scorer`: questions in, option scores out, whatever the memory and the checkpoint allow."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal

import torch

from radar_tasks.errors import CheckpointError, QuestionError
from radar_tasks.questions import AskedQuestion
from radar_tasks.scoring.checkpoints.checkpoint import Checkpoint
from radar_tasks.scoring.checkpoints.model_args import Withheld, check_prior
from radar_tasks.scoring.engine.batching import next_batch
from radar_tasks.scoring.engine.image_features import FeatureStore
from radar_tasks.scoring.engine.independent import score_independently
from radar_tasks.scoring.engine.lockstep import GivenUpError, Lockstep, is_out_of_memory, own_error
from radar_tasks.scoring.engine.model_runner import RunningModel, is_no_fault_of_the_family
from radar_tasks.scoring.engine.prefetch import OnRefused, default_workers, encoded_ahead, image_ids_of, meeting_order
from radar_tasks.scoring.engine.refusals import Refusals
from radar_tasks.scoring.engine.self_check import SelfCheck, disagreement
from radar_tasks.scoring.engine.text_prior import TextPrior
from radar_tasks.scoring.engine.tower_store import TowerFeatures
from radar_tasks.scoring.engine.ways import INDEPENDENT, SHARED, WAYS, Scores, Way
from radar_tasks.scoring.types import EncodedQuestion, OptionScore

Scoring = Literal["auto", "shared", "independent"]
Reference = Mapping[int, tuple[OptionScore, ...]]

logger = logging.getLogger("radar")

FIRST_BATCH = {"cpu": 16}
"""Questions per batch that `batch_size="auto"` starts with; 64 on any other device."""

POOL_BATCHES = 8
POOL_BYTES = 1 << 30
"""Encoded questions to choose a batch from: as many as 8 batches, and at most 1 GiB of pictures."""


class _DisagreementError(Exception):
    """A way of scoring does not give the reference's numbers; in words."""


class Scorer:
    """Scores questions with a loaded checkpoint.

    Args:
        checkpoint: loaded from disk, or of a model in memory.
        scoring: `shared` computes a prompt once and spreads its cache to the options; `independent` runs one full
            forward pass per option, alone; `auto` is `shared`, checked against `independent` wherever something is new
            and on a few questions drawn at random.
        batch_size: most questions in a batch; halved when memory runs out, with a warning if it was a number.
        feature_store: folder in which checkpoints with the same vision tower share its features; needs one that was
            loaded from disk.
        workers: threads that decode and encode pictures; by default as many as there are cores to spare, at most 8.
        lockstep: of the ranks that hold the model together; `score` is then called inside it, on every rank.
        prior: also scores every question without its picture, which is left out (`blind`) or grey (`blank`). Equal
            prompts and options are scored once, so that it costs little compared with pictures.

    Raises:
        CheckpointError: a `prior` for a checkpoint that is scored without pictures in any case.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        scoring: Scoring = "auto",
        batch_size: int | Literal["auto"] = "auto",
        workers: int | None = None,
        feature_store: Path | None = None,
        lockstep: Lockstep | None = None,
        prior: Withheld | None = None,
    ) -> None:
        self._checkpoint = checkpoint
        self._lockstep = lockstep
        self._running = RunningModel(checkpoint.model, checkpoint.model_type, lockstep)
        self._limit = FIRST_BATCH.get(self._running.device.type, 64) if batch_size == "auto" else batch_size
        self._warn_of_halving = batch_size != "auto"
        self._workers = workers or default_workers()
        self._way = INDEPENDENT if scoring == "independent" else SHARED
        self._checking = scoring == "auto"
        self._check = SelfCheck()
        self._scored = 0
        self._fallback: str | None = None
        self._tower = TowerFeatures(checkpoint, feature_store) if feature_store is not None else None
        if prior is not None:
            check_prior(checkpoint.options.blind, prior)
        self._withheld = prior

    def score(
        self, questions: Sequence[AskedQuestion], on_refused: OnRefused | None = None
    ) -> Iterator[tuple[int, tuple[OptionScore, ...]]]:
        """Yields (index into `questions`, one score per option) as batches finish, in any order.

        Each question is read once, by a worker thread, shortly before it is needed. Whenever scores are yielded, the
        model is in the state in which the caller left it.

        Args:
            questions: each is read when it is needed.
            on_refused: called with the index of a question that the checkpoint cannot be asked (its processor refuses
                a picture, its context is too short, ...) and the reason; the others are scored. Without it the first
                such question ends the run.

        Raises:
            CheckpointError: the model gives scores that are not finite, or a question does not fit into memory alone.
            QuestionError: a question cannot be asked, and there is no `on_refused`.
            RadarError: a question cannot be read or encoded.
        """
        self._begin_alike()
        pool = _Pool()
        image_ids = image_ids_of(questions)
        order = range(len(questions)) if image_ids is None else meeting_order(image_ids)
        features = FeatureStore(self._running, Counter(image_ids))

        def leave_out(index: int, error: QuestionError) -> None:
            if on_refused is None:
                raise error
            if image_ids is not None:
                features.refused(image_ids[index])
            on_refused(index, error)

        refusals = Refusals(leave_out, self._lockstep)
        source = encoded_ahead(questions, order, self._encode, self._workers, lambda: self._ahead(pool), refusals.add)
        prior = TextPrior()
        while self._fill(pool, source, refusals):
            waiting = pool.questions
            chosen = next_batch(waiting, self._most)
            if not all(prior.knows(waiting[k]) for k in chosen):
                # For all that wait, since their prompts are short and many of them the same.
                self._learn(prior, waiting, features)
            scores = self._score([waiting[k] for k in chosen], features)
            if scores is None:
                continue
            self._scored += len(chosen)
            finished = pool.take(chosen)
            scores = [prior.added(question, of) for (_, question), of in zip(finished, scores, strict=True)]
            if image_ids is not None:
                for index, question in finished:
                    features.scored(image_ids[index], question)
            yield from zip((index for index, _ in finished), scores, strict=True)
        if self._tower is not None:
            self._tower.write()

    def describe(self) -> dict[str, Any]:
        """How the scores were made, for the results: way, fallback, batch size reached, dtype, device."""
        return {
            "scoring": self._way.scoring,
            "fallback": self._fallback,
            "batch_size": self._limit,
            "dtype": str(self._running.dtype).removeprefix("torch."),
            "device": str(self._running.device),
            "feature_store": "off" if self._tower is None else self._tower.state,
        }

    @property
    def _most(self) -> int:
        """Questions per batch, as things stand."""
        return self._limit if self._way.together else 1

    def _encode(self, question: AskedQuestion) -> EncodedQuestion:
        if self._withheld is None:
            return self._checkpoint.encode(question)
        return self._checkpoint.encode_with_prior(question, self._withheld)

    def _learn(self, prior: TextPrior, questions: Sequence[EncodedQuestion], features: FeatureStore) -> None:
        """Scores what these questions need without their pictures, in batches like any others."""
        waiting = prior.missing(questions)
        while waiting:
            chosen = next_batch(waiting, self._most)
            scores = self._score([waiting[k] for k in chosen], features)
            if scores is None:
                continue
            for k, of in zip(reversed(chosen), reversed(scores), strict=True):
                prior.learn(waiting.pop(k), of)

    def _begin_alike(self) -> None:
        """What earlier runs have left behind is the first rank's on all that are asked the same.

        Ranks do not stop at the same question when one has met an error: some have checked or learnt more than others.
        """
        if self._lockstep is not None:
            way = WAYS.index(self._way), self._fallback
            seen = self._limit, self._scored, self._check, self._running.learnt
            way, seen = self._lockstep.of_group((way, seen))
            self._way, self._fallback = WAYS[way[0]], way[1]
            self._limit, self._scored, self._check, self._running.learnt = seen

    def _fill(self, pool: _Pool, source: Iterator[tuple[int, EncodedQuestion]], refusals: Refusals) -> bool:
        """Tops the pool up; whether there is anything left to score."""
        while True:
            while len(pool) < POOL_BATCHES * self._limit and pool.bytes < POOL_BYTES:
                if (item := next(source, None)) is None:
                    break
                if item[0] not in refusals:
                    pool.add(*item)
            # Ranks that are asked the same fill up until none of them has left out anything new. Their pools are equal
            # then: the first questions that nobody has refused, in the same order.
            if not (left_out := refusals.settle()):
                return len(pool) > 0
            pool.leave_out(left_out)

    def _ahead(self, pool: _Pool) -> int:
        """Questions to encode ahead: two batches' worth, fewer where those in the pool are large."""
        fitting = POOL_BYTES * len(pool) // max(1, pool.bytes)
        return min(2 * self._limit, max(self._workers, fitting)) if len(pool) else self._workers

    def _score(self, batch: Sequence[EncodedQuestion], features: FeatureStore) -> Scores | None:
        """The scores of a batch, or None when memory ran out and the next batch will be smaller."""
        chosen = self._check.chosen(batch) if self._checking and self._way is not INDEPENDENT else []
        try:
            with (
                self._running.untouched(),
                nullcontext() if self._tower is None else self._tower.in_use(),
                self._running.together(),
            ):
                if chosen:
                    scores, way, problem = self._checked_scores(batch, chosen, features)
                else:
                    scores, way, problem = self._way.score(self._running, features, batch), self._way, None
        except GivenUpError as error:
            raise own_error(error) from None
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            features.clear()
            self._halve(batch)
            return None
        # Only now, when every rank that was asked the same has come so far.
        if problem is not None:
            self._fall_back(way, problem)
        if chosen:
            self._check.passed(batch)
        return scores

    def _checked_scores(
        self, batch: Sequence[EncodedQuestion], chosen: Sequence[int], features: FeatureStore
    ) -> tuple[Scores, Way, str | None]:
        """Scores of a batch, the first way that agrees with the reference, and what is wrong with the one in use."""
        reference = {k: score_independently(self._running, batch[k]) for k in chosen}
        first_problem = None
        for way in WAYS[WAYS.index(self._way) : -1]:
            scores, problem = self._tried(way, batch, reference, features)
            if problem is None:
                return scores, way, first_problem
            first_problem = first_problem or problem
        rest = [reference.get(k) or score_independently(self._running, q) for k, q in enumerate(batch)]
        return rest, INDEPENDENT, first_problem

    def _tried(
        self, way: Way, batch: Sequence[EncodedQuestion], reference: Reference, features: FeatureStore
    ) -> tuple[Scores, str | None]:
        """A batch's scores, and what is wrong with them or why there are none."""
        try:
            with self._running.together():
                scores = way.score(self._running, features, batch)
                if problem := disagreement(batch, scores, reference, self._running.dtype):
                    raise _DisagreementError(problem)
        except Exception as error:  # code of a family, which may not be made for being called like this
            if is_no_fault_of_the_family(error):
                raise
            own = own_error(error)
            said_in_words = isinstance(own, _DisagreementError | GivenUpError)
            return [], str(own) if said_in_words else f"{type(own).__name__}: {own}"
        return scores, None

    def _fall_back(self, way: Way, problem: str) -> None:
        """Goes on in another way, and says so once."""
        before = f" ({self._scored} questions were scored before this showed)" if self._scored else ""
        self._way = way
        self._fallback = problem + before if way is INDEPENDENT else f"{way.said}: {problem}{before}"
        logger.warning(
            "scoring=shared does not fit this checkpoint, continuing with %s: %s%s", way.said, problem, before
        )

    def _halve(self, batch: Sequence[EncodedQuestion]) -> None:
        if len(batch) == 1:
            raise CheckpointError(
                f"question {batch[0].q_id!r} does not fit into the memory of {self._running.device} alone "
                f"({len(batch[0].prefix_ids)} prompt tokens, {len(batch[0].continuations)} options): use smaller "
                "images (max_pixels, max_tiles), a smaller dtype, or device_map=auto."
            )
        if self._warn_of_halving:
            logger.warning("batch_size=%d does not fit into memory; continuing with smaller batches", self._limit)
            self._warn_of_halving = False
        self._limit = len(batch) // 2
        if self._running.device.type == "cuda":
            torch.cuda.empty_cache()


class _Pool:
    """Encoded questions to choose a batch from.

    Attributes:
        bytes: what their pictures take. Kept count of, since it is asked for before every question that is encoded.
    """

    def __init__(self) -> None:
        self._held: list[tuple[int, EncodedQuestion]] = []
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def questions(self) -> list[EncodedQuestion]:
        """Those that wait, in order of arrival."""
        return [question for _, question in self._held]

    def add(self, index: int, question: EncodedQuestion) -> None:
        """One more, with its index among all questions."""
        self._held.append((index, question))
        self.bytes += _bytes_of(question)

    def leave_out(self, indices: Container[int]) -> None:
        """Questions with these indices among all do not wait any longer."""
        self.take([place for place, (index, _) in enumerate(self._held) if index in indices])

    def take(self, places: Sequence[int]) -> list[tuple[int, EncodedQuestion]]:
        """Those at these places, ascending; they no longer wait."""
        taken = [self._held[place] for place in places]
        gone = frozenset(places)
        self._held = [held for place, held in enumerate(self._held) if place not in gone]
        self.bytes -= sum(_bytes_of(question) for _, question in taken)
        return taken


def _bytes_of(question: EncodedQuestion) -> int:
    parts = [question] if question.prior is None else [question, question.prior]
    return sum(value.nbytes for part in parts for value in part.vision.values() if isinstance(value, torch.Tensor))

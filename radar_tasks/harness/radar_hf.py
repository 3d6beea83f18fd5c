"""`radar_hf`: any multimodal checkpoint that transformers can load, as a log-likelihood model of lmms-eval."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NoReturn

import torch
from accelerate import PartialState
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm

from radar_tasks.errors import CheckpointError, QuestionError, RadarError
from radar_tasks.harness.patches.response_cache import ScoresOneByOne
from radar_tasks.harness.radar_task import SPLIT
from radar_tasks.harness.rank_groups import GroupQuestions
from radar_tasks.harness.ranks import ending_job, rank_and_size
from radar_tasks.harness.requests import PartOfRequests, QuestionRequests
from radar_tasks.harness.responses import to_refusal, to_response
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import load, recognise
from radar_tasks.scoring.checkpoints.model_args import options_of
from radar_tasks.scoring.checkpoints.tensor_parallel import refuse_untold_groups
from radar_tasks.scoring.engine.lockstep import Lockstep, LockstepError
from radar_tasks.scoring.types import OptionScore

Scored = tuple[int, tuple[OptionScore, ...]]
"""Index of a question among those asked for, and a score per option."""

WHERE = ("name", "revision")
"""What a checkpoint's description says of its place; its scores do not depend on it."""


class RadarHF(ScoresOneByOne, lmms):  # type: ignore[misc]
    """Scores given answers with this project's engine; it cannot generate text.

    Weights are read when the first question is scored: lmms-eval builds the model before it looks for the data, and a
    missing source must not cost minutes of loading. What is wrong with the checkpoint's folder shows at once.

    A question that the checkpoint cannot be asked (a picture that its processor refuses, a prompt longer than its
    context) is answered with the reason, and the others are scored; with `strict=true` it ends the run.

    Args:
        batch_size: prompts a batch, or `auto`. lmms-eval's own default, the number 1, means that the user said
            nothing, and is taken as `auto`; `--batch_size 1` arrives as a text and is kept.
        max_batch_size: not used, lmms-eval always passes it on.
        feature_store: folder in which checkpoints with the same vision tower share its features.
        model_args: the fields of `CheckpointOptions` and `ScoringOptions` (`radar_tasks.scoring.checkpoints`).

    Raises:
        CheckpointError: an unknown or wrong argument, or a folder that holds no multimodal checkpoint.
    """

    is_simple = True

    def __init__(
        self,
        batch_size: int | str = "auto",
        max_batch_size: int | None = None,
        feature_store: Path | str | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__()
        self._options, self._scoring = options_of(model_args)
        self._batch_size = _batch_size(batch_size)
        self._feature_store = None if feature_store is None else Path(feature_store)
        state = PartialState()
        self._rank, self._world_size = rank_and_size()
        if self._options.tp > 1:
            refuse_untold_groups(self._options.tp)
        elif self._options.device is None and self._options.device_map is None:
            self._options = self._options.model_copy(update={"device": str(state.device)})
        self._device = torch.device(self._options.device or state.device)
        self._scorer: Scorer | None = None
        self._lockstep: Lockstep | None = None
        self._description = recognise(self._options).describe() | self._scoring.model_dump(exclude={"strict"})
        self._loaded: dict[str, Any] = {}
        self._came_out: dict[str, Any] = {}

    @property
    def device(self) -> torch.device:
        """Where lmms-eval puts the small tensors with which the ranks agree on their numbers of requests."""
        return self._device

    @property
    def needs_others(self) -> bool:
        """See `ScoresOneByOne`."""
        return self._options.tp > 1

    @property
    def identity(self) -> str:
        """See `ScoresOneByOne`: weights, setup and settings, and not where they lie."""
        about = {name: value for name, value in self._description.items() if name not in WHERE}
        return hashlib.sha256(json.dumps(about, sort_keys=True, default=str).encode()).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What goes into results: checkpoint and settings, once it was loaded its type, processor and vocabulary, and
        once something was scored how that came out (way of scoring, batch size, seconds, questions of this rank)."""
        return self._description | self._loaded | self._came_out

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """One answer a request, in their order: the text of an `OptionScore` or of a refusal (see `responses`)."""
        with ending_job():
            return self.answers(requests)

    def as_scored(self, requests: list[Instance]) -> Iterator[tuple[list[Instance], list[GenerationResult]]]:
        """As `answers`, a question at a time while batches finish, so that the response cache can keep each."""
        for answered, responses in self._scored(QuestionRequests(requests, self.task_dict)):
            yield answered, [GenerationResult(response) for response in responses]

    def answers(self, requests: list[Instance]) -> list[GenerationResult]:
        """As `loglikelihood`; what goes wrong reaches the caller also with several ranks.

        Raises:
            RadarError: the checkpoint, or with `strict=true` a question that it cannot be asked.
        """
        questions = QuestionRequests(requests, self.task_dict)
        for _ in self._scored(questions):
            pass
        return [GenerationResult(response) for response in questions.responses()]

    def load(self) -> Scorer:
        """Read the weights, if that was not done yet.

        Raises:
            CheckpointError: see `radar_tasks.scoring.checkpoints.load`.
        """
        if self._scorer is None:
            checkpoint = load(self._options)
            divided = self._options.tp > 1
            self._lockstep = Lockstep(checkpoint.model) if divided else None
            self._loaded = checkpoint.describe_loaded()
            self._scorer = Scorer(
                checkpoint,
                scoring=self._scoring.scoring,
                batch_size=self._batch_size,
                prior=self._scoring.prior,
                feature_store=None if divided else self._feature_store,
                lockstep=self._lockstep,
            )
        return self._scorer

    def generate_until(self, requests: list[Instance]) -> NoReturn:
        """Raises: this model does not decode."""
        raise RadarError("radar_hf scores given answers and does not generate text; use a model of lmms-eval's own.")

    generate_until_multi_round = generate_until

    def clean(self) -> None:
        """Give the weights back; they are read again should another request come."""
        if self._scorer is not None:  # lmms-eval asks for it, and so does its caller; collecting takes seconds
            self._scorer = self._lockstep = None
            super().clean()

    def _scored(self, questions: QuestionRequests) -> Iterator[tuple[list[Instance], list[str]]]:
        """Requests and their responses as batches finish, in any order; last come those that were refused."""
        started = time.perf_counter()
        scorer = self.load()
        refused: dict[int, QuestionError] = {}
        scored = self._asked(scorer, questions, refused)
        for index, scores in self._progress(scored, len(questions)):
            yield questions.answer(index, [to_response(score) for score in scores])
        for index, error in refused.items():
            yield questions.refuse(index, to_refusal(str(error)))
        self._came_out = {
            **scorer.describe(),
            "seconds": round(time.perf_counter() - started, 3),
            "questions_scored": len(questions) - len(refused),
        }

    def _asked(
        self, scorer: Scorer, questions: QuestionRequests | PartOfRequests, refused: dict[int, QuestionError]
    ) -> Iterator[Scored]:
        """Questions and their scores as batches finish; those that cannot be asked go to `refused`."""
        if self._lockstep is None:
            return scorer.score(questions, on_refused=None if self._scoring.strict else refused.__setitem__)
        return self._with_others(scorer, self._lockstep, questions, refused)

    def _with_others(
        self,
        scorer: Scorer,
        lockstep: Lockstep,
        questions: QuestionRequests | PartOfRequests,
        refused: dict[int, QuestionError],
    ) -> Iterator[Scored]:
        """As `Scorer.score`, where ranks hold the model together: all of a group score what any of them was asked."""
        asked = GroupQuestions(
            questions, lockstep, {task: splits.get(SPLIT) for task, splits in self.task_dict.items()}
        )

        def refuse(index: int, error: QuestionError) -> None:
            if (own := asked.own(index)) is not None:
                refused[own] = error

        with lockstep:
            try:
                for index, scores in scorer.score(asked, on_refused=None if self._scoring.strict else refuse):
                    if (own := asked.own(index)) is not None:
                        yield own, scores
                lockstep.finish()
            except LockstepError:
                raise  # the others know
            except Exception:
                lockstep.stop()
                raise

    def _progress(self, scored: Iterable[Scored], total: int) -> Iterator[Scored]:
        """The scored questions, with a bar on rank 0."""
        bar = tqdm(scored, total=total, desc="Scoring", unit=" questions", disable=self._rank != 0, smoothing=0.05)
        return iter(bar)


def _batch_size(value: int | str) -> int | Literal["auto"]:
    if value == "auto" or (isinstance(value, int) and value == 1):
        return "auto"
    if str(value).isdigit() and int(value) > 0:
        return int(value)
    raise CheckpointError(f"--batch_size is {value!r}; give a number from 1 or `auto`.")

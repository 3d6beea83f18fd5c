"""`radar_hf`: any multimodal checkpoint that transformers can load, as a log-likelihood model of lmms-eval."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
from accelerate import PartialState
from lmms_eval.api.instance import GenerationResult, Instance
from lmms_eval.api.model import lmms
from tqdm import tqdm

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.harness import tasks as radar_task
from radar_tasks.harness.ranks import ending_job, rank_and_size
from radar_tasks.harness.requests import QuestionRequests
from radar_tasks.harness.responses import to_response
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import load, recognise
from radar_tasks.scoring.checkpoints.model_args import checkpoint_options
from radar_tasks.scoring.types import OptionScore

Scored = tuple[int, tuple[OptionScore, ...]]
"""Index of a question among those asked for, and a score an option."""


class RadarHF(lmms):  # type: ignore[misc]
    """Scores given answers with this project's engine; it cannot generate text.

    Weights are read when the first question is scored: lmms-eval builds the model before it looks for the data, and a
    missing source must not cost minutes of loading. What is wrong with the checkpoint's folder shows at once.

    Args:
        batch_size: prompts a batch, or `auto`. lmms-eval's own default, the number 1, means that the user said
            nothing, and is taken as `auto`; `--batch_size 1` arrives as a text and is kept.
        scoring: `auto`, `shared` or `independent`.
        feature_store: folder in which checkpoints with the same vision tower share its features.
        max_batch_size: not used, lmms-eval always passes it on.
        model_args: the fields of `radar_tasks.scoring.checkpoints.CheckpointOptions`.

    Raises:
        CheckpointError: an unknown or wrong argument, or a folder that holds no multimodal checkpoint.
    """

    is_simple = True

    def __init__(
        self,
        batch_size: int | str = "auto",
        max_batch_size: int | None = None,
        scoring: str = "auto",
        feature_store: Path | str | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__()
        self._options = checkpoint_options(model_args)
        self._scoring = _one_of("scoring", scoring, ("auto", "shared", "independent"))
        self._batch_size = _batch_size(batch_size)
        self._feature_store = None if feature_store is None else Path(feature_store)
        state = PartialState()
        self._rank, self._world_size = rank_and_size()
        if self._options.device is None and self._options.device_map is None:
            self._options = self._options.model_copy(update={"device": str(state.device)})
        self._device = torch.device(self._options.device or state.device)
        self._scorer: Scorer | None = None
        # One model runs at a time; what a former one left must not be taken for this one's.
        radar_task.model_in_use.clear()
        radar_task.model_in_use.update(recognise(self._options).describe(), scoring=self._scoring)

    @property
    def device(self) -> torch.device:
        """Where lmms-eval puts the small tensors with which the ranks agree on their numbers of requests."""
        return self._device

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """One answer a request, in their order: the JSON of an `OptionScore` (see `conventions`)."""
        with ending_job():
            return self.answers(requests)

    def as_scored(self, requests: list[Instance]) -> Iterator[tuple[list[Instance], list[GenerationResult]]]:
        """As `answers`, a question at a time while batches finish, so that the response cache can keep each."""
        for answered, responses in self._scored(QuestionRequests(requests, self.task_dict)):
            yield answered, [GenerationResult(response) for response in responses]

    def answers(self, requests: list[Instance]) -> list[GenerationResult]:
        """As `loglikelihood`; what goes wrong reaches the caller also with several ranks.

        Raises:
            RadarError: the checkpoint, or a question that it cannot be asked.
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
            self._scorer = Scorer(
                load(self._options),
                scoring=cast(Any, self._scoring),
                batch_size=self._batch_size,
                feature_store=self._feature_store,
            )
        return self._scorer

    def generate_until(self, requests: list[Instance]) -> NoReturn:
        """Raises: this model does not decode."""
        raise RadarError("radar_hf scores given answers and does not generate text; use a model of lmms-eval's own.")

    generate_until_multi_round = generate_until

    def clean(self) -> None:
        """Give the weights back; they are read again should another request come."""
        self._scorer = None
        gc.collect()
        super().clean()

    def _scored(self, questions: QuestionRequests) -> Iterator[tuple[list[Instance], list[str]]]:
        """Requests and their responses as batches finish, in any order."""
        started = time.perf_counter()
        for index, scores in self._progress(self.load().score(questions), len(questions)):
            yield questions.answer(index, [to_response(score) for score in scores])
        self._record(time.perf_counter() - started, len(questions))

    def _progress(self, scored: Iterable[Scored], total: int) -> Iterator[Scored]:
        """The scored questions, with a bar on rank 0."""
        bar = tqdm(scored, total=total, desc="Scoring", unit=" questions", disable=self._rank != 0, smoothing=0.05)
        return iter(bar)

    def _record(self, seconds: float, questions: int) -> None:
        """Add what came out (way of scoring, batch size, time) to the record of every source of this run."""
        came_out = {**self.load().describe(), "seconds": round(seconds, 3), "questions_scored": questions}
        for splits in self.task_dict.values():
            if documents := splits.get(radar_task.SPLIT):
                getattr(documents, "provenance", {}).setdefault("scoring", {}).update(came_out)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise CheckpointError(f"--model_args: {name} is {value!r}, not one of {', '.join(allowed)}.")
    return value


def _batch_size(value: int | str) -> Any:
    if value == "auto" or (isinstance(value, int) and value == 1):
        return "auto"
    if str(value).isdigit() and int(value) > 0:
        return int(value)
    raise CheckpointError(f"--batch_size is {value!r}; give a number from 1 or `auto`.")

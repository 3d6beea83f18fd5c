"""`RadarCallback`: SDS of the model in memory, every N steps of a transformers `Trainer`, training left untouched."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import torch
from accelerate.utils import gather_object
from transformers import Trainer, TrainerCallback

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.questions import ABILITIES, Question
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.store import open_source
from radar_tasks.store.document_order import document_order

if TYPE_CHECKING:
    from radar_tasks.scoring.types import OptionScore

logger = logging.getLogger("radar")


class RadarCallback(TrainerCallback):
    """Scores a stratified part of some sources during training and logs it through the Trainer.

    Logged are `radar/<source>_sds` for every source and `radar/<ability>_sds`, the unweighted mean over an ability's
    sources, so wandb, TensorBoard and trackio get them as they get the loss. The model is scored as it stands in
    memory; its mode, its gradients and every random state are as before afterwards, and the weights that come out of
    training are the same bits as without the callback. Ranks share the questions. How long it took is logged as
    `radar/seconds` and printed at the end.

    A measurement that fails before the first step ends training, for it will always fail; a later one is only told,
    for training is worth more.

    Use `RadarCallback.attach(trainer, ...)`: a callback by itself cannot log through its Trainer.

    Args:
        trainer: the Trainer.
        sources: sources of the store or the embedded sample, e.g. `["mini_digits", "mini_sum"]`.
        every: steps between two measurements; there is one before the first step, too.
        questions: questions a source, a stratified part; None for all.
        processor: the model's processor; by default the Trainer's `processing_class`.
        options: further arguments of `radar_tasks.scoring.checkpoints.from_model`, e.g. `prompt_format`.

    Raises:
        RadarError: `every` is less than 1.
        DataError: a source is missing.
        CheckpointError: there is no processor, or the model's weights are spread over ranks (FSDP, DeepSpeed ZeRO-3),
            so that no rank can score alone; use `radar track` on its checkpoints.
    """

    def __init__(
        self,
        trainer: Trainer,
        sources: Sequence[str],
        every: int,
        *,
        questions: int | None = 200,
        processor: Any = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        if every < 1:
            raise RadarError(f"RadarCallback: every={every}, it must be at least 1")
        _require_whole(trainer)
        self._trainer = trainer
        self._every = every
        self._questions = [question for source in sources for question in _part(source, questions)]
        model = trainer.accelerator.unwrap_model(trainer.model, keep_torch_compile=False)
        self._model = model
        self._scorer = Scorer(from_model(model, processor or trainer.processing_class, **(options or {})))
        self._seconds = 0.0
        self._measurements = 0
        self._began = time.perf_counter()

    @classmethod
    def attach(cls, trainer: Trainer, *args: Any, **kwargs: Any) -> RadarCallback:
        """Make a callback for this Trainer and add it."""
        callback = cls(trainer, *args, **kwargs)
        trainer.add_callback(callback)
        return callback

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Measure the model that training starts from."""
        self._began = time.perf_counter()
        if state.global_step == 0 and (reason := self._measure()):
            raise CheckpointError(f"RadarCallback: {reason}")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Measure every N-th step."""
        if state.global_step % self._every == 0 and (reason := self._measure()):
            logger.warning("step %d was not measured: %s", state.global_step, reason)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Say what the measurements cost."""
        if state.is_world_process_zero and self._measurements:
            share = self._seconds / (time.perf_counter() - self._began)
            print(
                f"RADAR: {self._measurements} measurements of {len(self._questions)} questions took "
                f"{self._seconds:.1f} s ({self._seconds / self._measurements:.2f} s each, {share:.1%} of training)",
                file=sys.stderr,
            )

    def _measure(self) -> str | None:
        """Scores, gathers and logs; the reason if that failed, the same on every rank."""
        started = time.perf_counter()
        accelerator = self._trainer.accelerator
        mine = range(accelerator.process_index, len(self._questions), accelerator.num_processes)
        outcomes = gather_object([self._score(mine)])
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # what scoring has freed is training's again
        seconds = time.perf_counter() - started
        self._seconds += seconds
        self._measurements += 1
        if reason := next((outcome for outcome in outcomes if isinstance(outcome, str)), None):
            return reason
        probabilities = {index: p for outcome in outcomes for index, p in outcome.items()}
        control = self._trainer.control
        training_logs = control.should_log
        self._trainer.log({**_averages(self._questions, probabilities), "radar/seconds": round(seconds, 3)})
        control.should_log = training_logs  # logging takes the wish back, and the loss of this step would be lost
        return None

    def _score(self, mine: Sequence[int]) -> dict[int, float] | str:
        """Probability of the answer by question, or the reason why there is none: the other ranks must not wait."""
        questions = [self._questions[index] for index in mine]
        try:
            return {
                mine[index]: _probability(questions[index], scores) for index, scores in self._scorer.score(questions)
            }
        except RadarError as error:
            return str(error)


def _part(source: str, questions: int | None) -> list[Question]:
    table = open_source(source)
    order = document_order(table.headers())
    return [table[index] for index in order[: len(order) if questions is None else questions]]


def _probability(question: Question, scores: Sequence[OptionScore]) -> float:
    return float(answer_probability([[s.logprob for s in scores]], [question.answer], [question.q_id])[0])


def _averages(questions: Sequence[Question], probabilities: Mapping[int, float]) -> dict[str, float]:
    by_source: dict[tuple[str, str], list[float]] = {}
    for index, question in enumerate(questions):
        by_source.setdefault((question.ability, question.source), []).append(probabilities[index])
    means = {key: fmean(values) for key, values in by_source.items()}
    logs = {f"radar/{source}_sds": value for (_, source), value in means.items()}
    for ability in ABILITIES:
        if values := [value for (of, _), value in means.items() if of == ability]:
            logs[f"radar/{ability}_sds"] = fmean(values)
    return logs


def _require_whole(trainer: Trainer) -> None:
    if trainer.is_fsdp_enabled or (
        trainer.is_deepspeed_enabled and trainer.accelerator.state.deepspeed_plugin.zero_stage == 3
    ):
        raise CheckpointError(
            "RadarCallback cannot score a model whose weights are spread over ranks (FSDP, ZeRO-3). "
            "Save checkpoints and follow them with `radar track`."
        )

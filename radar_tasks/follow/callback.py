"""`RadarCallback`: a `LiveEvaluator` that a transformers `Trainer` calls."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.follow.guarding import Guard, check_guard
from radar_tasks.follow.live import BATCH, LiveEvaluator
from radar_tasks.follow.schedule import Schedule
from radar_tasks.follow.until import check_until
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.checkpoints.model_args import Withheld, check_prior
from radar_tasks.scoring.engine.lockstep import PATIENCE, RanksApartError
from radar_tasks.store import open_source

logger = logging.getLogger("radar")


class RadarCallback(TrainerCallback):
    """Scores a stratified part of some sources during training and logs it through the Trainer.

    wandb, TensorBoard and trackio get the numbers of `LiveEvaluator.measure` as they get the loss. The model is scored
    as the Trainer has wrapped it (DDP, FSDP, DeepSpeed); training is as it would be without, to the last bit. How long
    it took is logged as `radar/seconds` and printed at the end.

    A measurement that fails before the first step ends training, for it will always fail; a later one is only told,
    whatever has failed, for training is worth more. Ranks agree on that, so that none waits for another; where they
    cannot, since one did not come within `patience`, training ends.

    Use `RadarCallback.attach(trainer, ...)`: a callback by itself cannot log through its Trainer.

    Args:
        trainer: the Trainer.
        sources: sources of the store or the embedded sample, e.g. `["mini_digits", "mini_sum"]`.
        every, first, per_doubling: the schedule, see `Schedule`; there is a measurement before the first step, too.
        questions: questions per source, a stratified part; None for all.
        until: ask of these only as many as it takes to decide about a change of so much SDS, as in `LiveEvaluator`.
        processor: the model's processor; by default the Trainer's `processing_class`.
        output: folder for a results folder a measurement; None for none.
        guard: `flag`, `stop` (ends training as the Trainer does it, after the step) or a function, as in
            `LiveEvaluator`; with `prior` it tells the cause better.
        batch_size, patience, prior, options: as in `LiveEvaluator`.

    Raises:
        RadarError: an impossible schedule, an `until` that is not between 0 and 1, or a `guard` that is none.
        DataError: a source is missing.
        CheckpointError: no transformers model, no processor that fits, or a `prior` where pictures are withheld.
    """

    def __init__(
        self,
        trainer: Trainer,
        sources: Sequence[str],
        every: int | None = None,
        *,
        first: int | None = None,
        per_doubling: int | None = None,
        questions: int | None = 200,
        until: float | None = None,
        processor: Any = None,
        output: str | Path | None = None,
        batch_size: int = BATCH,
        patience: float = PATIENCE,
        prior: Withheld | None = None,
        guard: Guard | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._schedule = Schedule(every, first, per_doubling)
        if until is not None:
            check_until(until)
        if guard is not None:
            check_guard(guard)
        processor = processor or trainer.processing_class
        # The Trainer wraps the model when training begins; what can be wrong until then is said now.
        for source in sources:
            open_source(source)
        check_prior(from_model(trainer.model, processor, **(options or {})).options.blind, prior)
        self._trainer = trainer
        self._settings: dict[str, Any] = {
            "processor": processor, "sources": sources, "questions": questions, "until": until, "output": output,
            "batch_size": batch_size, "patience": patience, "prior": prior, "guard": guard, "options": options,
        }  # fmt: skip
        self._evaluator: LiveEvaluator | None = None
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
        self._evaluator = None  # of another training: the Trainer has wrapped the model again
        if state.global_step == 0 and (reason := self._measure(0)):
            raise CheckpointError(f"RadarCallback: {reason}")

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Measure at the steps of the schedule."""
        if state.global_step in self._schedule and (reason := self._measure(state.global_step)):
            logger.warning("step %d was not measured: %s", state.global_step, reason)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Say what the measurements cost."""
        if state.is_world_process_zero and self._measurements and self._evaluator is not None:
            share = self._seconds / (time.perf_counter() - self._began)
            at_most = "" if self._settings["until"] is None else "at most "
            print(
                f"RADAR: {self._measurements} measurements of {at_most}{len(self._evaluator)} questions took "
                f"{self._seconds:.1f} s ({self._seconds / self._measurements:.2f} s each, {share:.1%} of training)",
                file=sys.stderr,
            )

    def _measure(self, step: int) -> str:
        """Measures and logs; the reason if that failed, the same on every rank, else ""."""
        started = time.perf_counter()
        try:
            if self._evaluator is None:
                self._evaluator = LiveEvaluator(model=self._trainer.model_wrapped, **self._settings)
            numbers = self._evaluator.measure(step)
        except RanksApartError:
            raise  # they cannot agree on going on, and their next step would wait, or meet the wrong operation
        except RadarError as error:  # `measure` makes one of whatever went wrong on any rank
            return str(error)
        finally:
            self._seconds += time.perf_counter() - started
            self._measurements += 1
            if self._evaluator is not None and self._evaluator.stop:
                self._trainer.control.should_training_stop = True
        control = self._trainer.control
        training_logs = control.should_log
        self._trainer.log(numbers)
        control.should_log = training_logs  # logging takes the wish back, and the loss of this step would be lost
        return ""

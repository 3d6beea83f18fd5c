"""Ranks that hold one model in pieces and ask it different questions: which part they put together next.

Putting a part together takes every rank of its group, at the same moment. Questions differ in pictures, length and
options, batches in size, and one rank may have run out of memory or of questions: no two ranks run the same forwards.
So before a rank enters a part it says which, and all ranks take the first part that anyone has named:

    rank 0   block 3: waits ............... lends 1, lends 2, enters 3 with rank 1
    rank 1   block 1: enters, block 2: enters, block 3
    rank 2   no question left: lends its pieces of 1, 2, 3

The part that comes first in the model is taken, so that the rank furthest behind catches up and the ranks run side by
side. A rank lends its piece without computing anything. Nobody depends on what another rank does inside a part: memory
that runs out concerns that rank alone, which tries again with fewer questions, and an exception is told to all at their
next part. Under tensor parallelism ranks do depend on each other: those of a group ask the same questions, run the same
forwards, and all of them halve their batch when one has to.

`agree` is the only way by which ranks speak, so that they can never wait for each other in two places.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import distributed, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from radar_tasks.errors import RadarError
from radar_tasks.scoring.checkpoints.wrappers import called_model, unwrapped_model
from radar_tasks.scoring.engine.sharded_parts import Part, parts_of, ranks_of_one_question
from radar_tasks.scoring.engine.watchdog import Watchdog

NOTHING = 1 << 40
"""What a rank names that wants no part. Stopping is a negative number: the first in every order."""

PATIENCE = 600.0
"""Seconds that a rank waits for the others."""

T = TypeVar("T")


class LockstepError(RadarError):
    """The ranks cannot go on together."""


class StoppedError(LockstepError):
    """Another rank has met an error, and all stop."""


class RanksApartError(LockstepError):
    """Other ranks did not come; the message names them and what they were doing."""


class PeerOutOfMemoryError(MemoryError):
    """Another rank of the tensor-parallel group has run out of memory: this one's forward is given up, too."""


class Lockstep:
    """A model as its ranks run it together; with one process, or where every rank has all weights, it does nothing.

    Every rank must make one at the same time. It is a context: inside it the model can be run.

    Args:
        model: as the training wrapped it.
        patience: seconds that a rank waits for the others; then an error names those that did not come.

    Attributes:
        model: the transformers model inside.
        share, shares: which of how many equal shares of the questions is this rank's.
        sharded: whether a forward needs other ranks.

    Raises:
        CheckpointError: there is no transformers model inside.
    """

    def __init__(self, model: Any, patience: float = PATIENCE) -> None:
        self.model = unwrapped_model(model)
        self._called = called_model(model)
        self._ranks = distributed.get_world_size() if distributed.is_initialized() else 1
        self._rank = distributed.get_rank() if self._ranks > 1 else 0
        self._group: Any = None
        self._watchdog = Watchdog(self._rank, self._ranks, patience)
        self.share, self.shares, self._peers = 0, 1, 1
        if self._ranks > 1:
            # Numbers on the CPU: the device's own queue may be held up by the very thing that is to be told.
            self._group = distributed.new_group(backend="gloo", timeout=timedelta(seconds=patience))
            asked_together = self.gathered(ranks_of_one_question(self._called))
            groups = sorted(set(asked_together))
            self.share, self.shares = groups.index(asked_together[self._rank]), len(groups)
            self._peers = asked_together.count(asked_together[self._rank])
        self._parts = parts_of(self._called)
        self.sharded = bool(self._parts)
        self._undo: contextlib.ExitStack = contextlib.ExitStack()

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""
        return self._rank == 0

    @property
    def asks_together(self) -> bool:
        """Whether other ranks ask the same questions in the same forwards (tensor parallelism)."""
        return self._peers > 1

    @property
    def dtype(self) -> torch.dtype:
        """The type that the model computes in."""
        own: torch.dtype = self.model.dtype
        return next((part.dtype for part in self._parts if part.dtype is not None), own)

    @property
    def device(self) -> torch.device | None:
        """Where a model computes whose weights lie elsewhere between forwards; None where the weights tell."""
        return next((part.device for part in self._parts if part.device is not None), None)

    def __enter__(self) -> Lockstep:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._watchdog)
            undo.enter_context(torch.compiler.set_stance("force_eager"))
            undo.enter_context(_without_hooks_of_deepspeed(self._called))
            self._parts = parts_of(self._called)
            for index, part in enumerate(self._parts):
                undo.callback(part.quiet())
                for module in part.modules:
                    undo.callback(module.register_forward_pre_hook(self._entering(index), prepend=True).remove)
                    undo.callback(module.register_forward_hook(self._leaving(part)).remove)
            if self._parts:
                after = self._called.register_forward_hook(self._forward_is_over, always_call=True)
                undo.callback(after.remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        self._undo.close()

    def forward(self, **inputs: Any) -> Any:
        """The model's output."""
        return self._called(**inputs)

    def image_features(self, **inputs: Any) -> Any:
        """What `get_image_features` of the model gives, which is called beside its forward.

        Wrappers gather weights when a module is called. So each module on the way is called, with another forward.
        """
        base = self.model.base_model
        gathering = {module for part in self._parts for module in part.modules} | {self._called}
        way = [module for module in self._called.modules() if module in gathering and base in set(module.modules())]
        return _through(way, base.get_image_features, inputs)

    def batch_is_done(self) -> None:
        """Where ranks ask the same questions, none begins the next batch before all have finished this one."""
        if self.asks_together:
            self._turn(len(self._parts), "the end of a batch")

    def ran_out_of_memory(self) -> None:
        """This rank's forward was given up; the others that ask the same questions give theirs up, too."""
        if self._peers == 1:
            return
        while self._agree(NOTHING, out_of_memory=True)[1] != self.share:
            pass  # another group's turn to be told

    def finish(self) -> None:
        """This rank has no question left; returns when no rank has.

        Raises:
            StoppedError: another rank has met an error.
        """
        while (told := self._agree(NOTHING)) != (NOTHING, NOTHING):
            if told[1] == NOTHING:
                self._lend(told[0])

    def stop(self) -> None:
        """This rank has met an error; every rank stops at the next part that it enters."""
        if self._ranks > 1:
            with contextlib.suppress(StoppedError):  # by another, at the same moment
                self._agree(-1 - self._rank)

    def gathered(self, value: T) -> list[T]:
        """Each rank's value, by rank."""
        if self._ranks == 1:
            return [value]
        values: list[Any] = [None] * self._ranks
        try:
            distributed.all_gather_object(values, value, group=self._group)
        except RuntimeError as error:
            raise RanksApartError(f"{self._watchdog.others()} ({error})") from error
        return values

    def _entering(self, index: int) -> Callable[..., None]:
        part = self._parts[index]

        def hook(*_: Any) -> None:
            if not part.whole:
                self._turn(index, part.name)
                part.gather()  # at once: an exception between here and the wrapper's own hook must not undo the turn
            self._watchdog.at(f"in {part.name or 'the model'}")

        return hook

    def _leaving(self, part: Part) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            if not part.in_use:
                part.release()

        return hook

    def _forward_is_over(self, *_: Any) -> None:
        """Also one that an exception has ended, when the wrappers' own hooks do not run."""
        for part in self._parts:
            part.abandon()

    def _turn(self, index: int, place: str) -> None:
        """Waits until it is the turn of this rank's next part, and lends pieces to others meanwhile."""
        while True:
            first, out_of_memory = self._agree(index, place=place)
            if out_of_memory == self.share:
                raise PeerOutOfMemoryError("another rank of this tensor-parallel group has run out of memory")
            if out_of_memory == NOTHING:
                if first == index:
                    return
                self._lend(first)

    def _lend(self, index: int) -> None:
        if index < len(self._parts):  # else others wait for the end of a batch
            self._watchdog.at(f"lending {self._parts[index].name or 'the model'}")
            self._parts[index].lend()

    def _agree(self, wanted: int, *, out_of_memory: bool = False, place: str = "the last question") -> tuple[int, int]:
        """The first part that any rank wants, and the first share whose forward is given up (`NOTHING`: none).

        Raises:
            StoppedError: a rank has met an error.
            RanksApartError: not all ranks came.
        """
        if self._ranks == 1:
            return wanted, NOTHING
        said = torch.tensor([wanted, self.share if out_of_memory else NOTHING])
        self._watchdog.at(f"waiting for the others before {place or 'the model'}")
        try:
            distributed.all_reduce(said, distributed.ReduceOp.MIN, group=self._group)
        except RuntimeError as error:
            raise RanksApartError(f"{self._watchdog.others()} ({error})") from error
        self._watchdog.at("between parts")
        first, given_up = said.tolist()
        if first < 0:
            raise StoppedError(f"rank {-1 - first} has met an error")
        return first, given_up


def _through(way: list[nn.Module], function: Callable[..., Any], inputs: dict[str, Any]) -> Any:
    """Calls modules inside each other, the innermost with a function in place of its forward."""
    if not way:
        return function(**inputs)
    # FSDP1's wrapper gathers in its own forward, and calls the module inside.
    target = way[0].module if isinstance(way[0], FullyShardedDataParallel) else way[0]
    own = target.__dict__.get("forward")
    target.forward = lambda **given: _through(way[1:], function, given)
    try:
        return way[0](**inputs)
    finally:
        del target.forward
        if own is not None:
            target.forward = own


@contextlib.contextmanager
def _without_hooks_of_deepspeed(model: nn.Module) -> Iterator[None]:
    """Without ZeRO-3's hooks, which gather ahead of need in an order learnt in training; afterwards as before."""
    kept = []
    for module in model.modules():
        for hooks in (module._forward_pre_hooks, module._forward_hooks):
            own = {key: hook for key, hook in hooks.items() if hook.__module__.startswith("deepspeed.")}
            if own:
                kept.append((hooks, dict(hooks)))
                for key in own:
                    del hooks[key]
    try:
        yield
    finally:
        for hooks, before in kept:  # in their order, and with those that the model has made itself at its first forward
            made = {key: hook for key, hook in hooks.items() if key not in before}
            hooks.clear()
            hooks.update({**before, **made})

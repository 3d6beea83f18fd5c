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
next part. Putting a part together takes memory on every rank, though. So they meet once more when each has it, right
before the operation among them; where one has not, all leave the part as it was, and that rank tries with fewer
questions while the others wait for their part again.

Under tensor parallelism ranks do depend on each other. Those of a group ask the same questions and run the same
forwards, and nothing that a rank finds out alone may decide how it goes on:

- before each operation in which a group adds up what its ranks have computed they meet, so that a rank whose own part
  of the work has failed can say so, and nobody begins an operation that another will not come to;
- what may fail stands in `together`: all ranks of a group leave it by its end, or all by an exception of one type;
- numbers that were found out by each (`least`) are the group's least, and what a rank has learnt in earlier runs is
  the first rank's (`of_group`).

From the first question to the last `_agree` is the only way by which ranks speak (`gathered` is for before and after),
so that they never wait for each other in two places. Only an operation that fails on one rank when the others have
begun it cannot be agreed upon: that rank ends the others.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
from torch import distributed, nn
from torch.distributed.fsdp import FullyShardedDataParallel

from radar_tasks.errors import RadarError
from radar_tasks.scoring.checkpoints.wrappers import called_model, unwrapped_model
from radar_tasks.scoring.engine.collectives import BeforeCollectives
from radar_tasks.scoring.engine.sharded_parts import Part, parts_of, ranks_of_one_question
from radar_tasks.scoring.engine.watchdog import Watchdog

NOTHING = 1 << 40
"""What a rank names that wants no part. Stopping is a negative number: the first in every order."""

BUSY = NOTHING - 1
"""What a rank names that wants no part now, and has questions left."""

PATIENCE = 600.0
"""Seconds that a rank waits for the others."""

HEARD_AFTER = 0.25
"""Part of the patience after which a rank that has met no other one does so before its next forward."""

T = TypeVar("T")


class LockstepError(RadarError):
    """The ranks cannot go on together."""


class StoppedError(LockstepError):
    """Another rank has met an error, and all stop."""


class RanksApartError(LockstepError):
    """Other ranks did not come; the message names them and what they were doing."""


class GivenUpError(RadarError):
    """A rank of the tensor-parallel group has met an error: all of the group give up what they tried together.

    On the rank that met it the error itself is the cause.
    """


class GroupOutOfMemoryError(MemoryError):
    """As `GivenUpError`, for memory that has run out."""


class _UnreadyError(Exception):
    """Another rank cannot put a part together now.

    Attributes:
        told: what `_given_up` takes where that rank is of this one's group, else 0 or more.
    """

    def __init__(self, told: int) -> None:
        super().__init__()
        self.told = told


class Lockstep:
    """A model as its ranks run it together; with one process, or where every rank has all weights, it does nothing.

    Every rank must make one at the same time. It is a context: inside it the model can be run.

    Args:
        model: as the training wrapped it.
        patience: seconds that a rank waits for the others; then an error names those that did not come.

    Attributes:
        model: the transformers model inside.
        share, shares: which of how many equal shares of the questions is this rank's.

    Raises:
        CheckpointError: there is no transformers model inside.
    """

    def __init__(self, model: Any, patience: float = PATIENCE) -> None:
        self.model = unwrapped_model(model)
        self._called = called_model(model)
        self._ranks = distributed.get_world_size() if distributed.is_initialized() else 1
        self._rank = distributed.get_rank() if self._ranks > 1 else 0
        self._group: Any = None
        self.share, self.shares, self._peers = 0, 1, 1
        if self._ranks > 1:
            # Numbers on the CPU: the device's own queue may be held up by the very thing that is to be told.
            self._group = distributed.new_group(backend="gloo", timeout=timedelta(seconds=patience))
        name = "" if self._group is None else self._group.group_name
        self._watchdog = Watchdog(name, self._rank, self._ranks, patience)
        if self._ranks > 1:
            asked_together = self.gathered(ranks_of_one_question(self._called))
            groups = sorted(set(asked_together))
            self.share, self.shares = groups.index(asked_together[self._rank]), len(groups)
            self._peers = asked_together.count(asked_together[self._rank])
        self._parts = parts_of(self._called)
        self._meeting, self._inside = False, "the model"
        self._patience, self._met = patience, time.monotonic()
        self._undo: contextlib.ExitStack = contextlib.ExitStack()

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0."""
        return self._rank == 0

    @property
    def dtype(self) -> torch.dtype:
        """The type that the model computes in."""
        own: torch.dtype = self.model.dtype
        return next((part.dtype for part in self._parts if part.dtype is not None), own)

    @property
    def device(self) -> torch.device | None:
        """Where a model computes whose weights lie elsewhere between forwards; None where the weights tell."""
        return next((part.device for part in self._parts if part.device is not None), None)

    @property
    def _grouped(self) -> bool:
        """Whether any ranks are asked the same questions; the same on every rank."""
        return self.shares < self._ranks

    def __enter__(self) -> Lockstep:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._watchdog)
            self._met = time.monotonic()
            undo.enter_context(torch.compiler.set_stance("force_eager"))
            undo.enter_context(_without_hooks_of_deepspeed(self._called))
            self._parts = parts_of(self._called)
            for index, part in enumerate(self._parts):
                undo.callback(part.quiet())
                for module in part.modules:
                    undo.callback(module.register_forward_pre_hook(self._entering(index), prepend=True).remove)
                    undo.callback(module.register_forward_hook(self._leaving(part)).remove)
            for name, module in self._called.named_modules() if self._peers > 1 else ():
                undo.callback(module.register_forward_pre_hook(self._at(name), prepend=True).remove)
            if self._parts:
                after = self._called.register_forward_hook(self._forward_is_over, always_call=True)
                undo.callback(after.remove)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: Any) -> None:
        self._undo.close()

    def forward(self, **inputs: Any) -> Any:
        """The model's output."""
        self._be_heard()
        with self._meeting_before_sums():
            return self._called(**inputs)

    def image_features(self, **inputs: Any) -> Any:
        """What `get_image_features` of the model gives, which is called beside its forward.

        Wrappers gather weights when a module is called. So each module on the way is called, with another forward.
        """
        base = self.model.base_model
        gathering = {module for part in self._parts for module in part.modules} | {self._called}
        way = [module for module in self._called.modules() if module in gathering and base in set(module.modules())]
        with self._meeting_before_sums():
            return _through(way, base.get_image_features, inputs)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What the ranks of a tensor-parallel group try together: all of them finish it, or all give it up.

        Raises:
            GroupOutOfMemoryError: memory has run out on one of them.
            GivenUpError: one of them has met another error.
        """
        if self._peers == 1:
            yield
            return
        try:
            yield
            self.least()
        except (LockstepError, GivenUpError, GroupOutOfMemoryError):
            raise  # the others know
        except Exception as error:
            # The one of the highest rank decides, where several have met one at the same moment.
            self._tell(error)

    def least(self, value: int = NOTHING, place: str = "the end of a batch") -> int:
        """The least of the values, 0 or more, that the ranks of this tensor-parallel group come here with.

        Raises:
            GroupOutOfMemoryError, GivenUpError: a rank of the group gives up what is tried `together`.
        """
        if self._peers == 1:
            return value
        first, told = self._agree(BUSY, value, place=place)
        self._lend(first)
        if told < 0:
            raise _given_up(told)
        return told

    def first_named(self, index: int | None) -> tuple[int, int] | None:
        """The least index that a rank of this tensor-parallel group names, and which rank; None where none names one.

        Raises:
            StoppedError: a rank has met an error.
        """
        told = self.least(NOTHING if index is None else index * self._ranks + self._rank, "the next question")
        return None if told == NOTHING else divmod(told, self._ranks)

    def of_group(self, value: T) -> T:
        """The value of the first rank of this rank's group; every rank of all groups must call this."""
        if not self._grouped:
            return value
        return next(of for share, of in self.gathered((self.share, value)) if share == self.share)

    def finish(self) -> None:
        """This rank has no question left; returns when no rank has.

        Raises:
            StoppedError: another rank has met an error.
        """
        while (first := self._agree(NOTHING)[0]) != NOTHING:
            self._lend(first)

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
        before = self._watchdog.place
        self._watchdog.at("waiting for the others before telling them what it has")
        try:
            distributed.all_gather_object(values, value, group=self._group)
        except RuntimeError as error:
            raise RanksApartError(f"{self._watchdog.others()} ({error})") from error
        self._watchdog.at(before)
        return values

    def _be_heard(self) -> None:
        """A rank that has all weights meets no other one by itself, and those that are done would take it for lost."""
        if self._ranks == 1 or self._grouped or time.monotonic() - self._met < HEARD_AFTER * self._patience:
            return
        before = self._watchdog.place
        self._lend(self._agree(BUSY, place="the next forward")[0])
        self._watchdog.at(before)

    def _entering(self, index: int) -> Callable[..., None]:
        part = self._parts[index]

        def hook(*_: Any) -> None:
            if not part.whole:
                self._turn(index, part.name)
            self._watchdog.at(f"in {part.name or 'the model'}")

        return hook

    def _leaving(self, part: Part) -> Callable[..., None]:
        def hook(*_: Any) -> None:
            if not part.in_use:
                part.release()

        return hook

    def _at(self, name: str) -> Callable[..., None]:
        """Where ranks wait for each other anywhere, the place is the module entered last."""

        def hook(*_: Any) -> None:
            self._inside = name or "the model"
            self._watchdog.at(f"in {self._inside}")

        return hook

    def _forward_is_over(self, *_: Any) -> None:
        """Also one that an exception has ended, when the wrappers' own hooks do not run."""
        for part in self._parts:
            part.abandon()

    def _meeting_before_sums(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext() if self._peers == 1 else BeforeCollectives(self._before_sum, self._sum_failed)

    def _before_sum(self) -> None:
        """Before an operation among ranks that the model itself begins; not one that puts a part together."""
        if not self._meeting:
            place = f"a sum over the ranks of its group in {self._inside}"
            self.least(place=place)
            self._watchdog.at(f"in {place}")

    def _sum_failed(self, error: Exception) -> NoReturn:
        if self._meeting:
            raise error  # an operation of the ranks' own, which knows what to do
        self._operation_failed(error)

    def _operation_failed(self, error: Exception) -> NoReturn:
        """An operation among ranks has failed here, and the others may have begun it: they cannot be told anything."""
        reason = f"rank {self._rank} has met an error {self._watchdog.place}: {type(error).__name__}: {error}"
        self._watchdog.end_others(reason)
        raise RanksApartError(f"{reason}; the other ranks have begun this operation, and are ended") from error

    def _turn(self, index: int, place: str) -> None:
        """Puts a part together when it is its turn, and lends pieces of others to other ranks until then."""
        part = self._parts[index]
        while True:
            first, told = self._agree(index, place=place)
            if told >= 0 and first == index:
                # At once: what is raised before the wrapper's own hook must not undo the turn.
                if self._put_together(part, part.gather):
                    return
            else:
                self._lend(first)
                if told < 0:
                    raise _given_up(told)

    def _lend(self, index: int) -> None:
        if index >= len(self._parts):  # nobody wants one
            return
        part = self._parts[index]
        was_whole = part.whole
        if not self._put_together(part, part.lend) and was_whole:
            self._turn(index, part.name)  # this rank stands inside it

    def _put_together(self, part: Part, gather_or_lend: Callable[[], None]) -> bool:
        """What every rank does with the part that they have agreed upon; False where another rank could not.

        The part is nobody's then. A rank that could not itself raises what it has met, as the rest of its
        tensor-parallel group does.
        """
        met = False

        def meet() -> None:
            nonlocal met
            if not met:  # after the first operation each rank is by itself again
                met = True
                first, told = self._agree(BUSY, place=f"putting {name} together")
                if first != BUSY:
                    raise _UnreadyError(told)
                self._watchdog.at(f"putting {name} together")

        name = part.name or "the model"
        self._watchdog.at(f"putting {name} together")
        try:
            with self._among_ranks(), BeforeCollectives(meet, self._operation_failed):
                gather_or_lend()
        except _UnreadyError as error:
            part.give_up()
            if error.told < 0:
                raise _given_up(error.told) from None
            return False
        except LockstepError:
            raise
        except Exception as error:
            part.give_up()
            if not met or self._grouped:
                told = self._agree(BUSY if met else 0, self._words_of(error), place="telling of an error")[1]
                if told < 0:
                    raise _given_up(told) from error
            raise
        # Each rank has unpacked what it got by itself. Those of a group must go on alike, whatever came of that.
        if self._grouped and (told := self._agree(BUSY, place=f"going on after putting {name} together")[1]) < 0:
            raise _given_up(told)
        return True

    def _tell(self, error: Exception) -> NoReturn:
        """This rank has met an error in what is tried together; raises what the others of its group raise."""
        first, told = self._agree(BUSY, self._words_of(error), place="telling of an error")
        self._lend(first)
        raise _given_up(told) from error

    def _words_of(self, error: Exception) -> int:
        """What `_given_up` makes of it on the other ranks; nothing where this rank has no group."""
        return NOTHING if self._peers == 1 else -1 - 2 * self._rank - (not is_out_of_memory(error))

    def _agree(self, wanted: int, value: int = NOTHING, *, place: str = "the last question") -> tuple[int, int]:
        """The first part that any rank wants, and the least value that a rank of this tensor-parallel group has named.

        All ranks must then put together that part, to enter it or to lend it. A negative value gives up what the group
        tries together. The ranks of a group come here for the same reason, unless one of them has met an error.

        Raises:
            StoppedError: a rank has met an error.
            RanksApartError: not all ranks came.
        """
        if self._ranks == 1:
            return wanted, value
        said = torch.full((1 + self.shares,), NOTHING)
        said[0], said[1 + self.share] = wanted, value
        self._watchdog.at(f"waiting for the others before {place or 'the model'}")
        try:
            with self._among_ranks():
                distributed.all_reduce(said, distributed.ReduceOp.MIN, group=self._group)
        except RuntimeError as error:
            raise RanksApartError(f"{self._watchdog.others()} ({error})") from error
        self._watchdog.at("between parts")
        self._met = time.monotonic()
        if (first := int(said[0])) < 0:
            raise StoppedError(f"rank {-1 - first} has met an error")
        return first, int(said[1 + self.share])

    @contextlib.contextmanager
    def _among_ranks(self) -> Iterator[None]:
        """While ranks speak or put a part together, which are operations among ranks themselves."""
        before, self._meeting = self._meeting, True
        try:
            yield
        finally:
            self._meeting = before


def _given_up(told: int) -> GivenUpError | GroupOutOfMemoryError:
    """What a negative value of `_agree` stands for."""
    rank, other = divmod(-1 - told, 2)
    if other:
        return GivenUpError(f"rank {rank} of this tensor-parallel group has met an error")
    return GroupOutOfMemoryError(f"rank {rank} of this tensor-parallel group has run out of memory")


def own_error(error: Exception) -> Exception:
    """What this rank itself has met, where its group has given something up; else the error as it is."""
    cause = error.__cause__
    return cause if isinstance(error, GivenUpError) and isinstance(cause, Exception) else error


def is_out_of_memory(error: Exception) -> bool:
    """CUDA has a type for it; the CPU allocator raises a RuntimeError with a message."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "allocate memory" in str(error)


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

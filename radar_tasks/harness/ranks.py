"""Several processes as one: what one of them decides all do, and what fails in one fails in all."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn, TypeVar, cast

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list, gather_object
from torch import distributed

from radar_tasks.errors import RadarError

PATIENCE = timedelta(days=2)
"""How long a rank waits for the others: one may have hours more to score. A launcher ends all when one has died."""

T = TypeVar("T")


class AgreedError(RadarError):
    """An error that every rank raises at the same place, so that none waits for another."""


def ranks() -> PartialState:
    """The processes of this job, met at the first call; one without a launcher."""
    # Without this accelerate takes no notice of a launcher on a machine that has nothing but CPUs.
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=PATIENCE)


def rank_and_size() -> tuple[int, int]:
    """This process's rank and the number of processes.

    torch says it, not accelerate: on a machine without GPUs lmms-eval's own command meets the other processes, and its
    accelerate still believes that there is one.
    """
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def decided_by_main(decide: Callable[[], T]) -> T:
    """What rank 0 finds, on every rank; what it raises, too.

    Raises:
        RadarError: rank 0 did.
    """
    if ranks().num_processes == 1:
        return decide()
    outcome: list[Any] = [None, None]
    if ranks().is_main_process:
        try:
            outcome[0] = decide()
        except RadarError as error:
            outcome[1] = str(error)
    broadcast_object_list(outcome)
    value, reason = outcome
    if reason is not None:
        raise AgreedError(reason)
    return cast("T", value)


def gathered(value: T) -> list[T]:
    """What every rank has, in their order, on each of them."""
    return [value] if ranks().num_processes == 1 else cast("list[T]", gather_object([value]))


@contextmanager
def failing_together() -> Iterator[None]:
    """An error of ours in one process leaves the block in all of them, so that none waits for one that has gone.

    Every process must enter the block. Alone it does nothing.

    Raises:
        AgreedError: with several processes, in all of them and with the same text, when any of them met an error of
            ours. It names the rank unless all met the same.
        SystemExit: with several processes, any other exception (see `ending_job`).
    """
    if ranks().num_processes == 1:
        yield
        return
    reason = None
    try:
        yield
    except AgreedError:
        raise
    except RadarError as error:
        reason = str(error)
    except Exception as error:
        _end_job(error)
    reasons = cast("list[str | None]", gather_object([reason]))
    if told := [(rank, text) for rank, text in enumerate(reasons) if text is not None]:
        rank, text = told[0]
        raise AgreedError(text if len(told) == len(reasons) else f"rank {rank} of {len(reasons)}: {text}")


@contextmanager
def ending_job() -> Iterator[None]:
    """With several processes an error inside ends this one, and the launcher then ends the others.

    For code in which ranks wait for each other, and for bugs and broken devices, of which nobody knows whether the
    next checkpoint can do without them. Errors that all ranks agreed on pass.

    Raises:
        SystemExit: with several processes.
    """
    try:
        yield
    except AgreedError:
        raise
    except Exception as error:
        if rank_and_size()[1] == 1:
            raise
        _end_job(error)


def _end_job(error: Exception) -> NoReturn:
    traceback.print_exception(error)
    print(f"rank {rank_and_size()[0]} ends the job: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    raise SystemExit(1) from error

"""Says which rank is where when ranks wait for each other too long, and ends a process that cannot be woken."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import time
from typing import Any

from torch import distributed

TOLD_AFTER = 0.5
"""Part of the patience after which a rank that has not moved writes down where it is, for the others to read."""

ENDED_AFTER = 1.5
"""Part of the patience after which a rank that sits in a collective operation of the model is ended. One that waits for
the others by `Lockstep` gets an exception earlier."""

ALONE = "scoring its own questions"
"""Where every rank has all weights it needs nobody, and takes as long as it takes."""


FAILED = "failed"
"""Under which a rank writes down why the others cannot go on."""


class Watchdog:
    """Watches this rank inside a `with` block.

    Args:
        name: that no other watchdog of these ranks has.
        rank, ranks: this one's number, and how many there are.
        patience: seconds without a move that count as a hang.
    """

    def __init__(self, name: str, rank: int, ranks: int, patience: float) -> None:
        self._name, self._rank, self._ranks, self._patience = name, rank, ranks, patience
        self._round = 0
        self._place, self._since = "outside of a measurement", time.monotonic()
        self._over = threading.Event()
        self._failed = False
        self._store: Any = None

    def __enter__(self) -> Watchdog:
        self._round += 1
        if self._ranks > 1:
            # Where the ranks met. There is no public way to it; seen in torch 2.15, see test_private_names.py.
            store = distributed.distributed_c10d._get_default_store()
            self._store = distributed.distributed_c10d.PrefixStore(f"radar-{self._name}-{self._round}", store)
            self._over = threading.Event()
            self.at(ALONE)
            threading.Thread(target=self._watch, args=(self._over,), name="radar-watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()

    @property
    def place(self) -> str:
        """Where this rank is."""
        return self._place

    def at(self, place: str) -> None:
        """This rank has come to a place."""
        self._place, self._since = place, time.monotonic()

    def end_others(self, reason: str) -> None:
        """The other ranks sit in an operation to which this one cannot come any more: they end, and say why."""
        self._failed = True
        with contextlib.suppress(RuntimeError):
            self._store.set(FAILED, reason)

    def others(self) -> str:
        """Which ranks did not come and what they said last, in words."""
        missing = []
        for rank in range(self._ranks):
            if rank != self._rank:
                said = self._said(f"{rank}")
                if said is None:
                    missing.append(f"rank {rank} has not said where it is: it has ended, or it never began to measure")
                elif not said.startswith("waiting"):
                    missing.append(f"rank {rank} has not moved since it was {said}")
        where = f"rank {self._rank} was {self._place} for {self._patience:.0f} seconds"
        return f"{where}; {'; '.join(missing) or 'every other rank waits, too'}"

    def _said(self, key: str) -> str | None:
        with contextlib.suppress(RuntimeError):  # the rank that keeps the store may be the one that has gone
            if self._store.check([key]):
                return str(self._store.get(key).decode())
        return None

    def _watch(self, over: threading.Event) -> None:
        tick = min(5.0, self._patience / 8)
        while not over.wait(tick):
            still = time.monotonic() - self._since
            if still > TOLD_AFTER * self._patience:
                with contextlib.suppress(RuntimeError):
                    self._store.set(f"{self._rank}", self._place)
            if still > tick and not self._failed and (reason := self._said(FAILED)) is not None:
                self._end(f"{reason}. Rank {self._rank} was {self._place}")
            if still > ENDED_AFTER * self._patience and self._place != ALONE:
                self._end(self.others())

    def _end(self, reason: str) -> None:
        """There is no other way out of an operation among ranks."""
        print(f"radar: {reason}. Ended; this is where it was:", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(all_threads=True)
        os._exit(1)

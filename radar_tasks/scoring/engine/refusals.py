"""Questions that a checkpoint cannot be asked, as ranks that are asked the same ones agree on them."""

from __future__ import annotations

from radar_tasks.errors import QuestionError
from radar_tasks.scoring.engine.lockstep import Lockstep
from radar_tasks.scoring.engine.prefetch import OnRefused


class Refusals:
    """Collects what cannot be asked, and tells it at a moment at which all ranks of a tensor-parallel group can.

    A picture may be unreadable on one rank alone (its disk, its memory): the others leave the question out, too.

    Args:
        leave_out: called once for each question with the reason.
        lockstep: of the ranks; None where this process scores alone.
    """

    def __init__(self, leave_out: OnRefused, lockstep: Lockstep | None) -> None:
        self._leave_out, self._lockstep = leave_out, lockstep
        self._own: dict[int, QuestionError] = {}
        self._left_out: set[int] = set()

    def __contains__(self, index: object) -> bool:
        """Whether a question is left out already, because another rank could not ask it."""
        return index in self._left_out

    def add(self, index: int, error: QuestionError) -> None:
        """This rank cannot ask a question."""
        if index not in self._left_out:
            self._own[index] = error

    def settle(self) -> set[int]:
        """The questions that are left out from now on, since some rank could not ask them."""
        found = set()
        while (named := self._named()) is not None:
            index, reason = named
            found.add(index)
            self._left_out.add(index)
            self._leave_out(index, reason)
        return found

    def _named(self) -> tuple[int, QuestionError] | None:
        own = min(self._own, default=None)
        if self._lockstep is None:
            return None if own is None else (own, self._own.pop(own))
        if (named := self._lockstep.first_named(own)) is None:
            return None
        index, rank = named
        other = QuestionError(f"rank {rank}, which is asked the same questions, could not ask it; its own log says why")
        return index, self._own.pop(index, other)

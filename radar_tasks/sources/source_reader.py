"""What every reader of a source yields, and the choices that are made by a hash instead of by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from radar_tasks.questions import Question


@dataclass(frozen=True)
class Rejected:
    """A question that cannot be used.

    Attributes:
        q_id: its name in the file, "" where the file as a whole is meant.
        file: the file that holds it, as a user would look for it.
        reasons: everything that is wrong with it, in words; empty if it is left out for another reason.
        too_many_images: left out as the official scripts do; not an error.
        left_out: of what kind a row is that is none of the questions, "" for a broken one; not an error.
    """

    q_id: str
    file: str
    reasons: tuple[str, ...] = ()
    too_many_images: bool = False
    left_out: str = ""


class SourceReader(Protocol):
    """One source to be read.

    Attributes:
        source: its name.
        kind: where such a source comes from, see `store.Origin`.
        location: the folder, archive, table or data set, as the user gave it.
    """

    source: str
    location: str

    @property
    def kind(self) -> Literal["release", "public", "table"]:
        """See above."""

    def fingerprint(self) -> str:
        """Digest of names, sizes and dates of what would be read: equal means that nothing has changed."""

    def __len__(self) -> int:
        """How many items `read` yields, for a progress bar; an estimate will do."""

    def read(self) -> Iterator[Question | Rejected]:
        """The questions one by one, each with everything that is wrong with it."""


STAND_IN = "stand-in: "
"""How the rule of a question begins whose distractor was not made by the paper's recipe."""


def stable_choice(q_id: str, purpose: str, count: int) -> int:
    """A number from 0 to `count - 1` that depends on nothing but the q_id and what is being chosen.

    So neither the order of files, nor the run, nor the machine changes a question.
    """
    return int.from_bytes(hashlib.sha256(f"{purpose}\0{q_id}".encode(errors="replace")).digest()[:8], "big") % count


def arranged(q_id: str, answer: str, distractors: Sequence[str]) -> tuple[tuple[str, ...], int]:
    """The options with the answer at a place chosen by the q_id's hash, distractors in their order; and that place.

    The place carries no meaning, and nothing may learn that the answer comes first.
    """
    place = stable_choice(q_id, "place of the answer", len(distractors) + 1)
    return (*distractors[:place], answer, *distractors[place:]), place

"""The audit of questions: five lists, and what could not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from radar_tasks.analysis.audit.audited_source import AuditedSource
from radar_tasks.analysis.audit.blind_solvable import BlindSolvable, blind_solvable
from radar_tasks.analysis.audit.duplicates import Duplicate, duplicates
from radar_tasks.analysis.audit.giveaways import Giveaway, giveaways
from radar_tasks.analysis.audit.never_answered import NeverAnswered, never_answered
from radar_tasks.analysis.audit.wrong_keys import WrongKey, wrong_keys

Kind = Literal["wrong_key", "blind_solvable", "never_answered", "duplicates", "giveaways"]
KINDS: tuple[Kind, ...] = ("wrong_key", "blind_solvable", "never_answered", "duplicates", "giveaways")


@dataclass(frozen=True)
class NotLookedAt:
    """A list that says nothing of a source, or not all: an empty one is then no clean one.

    Attributes:
        kind: the list.
        source: the source.
        why: what is missing.
    """

    kind: Kind
    source: str
    why: str


@dataclass(frozen=True)
class Reason:
    """Why a list says nothing, or not all, of these sources."""

    sources: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class AuditedPart:
    """What was audited of a source.

    Attributes:
        source: its name.
        questions: how many.
        checkpoints, blind: results that saw the pictures, and those without them.
        best_accuracy: of the checkpoint with the highest; None where none saw the pictures.
        chance: accuracy of one that knows nothing.
    """

    source: str
    questions: int
    checkpoints: int
    blind: int
    best_accuracy: float | None
    chance: float


@dataclass(frozen=True)
class QuestionAudit:
    """What was found. A question may stand in several lists, but in one of `wrong_key` and `never_answered` only.

    Attributes:
        wrong_key, blind_solvable, never_answered, duplicates, giveaways: the questions, the plainest first.
        not_looked_at: of which list nothing, or not all, could be said for which source.
        sources: what was audited.
        notes: results that were left out, in words.
    """

    wrong_key: tuple[WrongKey, ...]
    blind_solvable: tuple[BlindSolvable, ...]
    never_answered: tuple[NeverAnswered, ...]
    duplicates: tuple[Duplicate, ...]
    giveaways: tuple[Giveaway, ...]
    not_looked_at: tuple[NotLookedAt, ...]
    sources: tuple[AuditedPart, ...]
    notes: tuple[str, ...] = ()

    def count(self, kind: Kind, source: str) -> str:
        """Questions of a source that a list names: `2`, or `?` where nothing can be said, `2?` where more may be."""
        named = sum(row.source == source for row in getattr(self, kind))
        if not any(row.kind == kind and row.source == source for row in self.not_looked_at):
            return str(named)
        # Without pictures duplicates are still looked for by name; no other list looks at a part.
        return f"{named}?" if kind == "duplicates" else "?"

    def reasons(self, kind: Kind) -> tuple[Reason, ...]:
        """What a list could not look at, sources of one reason together."""
        found: dict[str, list[str]] = {}
        for row in self.not_looked_at:
            if row.kind == kind:
                found.setdefault(row.why, []).append(row.source)
        return tuple(Reason(tuple(sources), why) for why, sources in found.items())


def audit_questions(sources: Sequence[AuditedSource], notes: Sequence[str] = ()) -> QuestionAudit:
    """Audits the questions of these sources.

    Args:
        sources: from `radar_tasks.analysis.audit.audited_source.audited_sources`.
        notes: what was left out there.
    """
    wrong: list[WrongKey] = []
    never: list[NeverAnswered] = []
    missing: list[NotLookedAt] = []
    for source in sources:
        keys, why = wrong_keys(source)
        wrong += keys
        if why:
            missing.append(NotLookedAt("wrong_key", source.name, why))
        unanswered, why = never_answered(source, {row.q_id for row in keys})
        never += unanswered
        if why:
            missing.append(NotLookedAt("never_answered", source.name, why))
    blind, without = blind_solvable(sources)
    missing += [NotLookedAt("blind_solvable", name, why) for name, why in without.items()]
    twins, unseen = duplicates(sources)
    missing += [NotLookedAt("duplicates", name, why) for name, why in unseen.items()]
    return QuestionAudit(
        wrong_key=tuple(sorted(wrong, key=lambda row: -row.probability)),
        blind_solvable=tuple(blind),
        never_answered=tuple(sorted(never, key=lambda row: row.mean / row.chance)),
        duplicates=tuple(twins),
        giveaways=tuple(giveaways(sources)),
        not_looked_at=tuple(sorted(missing, key=lambda row: (KINDS.index(row.kind), row.source))),
        sources=tuple(_part(source) for source in sources),
        notes=tuple(notes),
    )


def _part(source: AuditedSource) -> AuditedPart:
    return AuditedPart(
        source.name,
        len(source),
        len(source.seen),
        len(source.blind),
        source.best_accuracy,
        float((1.0 / source.counts).mean()),
    )

"""The page of an audit: every named question with its picture, options, and what checkpoints say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.ragged import Ragged
from radar_tasks.analysis.audit.audited_source import AuditedSource
from radar_tasks.analysis.audit.blind_solvable import BlindSolvable
from radar_tasks.analysis.audit.duplicates import Duplicate
from radar_tasks.analysis.audit.giveaways import Giveaway
from radar_tasks.analysis.audit.never_answered import NeverAnswered
from radar_tasks.analysis.audit.question_audit import KINDS, Kind, QuestionAudit, Reason
from radar_tasks.analysis.audit.wrong_keys import WrongKey
from radar_tasks.report.stored_questions import StoredQuestions, addresses
from radar_tasks.report.templates import template

THUMBNAIL = 320
"""Longest side of a picture in pixels."""

TITLES: dict[Kind, tuple[str, str]] = {
    "wrong_key": (
        "The key is likely wrong",
        "Checkpoints that know the source agree on another option. If the picture shows that the key is right, they "
        "share a mistake. The most doubted keys stand first.",
    ),
    "blind_solvable": (
        "Answered without the picture",
        "The text alone tells which option is right, so that the question says nothing of seeing. The most probable "
        "answers stand first.",
    ),
    "never_answered": (
        "Never answered",
        "The key has less than chance although its source is learnt: no option is right, the picture does not show it, "
        "or the question is hard. The least probable keys stand first.",
    ),
    "duplicates": (
        "There twice",
        "Of two questions with the same picture and text one says nothing new, and where their keys differ one is "
        "wrong: those stand first.",
    ),
    "giveaways": (
        "Options give the answer away",
        "Whoever knows nothing but the options would find the answer. Those with the most signs stand first.",
    ),
}
"""Title of each list, and what it means."""


@dataclass(frozen=True)
class _Option:
    """An option as the template takes it; probabilities are None where no checkpoint was asked so."""

    text: str
    is_key: bool
    seen: float | None
    blind: float | None


@dataclass(frozen=True)
class _Question:
    """A question as the template takes it."""

    source: str
    q_id: str
    category: str
    text: tuple[str, ...]
    images: tuple[str, ...]
    options: tuple[_Option, ...]
    problem: str


@dataclass(frozen=True)
class _Card:
    """What is named: a question, or two that are the same."""

    why: str
    questions: tuple[_Question, ...]


@dataclass(frozen=True)
class _Part:
    """One of the five lists.

    Attributes:
        kind: which.
        title, meaning: in words.
        count, shown: questions that the list names, and those of them on the page.
        cards: the questions.
        reasons: why it says nothing of some sources, or not all.
    """

    kind: Kind
    title: str
    meaning: str
    count: int
    shown: int
    cards: tuple[_Card, ...]
    reasons: tuple[Reason, ...]


def question_audit_page(made: QuestionAudit, sources: Sequence[AuditedSource], most: int) -> str:
    """The page, which needs nothing beside itself; pictures come from the store where it has the same data.

    Args:
        made: the audit of these sources.
        sources: see above.
        most: questions of a list that are shown.
    """
    questions = _Questions(sources)
    parts = []
    for kind in KINDS:
        rows = getattr(made, kind)
        parts.append(
            _Part(
                kind,
                *TITLES[kind],
                count=len(rows),
                shown=min(most, len(rows)),
                cards=tuple(questions.pairs(rows[:most]) if kind == "duplicates" else questions.single(rows[:most])),
                reasons=made.reasons(kind),
            )
        )
    return template("question_audit.html.j2").render(parts=parts, made=made)


class _Questions:
    """Named questions with their pictures and probabilities."""

    def __init__(self, sources: Sequence[AuditedSource]) -> None:
        self._sources = {source.name: source for source in sources}
        self._places = {
            source.name: {q_id: i for i, q_id in enumerate(source.asked.q_id.tolist())} for source in sources
        }
        self._better = {source.name: _better_half(source) for source in sources}
        self._stores: dict[str, StoredQuestions] = {}

    def single(self, rows: Sequence[WrongKey | BlindSolvable | NeverAnswered | Giveaway]) -> Iterator[_Card]:
        """A card a question."""
        for row in rows:
            yield _Card(row.why, (self._of(row.source, row.q_id),))

    def pairs(self, rows: Sequence[Duplicate]) -> Iterator[_Card]:
        """A card a pair, though both of it are named."""
        seen = set()
        for row in rows:
            one, other = (row.source, row.q_id), (row.twin_source, row.twin_q_id)
            if (other, one) not in seen:
                yield _Card(row.why, (self._of(*one), self._of(*other)))
            seen.add((one, other))

    def _of(self, name: str, q_id: str) -> _Question:
        source, i = self._sources[name], self._places[name][q_id]
        if name not in self._stores:
            self._stores[name] = StoredQuestions(name, source.checksum)
        question, problem = self._stores[name].question(q_id)
        text: tuple[str, ...] = (source.asked.prompts[i],)
        images: tuple[str, ...] = ()
        if question is not None:
            text = question.text
            images, problem = addresses(question, THUMBNAIL)
        options = tuple(_options(source, i, self._better[name]))
        return _Question(name, q_id, str(source.asked.category[i]), text, images, options, problem)


def _better_half(source: AuditedSource) -> list[Ragged]:
    """The scores of the checkpoints that give the keys most probability."""
    means = source.key_probabilities.mean(axis=1)
    return [source.seen[k] for k in np.argsort(-means)[: (len(means) + 1) // 2]]


def _options(source: AuditedSource, i: int, better: Sequence[Ragged]) -> Iterator[_Option]:
    """The options with their mean probabilities by the better half of the checkpoints, and without the picture."""
    seen = blind = None
    if better:
        seen = np.mean([scores.take([i]).softmax().values for scores in better], axis=0)
    if source.blind:
        blind = np.mean([scores.take([i]).softmax().values for scores in source.blind], axis=0)
    for k, text in enumerate(source.asked.options[i]):
        yield _Option(
            text,
            k == source.answers[i],
            None if seen is None else float(seen[k]),
            None if blind is None else float(blind[k]),
        )

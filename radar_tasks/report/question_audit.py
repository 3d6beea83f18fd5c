"""The page of an audit: every named question with its picture, options, and what checkpoints say of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.ragged import Ragged
from radar_tasks.analysis.audit.audited_source import AuditedSource
from radar_tasks.analysis.audit.question_audit import KINDS, Kind, NotLookedAt, QuestionAudit
from radar_tasks.report.stored_questions import StoredQuestions, addresses
from radar_tasks.report.templates import template

THUMBNAIL = 320
"""Longest side of a picture in pixels."""

TITLES: dict[Kind, str] = {
    "wrong_key": "The key is likely wrong",
    "blind_solvable": "Answered without the picture",
    "never_answered": "Never answered",
    "duplicates": "There twice",
    "giveaways": "Options give the answer away",
}


@dataclass(frozen=True)
class _Option:
    """An option as the template takes it; probabilities are None where no checkpoint was asked so."""

    text: str
    is_key: bool
    seen: float | None
    blind: float | None


@dataclass(frozen=True)
class _Card:
    """A named question as the template takes it."""

    source: str
    q_id: str
    category: str
    why: str
    text: tuple[str, ...]
    images: tuple[str, ...]
    options: tuple[_Option, ...]
    problem: str


@dataclass(frozen=True)
class _Part:
    """One of the five lists."""

    kind: Kind
    title: str
    count: int
    cards: tuple[_Card, ...]
    not_looked_at: tuple[NotLookedAt, ...]


def question_audit_page(made: QuestionAudit, sources: Sequence[AuditedSource], most: int) -> str:
    """The page, which needs nothing beside itself; pictures come from the store where it has the same data.

    Args:
        made: the audit of these sources.
        sources: see above.
        most: questions of a list that are shown.
    """
    cards = _Cards(sources)
    parts = [
        _Part(
            kind,
            TITLES[kind],
            len(getattr(made, kind)),
            tuple(cards.of(row.source, row.q_id, row.why) for row in getattr(made, kind)[:most]),
            tuple(row for row in made.not_looked_at if row.kind == kind),
        )
        for kind in KINDS
    ]
    return template("question_audit.html.j2").render(parts=parts, sources=made.sources, notes=made.notes)


class _Cards:
    def __init__(self, sources: Sequence[AuditedSource]) -> None:
        self._sources = {source.name: source for source in sources}
        self._places = {
            source.name: {q_id: i for i, q_id in enumerate(source.asked.q_id.tolist())} for source in sources
        }
        self._better = {source.name: _better_half(source) for source in sources}
        self._stores: dict[str, StoredQuestions] = {}

    def of(self, name: str, q_id: str, why: str) -> _Card:
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
        return _Card(name, q_id, str(source.asked.category[i]), why, text, images, options, problem)


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

"""The page of the questions that moved most between two runs, with pictures; it needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radar_tasks.analysis.movers import Mover
from radar_tasks.report.stored_questions import StoredQuestions, addresses
from radar_tasks.report.templates import template
from radar_tasks.results import CheckpointResult

THUMBNAIL = 420
"""Longest side of a picture in pixels."""


@dataclass(frozen=True)
class _Card:
    """A question as the template takes it."""

    mover: Mover
    text: tuple[str, ...]
    images: tuple[str, ...]
    problem: str


def movers_page(first: CheckpointResult, second: CheckpointResult, metric: str, found: Sequence[Mover]) -> str:
    """The page, which needs nothing beside itself; pictures come from the store where it has the same data."""
    return template("movers.html.j2").render(
        first=first.label, second=second.label, metric=metric, cards=list(_cards(second, found))
    )


def _cards(run: CheckpointResult, found: Sequence[Mover]) -> Iterator[_Card]:
    sources = dict.fromkeys(mover.source for mover in found)
    stores = {source: StoredQuestions(source, run.data[source].get("checksum")) for source in sources}
    for mover in found:
        question, problem = stores[mover.source].question(mover.q_id)
        if question is None:
            yield _Card(mover, (mover.prompt,), (), problem)
            continue
        images, problem = addresses(question, THUMBNAIL)
        yield _Card(mover, question.text, images, problem)

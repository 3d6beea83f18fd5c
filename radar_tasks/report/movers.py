"""The page of the questions that moved most between two runs, with pictures; it needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radar_tasks.analysis.movers import Mover
from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.report.source_page import data_address
from radar_tasks.report.templates import template
from radar_tasks.results import CheckpointResult
from radar_tasks.store import open_source

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
    stores = {source: _Store(run, source) for source in dict.fromkeys(mover.source for mover in found)}
    for mover in found:
        question, problem = stores[mover.source].question(mover.q_id)
        if question is None:
            yield _Card(mover, (mover.prompt,), (), problem)
            continue
        try:
            images = tuple(data_address(image, THUMBNAIL) for image in question.images)
        except (OSError, ValueError, SyntaxError) as error:  # what PIL raises on damaged files
            yield _Card(mover, question.text, (), f"A picture cannot be decoded: {error}")
            continue
        yield _Card(mover, question.text, images, "")


class _Store:
    """The questions of a source, where the store has those that the run was scored on."""

    def __init__(self, run: CheckpointResult, source: str) -> None:
        self._problem = ""
        try:
            self._table = open_source(source)
        except DataError as error:
            self._problem = f"No picture: {str(error).splitlines()[0]}"
            return
        if self._table.checksum != run.data[source].get("checksum"):
            self._problem = f"No picture: the data of {source} here is not what the run was scored on."

    def question(self, q_id: str) -> tuple[Question | None, str]:
        """The question, or None and why not."""
        if self._problem:
            return None, self._problem
        try:
            return self._table[self._table.index_of(q_id)], ""
        except DataError as error:
            return None, f"No picture: {error}"

"""A source of the store as a harness wants it: documents without pictures, in the order they are handed out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from radar_tasks.questions import Question
from radar_tasks.store import QuestionTable
from radar_tasks.store.document_order import document_order


class Documents(Sequence[dict[str, Any]]):
    """The questions of one source as plain dictionaries; pictures are read only by `question`.

    Attributes:
        provenance: what a run records about this source (data, order of the documents, model, scoring, further
            metrics). The task puts the same dictionary into the results file and into the keys of lmms-eval's response
            cache, which knows a question by its place alone; whoever learns more during the run adds it here.
    """

    def __init__(self, table: QuestionTable) -> None:
        self._table = table
        headers = table.headers()
        self._order = document_order(headers)
        self._headers = [headers[row] for row in self._order]
        names = "\n".join(header["q_id"] for header in self._headers)
        order = hashlib.sha256(names.encode()).hexdigest()[:16]
        self.provenance: dict[str, Any] = {"data": table.manifest.for_results(), "order": order}

    def __len__(self) -> int:
        return len(self._headers)

    def __getitem__(self, index: Any) -> Any:
        return self._headers[index]

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return iter(self._headers)

    def question(self, index: int) -> Question:
        """The question behind document `index`, pictures included."""
        return self._table[self._order[index]]


class NoDocuments(Documents):
    """A source that is missing and that the user allowed to be missing."""

    def __init__(self, source: str) -> None:
        self._headers = []
        self.provenance = {"data": {"source": source, "missing": True, "questions": 0}}

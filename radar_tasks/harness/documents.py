"""A source of the store as a harness wants it: documents without pictures, in the order they are handed out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from radar_tasks.questions import Question
from radar_tasks.store import QuestionTable
from radar_tasks.store.document_order import document_order
from radar_tasks.store.own_suites import suite_of

Header = dict[str, Any]
"""A question without its pictures: `q_id`, `text`, `options`, `answer`, `image_id`, `category`, ..."""

Place = tuple[str, int]
"""Source, and number among its documents."""


class Documents(Sequence[Header]):
    """The questions of one source as plain dictionaries; pictures are read only by `question`.

    Args:
        data: what results say about the source.
        headers: the questions without pictures, in the order they are handed out.
        read: the whole question behind a document.
    """

    def __init__(
        self, data: Mapping[str, Any], headers: Sequence[Header] = (), read: Callable[[int], Question] | None = None
    ) -> None:
        self._headers = headers
        self._read = read
        names = "\n".join(header["q_id"] for header in headers)
        self.provenance: dict[str, Any] = {
            "data": dict(data),
            "order": hashlib.sha256(names.encode()).hexdigest()[:16],
        }
        """Data and order of the documents, for the results file and for the keys of lmms-eval's response cache, which
        knows a question by its place alone."""

    @classmethod
    def of(cls, table: QuestionTable) -> Documents:
        """All questions of a source, in the order in which every first part is a stratified part."""
        headers = table.headers()
        order = document_order(headers)
        data = table.manifest.for_results()
        if (suite := suite_of(table.manifest.source)) is not None:
            data["suite"] = suite.model_dump(mode="json")
        return cls(data, [headers[row] for row in order], lambda index: table[order[index]])

    @classmethod
    def missing(cls, source: str) -> Documents:
        """A source that is not there, and that the user allowed not to be there: no questions."""
        return cls({"source": source, "missing": True, "questions": 0})

    def __len__(self) -> int:
        return len(self._headers)

    def __getitem__(self, index: Any) -> Any:
        return self._headers[index]

    def __iter__(self) -> Iterator[Header]:
        return iter(self._headers)

    def question(self, index: int) -> Question:
        """The question behind document `index`, pictures included.

        Raises:
            IndexError: there is none.
        """
        if self._read is None:
            raise IndexError(f"document {index} of a source without questions")
        return self._read(index)

"""Questions of results as the store has them, with their pictures, for pages; or why they cannot be shown."""

from __future__ import annotations

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.report.source_page import data_address
from radar_tasks.store import open_version


class StoredQuestions:
    """The questions of a source, where the store has those that a run was scored on.

    Args:
        source: its name.
        checksum: of the data that was scored, as the results say.
    """

    def __init__(self, source: str, checksum: str | None) -> None:
        self._problem = ""
        try:
            self._table = open_version(source, checksum)
        except DataError as error:
            self._problem = f"No picture: {str(error).splitlines()[0]}"

    def question(self, q_id: str) -> tuple[Question | None, str]:
        """The question, or None and why not."""
        if self._problem:
            return None, self._problem
        try:
            return self._table[self._table.index_of(q_id)], ""
        except DataError as error:
            return None, f"No picture: {error}"


def addresses(question: Question, longest: int) -> tuple[tuple[str, ...], str]:
    """A question's pictures as data addresses, or none and why not."""
    try:
        return tuple(data_address(image, longest) for image in question.images), ""
    except Exception as error:  # Pillow's decoders raise what they like on damaged input
        return (), f"A picture cannot be decoded: {error}"

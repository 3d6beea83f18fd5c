"""Questions of a group of ranks that hold a model together: all of them are asked each other's.

lmms-eval gives every rank documents of its own and wants its answers to them. The ranks of a group tell each other
which documents they were given, score the union side by side, and each answers for its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from radar_tasks.errors import RadarError
from radar_tasks.harness.documents import Documents
from radar_tasks.harness.requests import PartOfRequests, QuestionRequests
from radar_tasks.questions import Question
from radar_tasks.scoring.engine.lockstep import Lockstep


class GroupQuestions(Sequence[Question]):
    """The questions of all ranks of a group, in the same order on each.

    Args:
        own: what this rank was asked.
        lockstep: of the ranks; all must make this at the same time.
        documents: of the sources behind the tasks, by task.

    Raises:
        RadarError: a task of others, whose documents cannot be found by their number alone.
    """

    def __init__(
        self, own: QuestionRequests | PartOfRequests, lockstep: Lockstep, documents: Mapping[str, Any]
    ) -> None:
        places = own.places
        told = lockstep.gathered((lockstep.share, places))
        self._places = list(
            dict.fromkeys(place for share, others in told if share == lockstep.share for place in others)
        )
        self._own = {place: index for index, place in enumerate(places)}
        self._documents: dict[str, Documents] = {}
        for task in dict.fromkeys(task for task, _ in self._places):
            if not isinstance(documents.get(task), Documents):
                raise RadarError(f"{task} is not a task of this project, and tp= cannot score it: leave tp out.")
            self._documents[task] = documents[task]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        task, doc_id = self._places[index]
        return self._documents[task].question(doc_id)

    @property
    def image_ids(self) -> list[str]:
        """As of `QuestionRequests`."""
        return [f"{task}/{self._documents[task][doc_id]['image_id']}" for task, doc_id in self._places]

    def own(self, index: int) -> int | None:
        """The number that a question has among this rank's own, None for another rank's."""
        return self._own.get(self._places[index])

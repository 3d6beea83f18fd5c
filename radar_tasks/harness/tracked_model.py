"""`radar_hf` as `radar track` runs it: a failure is the checkpoint's, not the job's, and progress is told outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from lmms_eval.api.instance import GenerationResult, Instance

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import QuestionError
from radar_tasks.harness.documents import Place
from radar_tasks.harness.radar_hf import RadarHF, Scored
from radar_tasks.harness.radar_task import SPLIT
from radar_tasks.harness.ranks import failing_together, gathered
from radar_tasks.harness.requests import PartOfRequests, QuestionRequests
from radar_tasks.harness.responses import NOT_ASKED
from radar_tasks.results.until_record import UntilRecord
from radar_tasks.scoring import Scorer


class Asking(Protocol):
    """Says which questions are to be asked next (`radar_tasks.follow.until`); all ranks are told the same answers."""

    def next(self) -> list[Place]:
        """The questions to ask now; none at the end."""

    def tell(self, probabilities: Mapping[Place, float]) -> None:
        """The probability of the right answer of each of them that could be asked."""

    def record(self) -> UntilRecord:
        """What came of it, for the results."""


class TrackedModel(RadarHF):
    """One checkpoint of a run.

    With several ranks every one of them must be asked, which holds without lmms-eval's response cache.

    Args:
        on_scored: called after every question of this rank.
        asking: says which of the questions are asked, a part at a time; None for all at once.
        settings: arguments of `RadarHF`.

    Raises:
        RadarError: from the constructor, `load` and `loglikelihood`, on every rank when one has met it.
    """

    def __init__(self, on_scored: Callable[[], None], asking: Asking | None = None, **settings: Any) -> None:
        self._on_scored = on_scored
        self._asking = asking
        with failing_together():
            super().__init__(**settings)
            self.load()

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """See `RadarHF`."""
        with failing_together():
            return self.answers(requests)

    def describe(self) -> dict[str, Any]:
        """See `RadarHF`."""
        return super().describe() | ({} if self._asking is None else self._asking.record().scoring)

    def _asked(
        self, scorer: Scorer, questions: QuestionRequests | PartOfRequests, refused: dict[int, QuestionError]
    ) -> Iterator[Scored]:
        if self._asking is None:
            yield from super()._asked(scorer, questions, refused)
            return
        documents = {task: splits[SPLIT] for task, splits in self.task_dict.items()}
        sources = {task: str(of.provenance["data"]["source"]) for task, of in documents.items()}
        own: list[Place] = [(sources[task], doc_id) for task, doc_id in questions.places]
        answers = [documents[task][doc_id]["answer"] for task, doc_id in questions.places]
        mine = {place: index for index, place in enumerate(own)}
        left = set(mine.values())
        while places := self._asking.next():
            indices = [mine[place] for place in places if place in mine]
            part, part_refused = PartOfRequests(questions, indices), dict[int, QuestionError]()
            scored: dict[Place, float] = {}
            # What goes wrong on one rank ends this part on all of them: nobody may wait for its answers.
            with failing_together():
                for number, scores in super()._asked(scorer, part, part_refused):
                    index = indices[number]
                    chances = answer_probability([[score.logprob for score in scores]], [answers[index]])
                    scored[own[index]] = float(chances[0])
                    yield index, scores
            refused |= {indices[number]: error for number, error in part_refused.items()}
            left -= set(indices)
            self._asking.tell({place: chance for of_rank in gathered(scored) for place, chance in of_rank.items()})
        refused |= {index: QuestionError(NOT_ASKED) for index in left}

    def _progress(self, scored: Iterable[Scored], total: int) -> Iterator[Scored]:
        for question in scored:
            yield question
            self._on_scored()

"""From a harness's requests, one per option, to questions, and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_eval.api.instance import Instance

from radar_tasks.harness.visuals import encoded_visuals
from radar_tasks.questions import AskedQuestion, VerbatimQuestion


class AskedDocument(ABC):
    """A document of a task, as the question that its options belong to."""

    @property
    @abstractmethod
    def image_id(self) -> str:
        """Documents of a task on the same picture share it."""

    @property
    @abstractmethod
    def content_key(self) -> str:
        """What tells the document's pictures from others, where the task's configuration does not; else ""."""

    @abstractmethod
    def question(self) -> AskedQuestion:
        """The question, pictures included; they are read now.

        Raises:
            QuestionError: it cannot be asked.
        """


class OptionRequest(Instance):  # type: ignore[misc]
    """One option of a document of this project's tasks. Stock models take it for what lmms-eval makes itself.

    Args:
        document: where the whole question comes from; the options of a document share it.
        request: what lmms-eval's `Instance` takes.
    """

    def __init__(self, document: AskedDocument, **request: Any) -> None:
        super().__init__("loglikelihood", **request)
        self.document = document


class QuestionRequests(Sequence[AskedQuestion]):
    """The questions behind a list of log-likelihood requests, each once.

    All options of a document make one question, so that image and prompt are computed once. Requests that repeat one
    (lmms-eval pads ranks with clones of the last) get the same response and cost nothing. Pictures are read when a
    question is asked for.

    Args:
        requests: of this project's tasks, or of others: arguments `(context, continuation, doc_to_visual, doc_id, task,
            split)`, or the first two only.
        task_dict: lmms-eval's documents by task and split.
    """

    def __init__(self, requests: Sequence[Instance], task_dict: Mapping[str, Mapping[str, Any]]) -> None:
        self._requests = requests
        self._task_dict = task_dict
        groups: dict[_Key, dict[int, Instance]] = {}
        for request in requests:
            groups.setdefault(_key(request), {}).setdefault(request.idx, request)
        self._groups = list(groups.items())
        self._responses: dict[_Key, dict[int, str]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: Any) -> Any:
        _, options = self._groups[index]
        document = _document(options)
        return document.question() if document is not None else self._plain_question(options)

    @property
    def image_ids(self) -> list[str]:
        """One per question, with its task; the engine brings questions on one picture together and encodes it once."""
        documents = ((key, _document(options)) for key, options in self._groups)
        return [
            f"{task}/{doc_id if document is None else document.image_id}" for (task, doc_id, _), document in documents
        ]

    @property
    def places(self) -> list[tuple[str, int]]:
        """Task and number of the document of each question."""
        return [(task, doc_id) for (task, doc_id, _), _ in self._groups]

    def answer(self, index: int, responses: Sequence[str]) -> tuple[list[Instance], list[str]]:
        """Keep the responses to a question's options, in option order.

        Returns:
            The requests that asked for them, and one response each.
        """
        key, options = self._groups[index]
        # The response cache may have answered some options already. A document of ours is scored whole all the same.
        places = range(len(responses)) if _document(options) is not None else sorted(options)
        self._responses[key] = dict(zip(places, responses, strict=True))
        return list(options.values()), [self._responses[key][place] for place in options]

    def refuse(self, index: int, response: str) -> tuple[list[Instance], list[str]]:
        """As `answer`, with the same response to all options of a question that cannot be asked."""
        key, options = self._groups[index]
        self._responses[key] = dict.fromkeys(options, response)
        return list(options.values()), [response] * len(options)

    def responses(self) -> list[str]:
        """One response per request, in the order of the requests."""
        return [self._responses[_key(request)][request.idx] for request in self._requests]

    def _plain_question(self, options: Mapping[int, Instance]) -> VerbatimQuestion:
        """A question of a task that knows nothing of this project: each continuation is scored whole."""
        chosen = [options[place] for place in sorted(options)]
        task, doc_id, context = _key(chosen[0])
        name = f"{task}/{doc_id}"
        images: tuple[bytes, ...] = ()
        if len(chosen[0].args) > 2:
            doc_to_visual, _, _, split = chosen[0].args[2:6]
            images = encoded_visuals(doc_to_visual(self._task_dict[task][split][doc_id]), name)
        continuations = tuple(request.args[1] for request in chosen)
        return VerbatimQuestion(name, task, context, "", continuations, images, name)


class PartOfRequests(Sequence[AskedQuestion]):
    """Some of the questions behind a list of requests, to be scored by themselves."""

    def __init__(self, whole: QuestionRequests | PartOfRequests, indices: Sequence[int]) -> None:
        self._whole = whole
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: Any) -> Any:
        return self._whole[self._indices[index]]

    @property
    def image_ids(self) -> list[str]:
        """As of `QuestionRequests`."""
        of_all = self._whole.image_ids
        return [of_all[index] for index in self._indices]

    @property
    def places(self) -> list[tuple[str, int]]:
        """As of `QuestionRequests`."""
        of_all = self._whole.places
        return [of_all[index] for index in self._indices]


_Key = tuple[str, int, str]
"""Task, number of the document and context: what the options of a question have in common."""


def _key(request: Instance) -> _Key:
    return request.task_name, request.doc_id, request.args[0]


def _document(options: Mapping[int, Instance]) -> AskedDocument | None:
    request = next(iter(options.values()))
    return request.document if isinstance(request, OptionRequest) else None

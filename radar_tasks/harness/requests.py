"""From lmms-eval's requests, one an option, to questions, and back."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from lmms_eval.api.instance import Instance

from radar_tasks.harness.documents import Documents
from radar_tasks.questions import Question


class QuestionRequests(Sequence[Question]):
    """The questions behind a list of log-likelihood requests, each once.

    All options of a document make one question, so that image and prompt are paid for once. Requests that repeat one
    (lmms-eval pads ranks with clones of the last) get the same response and cost nothing. Pictures are read when a
    question is asked for.

    Args:
        requests: arguments `(context, option, doc_to_visual, doc_id, task, split)`.
        task_dict: lmms-eval's documents by task and split.
    """

    def __init__(self, requests: Sequence[Instance], task_dict: Mapping[str, Mapping[str, Any]]) -> None:
        self._requests = requests
        self._task_dict = task_dict
        grouped: dict[_Key, dict[int, Instance]] = {}
        for request in requests:
            grouped.setdefault(_document_of(request), {}).setdefault(request.idx, request)
        self._groups = list(grouped.items())
        self._responses: dict[_Key, dict[int, str]] = {}

    def __len__(self) -> int:
        return len(self._groups)

    def __getitem__(self, index: Any) -> Any:
        (task, split, doc_id), options = self._groups[index]
        documents = self._task_dict[task][split]
        if isinstance(documents, Documents):
            return documents.question(doc_id)
        return _foreign_question(task, doc_id, documents[doc_id], [options[k] for k in sorted(options)])

    @property
    def image_ids(self) -> list[str]:
        """One a question, with its task; the engine brings questions on one picture together and encodes it once."""
        return [self._image_id(key) for key, _ in self._groups]

    def answer(self, index: int, responses: Sequence[str]) -> tuple[list[Instance], list[str]]:
        """Keep the responses to a question's options, in option order.

        Returns:
            The requests that asked for them, and one response each.
        """
        key, options = self._groups[index]
        # The response cache may have answered some options of another project's task: then only the others were scored.
        places = range(len(responses)) if self._is_ours(key) else sorted(options)
        self._responses[key] = dict(zip(places, responses, strict=True))
        return list(options.values()), [self._responses[key][place] for place in options]

    def responses(self) -> list[str]:
        """One response a request, in the order of the requests."""
        return [self._responses[_document_of(request)][request.idx] for request in self._requests]

    def _image_id(self, key: _Key) -> str:
        task, split, doc_id = key
        return f"{task}/{self._task_dict[task][split][doc_id]['image_id'] if self._is_ours(key) else doc_id}"

    def _is_ours(self, key: _Key) -> bool:
        task, split, _ = key
        return isinstance(self._task_dict[task][split], Documents)


_Key = tuple[str, str, int]


def _document_of(request: Instance) -> _Key:
    doc_id, task, split = request.args[3:6]
    return task, split, doc_id


class _ForeignQuestion(Question):
    """A question of another project's task: the rules of this benchmark are not asked of it."""

    def __post_init__(self) -> None:
        pass


def _foreign_question(task: str, doc_id: int, document: Any, options: Sequence[Instance]) -> Question:
    """Text, pictures and options of another project's question; nothing else of it is used in scoring."""
    context, _, doc_to_visual, *_ = options[0].args
    return _ForeignQuestion(
        q_id=f"{task}/{doc_id}",
        text=(context,),
        images=tuple(_png(picture) for picture in doc_to_visual(document) or ()),
        options=tuple(option.args[1].strip() for option in options),
        answer=0,
        ability="perception",
        task=task,
        source=task,
        category="",
        image_id=f"{task}/{doc_id}",
    )


def _png(picture: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG")
    return buffer.getvalue()

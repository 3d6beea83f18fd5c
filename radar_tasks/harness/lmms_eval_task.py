"""Any multiple-choice task of lmms-eval with SDS (see `radar_tasks.harness.sds_task`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar

from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableTask

from radar_tasks.errors import QuestionError
from radar_tasks.harness import aggregation
from radar_tasks.harness.requests import AskedDocument, OptionRequest
from radar_tasks.harness.responses import read_response, refusal
from radar_tasks.harness.sds_task import Records, SDSOfOptions
from radar_tasks.harness.visuals import encoded_visuals, visuals_key
from radar_tasks.questions import VerbatimQuestion

_METRICS = ("sds", "sds_logit", "acc", "acc_logit", "nll")


class SDSTask(SDSOfOptions, ConfigurableTask):  # type: ignore[misc]
    """The task as its YAML has it, scored by SDS."""

    METRICS: ClassVar = {name: (aggregation.mean, name != "nll") for name in _METRICS}

    def build_all_requests(self, **settings: Any) -> None:
        """As the harness does, without its cache of requests: it would pickle the task with each of them."""
        super().build_all_requests(**{**settings, "cache_requests": False, "rewrite_requests_cache": False})

    def construct_requests(self, doc_id: int, ctx: str, **kwargs: Any) -> list[Instance]:
        """One request per option; none for the options without the question, which `acc_mutual_info` would ask for."""
        metadata = kwargs["metadata"]
        doc = self.eval_docs_no_media[doc_id]
        options = self.doc_to_choice(doc)
        document = _ForeignDocument(self, (metadata["split"], doc_id), self._q_id(doc), ctx, options)
        delimiter = self.config.target_delimiter
        return [
            OptionRequest(
                document,
                arguments=(
                    ctx,
                    f"{delimiter}{option}",
                    self.doc_to_visual,
                    doc_id,
                    self.config.task,
                    metadata["split"],
                ),
                idx=index,
                metadata=metadata,
            )
            for index, option in enumerate(options)
        ]

    def records(self, document: Mapping[str, Any], results: Sequence[Any]) -> Records:
        """The printed metrics of one question from the responses to its options; none where it was refused.

        Raises:
            RadarError: a response is not a log-likelihood.
        """
        if refusal(results) is not None:
            return {}
        where = f"{self.config.task}, question {document['q_id']!r}"
        responses = [read_response(result, f"{where}, option {k}") for k, result in enumerate(results)]
        records = aggregation.of_question(document, responses)
        return {name: records[name] for name in _METRICS if name in records}

    def _texts_only(self) -> Sequence[Mapping[str, Any]]:
        documents: Sequence[Mapping[str, Any]] = ConfigurableTask.eval_docs_no_media.fget(self)
        return documents


class _ForeignDocument(AskedDocument):
    """A document of somebody else's task: its prompt, options and pictures to the character and to the pixel."""

    def __init__(self, task: SDSTask, place: tuple[str, int], q_id: str, context: str, options: Sequence[str]) -> None:
        self._task = task
        self._split, self._doc_id = place
        self._q_id = q_id
        self._context = context
        self._options = tuple(options)

    @property
    def image_id(self) -> str:
        return self._q_id

    @cached_property
    def content_key(self) -> str:
        return visuals_key(self._images())

    def question(self) -> VerbatimQuestion:
        task = str(self._task.config.task)
        joiner = self._task.config.target_delimiter
        return VerbatimQuestion(self._q_id, task, self._context, joiner, self._options, self._images(), self._q_id)

    def _images(self) -> tuple[bytes, ...]:
        where = f"{self._task.config.task}/{self._q_id}"
        try:
            visuals = self._task.doc_to_visual(self._task.dataset[self._split][self._doc_id])
        except Exception as error:  # the task's own code, and decoders of whatever it keeps pictures in
            raise QuestionError(
                f"question {where!r}: its pictures cannot be loaded ({type(error).__name__}: {error})."
            ) from error
        return encoded_visuals(visuals, where)

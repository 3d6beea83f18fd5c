"""`RadarTask`: a source of questions as a task of lmms-eval.

The harness's own multiple-choice scoring takes the smallest loss and breaks on its own responses; what is kept of it
is the frame (requests, ranks, caches, files), and everything about a score is ours. A failure raises at once: the
harness's own methods would try five times, two seconds apart.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.task import ConfigurableTask, TaskConfig
from lmms_eval.filters import build_filter_ensemble
from lmms_eval.utils import create_iterator

from radar_tasks.errors import DataError, RadarError
from radar_tasks.harness import aggregation
from radar_tasks.harness.documents import Documents, Header
from radar_tasks.harness.measured_task import MeasuredTask
from radar_tasks.harness.requests import AskedDocument, OptionRequest
from radar_tasks.harness.responses import read_response, refusal
from radar_tasks.questions import Question
from radar_tasks.scoring.encoding.images import read_image
from radar_tasks.store import open_source

SPLIT = "test"
ALLOW_MISSING = "RADAR_ALLOW_MISSING"


class RadarTask(MeasuredTask, ConfigurableTask):  # type: ignore[misc]
    """One leaf task. Its YAML names the source (`dataset_name`), the metrics that are printed (`metric_list`), and
    with `metadata: {headline: categories}` that the headline is the mean over categories.

    Raises:
        DataError: the source is not in the store; the message says how to get it.
    """

    def __init__(
        self,
        data_dir: str | None = None,
        cache_dir: str | None = None,
        download_mode: Any = None,
        config: dict[str, Any] | None = None,
        model_name: str | None = None,
    ) -> None:
        settings = {key: value for key, value in (config or {}).items() if key not in ("class", "include")}
        self._config = TaskConfig(**settings)
        self.OUTPUT_TYPE = self.config.output_type
        self.VERSION = self.config.metadata["version"]
        self.model_name = model_name
        self._printed = {metric["metric"]: metric["higher_is_better"] for metric in self.config.metric_list}
        self._filters = [build_filter_ensemble("none", [["take_first", None]])]
        self._instances: list[Instance] = []
        self.documents = self.task_docs = _documents(self.config.dataset_name)
        self.dataset = self.dataset_no_image = {SPLIT: self.documents}

    @property
    def data(self) -> dict[str, Any]:
        """See `MeasuredTask`."""
        about: dict[str, Any] = self.documents.provenance["data"]
        return about

    @property
    def by_category(self) -> bool:
        """See `MeasuredTask`."""
        return bool(self.config.metadata.get("headline") == "categories")

    def dump_config(self) -> dict[str, Any]:
        """The task's configuration, and under `radar` what is known of the data before the run."""
        return {**self.config.to_dict(), "radar": self.documents.provenance}

    def build_all_requests(
        self, *, limit: int | None = None, offset: int = 0, rank: int = 0, world_size: int = 1, **unused: Any
    ) -> None:
        """One request per option, for this rank's documents; a rank without any repeats document 0 as padding."""
        mine = create_iterator(enumerate(self.documents), rank=rank, world_size=world_size, limit=limit, offset=offset)
        self._instances = [instance for index, _ in mine for instance in self.construct_requests(index, "")]
        if not self._instances and world_size > 1 and self.documents:
            # The ranks meet in collective calls, so each must have something to run; the evaluator counts a
            # document only on the rank whose stride it lies in.
            self._instances = self.construct_requests(0, "")

    def construct_requests(self, doc_id: int, ctx: str, **unused: Any) -> list[Instance]:
        """The requests of one document in the form of lmms-eval's multiple choice, one per option."""
        document = _StoredDocument(self.documents, doc_id)
        header = self.documents[doc_id]
        context = self.doc_to_text(header)
        metadata = {"task": self.config.task, "doc_id": doc_id, "repeats": self.config.repeats, "split": SPLIT}
        return [
            OptionRequest(
                document,
                arguments=(
                    context,
                    self.config.target_delimiter + option,
                    document.pictures,
                    doc_id,
                    self.config.task,
                    SPLIT,
                ),
                idx=index,
                metadata=metadata,
                doc=header,
            )
            for index, option in enumerate(header["options"])
        ]

    def process_results(self, doc: Header, results: Sequence[Any], full_docs: Any = None) -> dict[str, Any]:
        """The printed metrics of one question, each a record with its score and cluster; under `sds` all measured.

        A question that could not be asked has none.
        """
        if refusal(results) is not None:
            return {}
        if len(results) != len(doc["options"]):
            raise RadarError(f"question {doc['q_id']!r}: {len(results)} responses for {len(doc['options'])} options")
        responses = [
            read_response(result, f"{self.config.task}, question {doc['q_id']!r}, option {k}")
            for k, result in enumerate(results)
        ]
        records = aggregation.of_question(doc, responses)
        return {name: records[name] for name in self._printed if name in records}

    def aggregation(self) -> dict[str, Callable[[list[Any]], float]]:
        """How each printed metric is reduced."""
        return {
            name: aggregation.mean_over_categories
            if self.by_category and not name.endswith("_by_question")
            else aggregation.mean
            for name in self._printed
        }

    def higher_is_better(self) -> dict[str, bool]:
        """The direction of each printed metric."""
        return self._printed

    def has_training_docs(self) -> bool:
        """No: nothing is learnt from examples here."""
        return False

    def has_validation_docs(self) -> bool:
        """No."""
        return False

    def has_test_docs(self) -> bool:
        """Yes, all questions."""
        return True

    def test_docs(self) -> Documents:
        """The questions, without pictures."""
        return self.documents

    test_docs_no_media = test_docs

    def doc_to_text(self, doc: Header) -> str:
        """The prompt as a stock model takes it: `<image>` where the question marks an image, else no mark."""
        return "<image>".join(doc["text"])

    def doc_to_target(self, doc: dict[str, Any]) -> str:
        """The text of the right option."""
        return str(doc["options"][doc["answer"]])

    def doc_to_choice(self, doc: dict[str, Any]) -> list[str]:
        """The candidate answers."""
        return list(doc["options"])


class _StoredDocument(AskedDocument):
    """A question of the store, behind its number among the documents."""

    content_key = ""  # the checksum of all questions, pictures included, stands in the task's configuration

    def __init__(self, documents: Documents, doc_id: int) -> None:
        self._documents = documents
        self._doc_id = doc_id

    @property
    def image_id(self) -> str:
        return str(self._documents[self._doc_id]["image_id"])

    def question(self) -> Question:
        return self._documents.question(self._doc_id)

    def pictures(self, doc: Header) -> list[Any]:
        """`doc_to_visual` for models of lmms-eval's own."""
        question = self.question()
        return [read_image(image, question.q_id, k) for k, image in enumerate(question.images)]


def _documents(source: str) -> Documents:
    try:
        return Documents.of(open_source(source))
    except DataError:
        if os.environ.get(ALLOW_MISSING) == "1":
            return Documents.missing(source)
        raise

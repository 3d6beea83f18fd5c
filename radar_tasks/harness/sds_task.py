"""Any multiple-choice task of lm-eval or lmms-eval as an SDS task, by three lines of YAML.

    group: arc_sds
    task:
      - {task: arc_easy, class: !function radar_tasks.harness.lm_eval_task.SDSTask}

(lmms-eval: `radar_tasks.harness.lmms_eval_task.SDSTask`.) Questions, prompt and options stay the task's own, to the
character; what changes is how its log-likelihoods are reduced. Options are scored as the task gives them: letters where
it shows the options in its prompt, contents where it does not, and only the latter is what RADAR measures.
"""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, cast, get_args

from radar_tasks.errors import RadarError
from radar_tasks.harness.measured_task import MeasuredTask
from radar_tasks.questions import Ability

Records = dict[str, dict[str, Any]]
Reduction = tuple[Callable[[Sequence[Any]], float], bool]

ID_COLUMNS = ("q_id", "id", "question_id", "index")
"""Columns that may name a question; the first one that is there and tells all questions apart does."""


class IdentifiedDoc(dict[str, Any]):
    """A document of a task, equal to what the task has made of it, that knows which one it is.

    Attributes:
        q_id: unique within the task.
    """

    def __init__(self, document: Mapping[str, Any], q_id: str) -> None:
        super().__init__(document)
        self.q_id = q_id


class IdentifiedDocs(Sequence[IdentifiedDoc]):
    """The documents of a task with their names: harnesses show a task one document at a time, without its number.

    Args:
        documents: a data set of Hugging Face, or a list.
        q_ids: one per document.
    """

    def __init__(self, documents: Sequence[Mapping[str, Any]], q_ids: Sequence[str]) -> None:
        self._documents = documents
        self._q_ids = q_ids

    @property
    def features(self) -> Any:
        """Of the data set; lm-eval looks its columns up."""
        return self._documents.features  # type: ignore[attr-defined]

    def __len__(self) -> int:
        return len(self._q_ids)

    def __getitem__(self, index: Any) -> Any:
        return IdentifiedDoc(self._documents[index], self._q_ids[index])

    def __iter__(self) -> Iterator[IdentifiedDoc]:
        return map(IdentifiedDoc, self._documents, self._q_ids)


class SDSOfOptions(MeasuredTask):
    """A multiple-choice task with SDS in place of its own metrics; stands before a harness's `ConfigurableTask`.

    The YAML may say under `metadata` whether the task is about `perception` or `reasoning` (`ability: …`), for the
    tables; it is shown under perception otherwise.

    Attributes:
        METRICS: how each metric is reduced, and whether higher is better.

    Raises:
        RadarError: the task scores no options, or a question of it cannot be scored: fewer than two options, an empty
            one, an answer that is none of them. Said before anything is scored.
    """

    METRICS: ClassVar[Mapping[str, Reduction]]
    OUTPUT_TYPE: str | None
    multiple_input: int
    config: Any
    doc_to_text: Callable[[Any], Any]

    def __init__(
        self,
        data_dir: str | None = None,
        cache_dir: str | None = None,
        download_mode: Any = None,
        config: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        settings = {key: value for key, value in (config or {}).items() if key not in ("class", "include")}
        self._name = str(settings.get("task"))
        # `ConfigurableTask` follows; what comes after this class is not known to the type checker.
        super().__init__(data_dir, cache_dir, download_mode, settings, **more)  # type: ignore[call-arg]
        if self.OUTPUT_TYPE != "multiple_choice" or self.multiple_input:
            raise RadarError(f"{self._name}: only tasks that score the options of a question can have SDS.")

    @abstractmethod
    def records(self, document: Mapping[str, Any], results: Sequence[Any]) -> Records:
        """The metrics of a question (`q_id`, `image_id`, `category`, `options`, `answer`) from the responses to its
        options; the ones that cannot be had are absent."""

    @property
    def eval_docs(self) -> IdentifiedDocs:
        """The questions, pictures included."""
        return IdentifiedDocs(super().eval_docs, self._q_ids)  # type: ignore[misc]

    @property
    def eval_docs_no_media(self) -> IdentifiedDocs:
        """The questions without pictures."""
        return IdentifiedDocs(self._texts_only(), self._q_ids)

    def doc_to_choice(self, doc: Any, *more: Any) -> list[str]:
        """The options, each a text that is not empty."""
        choices = [str(choice) for choice in super().doc_to_choice(doc, *more)]  # type: ignore[misc]
        if "" in choices or len(choices) < 2:
            problem = f"option {choices.index('')} is empty" if "" in choices else f"{len(choices)} option(s)"
            raise RadarError(
                f"{self._name}, question {self._q_id(doc)!r}: {problem}. SDS needs at least two options, each a text; "
                "leave the question out with the task's `process_docs`."
            )
        return choices

    def doc_to_target(self, doc: Any, *more: Any) -> Any:
        """The answer as the task gives it, an option or its index; looked at, so that a wrong one is told at once."""
        target = super().doc_to_target(doc, *more)  # type: ignore[misc]
        self._answer(doc, target)
        return target

    def process_results(self, doc: Any, results: Sequence[Any], full_docs: Any = None) -> Records:
        """One record per metric."""
        return self.records(self._question(doc), results)

    def aggregation(self) -> dict[str, Callable[[Sequence[Any]], float]]:
        """How each metric is reduced."""
        return {name: reduction for name, (reduction, _) in self.METRICS.items()}

    def higher_is_better(self) -> dict[str, bool]:
        """The direction of each metric."""
        return {name: higher for name, (_, higher) in self.METRICS.items()}

    def dump_config(self) -> dict[str, Any]:
        """The task's configuration, and under `radar` what is known of the questions before the run."""
        return {**super().dump_config(), "radar": {"data": self.data}}  # type: ignore[misc]

    @property
    def by_category(self) -> bool:
        """See `MeasuredTask`: categories of other tasks are not known."""
        return False

    @cached_property
    def data(self) -> dict[str, Any]:
        """See `MeasuredTask`. The checksum is of ids, texts, options and answers, all of which are looked at here."""
        digest = hashlib.sha256()
        for doc in self.eval_docs_no_media:
            question = self._question(doc)
            asked = [question["q_id"], self.doc_to_text(doc), question["options"], question["answer"]]
            digest.update(json.dumps(asked, ensure_ascii=True, default=str).encode())
        return {
            "source": self._name,
            "ability": self._ability(),
            "task": self._name,
            "checksum": digest.hexdigest(),
            "questions": len(self._q_ids),
            "origin": {"kind": "task", "location": str(self.config.dataset_path), "fingerprint": ""},
            "stand_in": False,
            "skipped": 0,
            "too_many_images": 0,
        }

    @abstractmethod
    def _texts_only(self) -> Sequence[Mapping[str, Any]]:
        """The harness's documents without pictures, as it would show them."""

    @cached_property
    def _q_ids(self) -> list[str]:
        documents = self._texts_only()
        columns = [name for name in ID_COLUMNS if len(documents) and name in documents[0]]
        for column in columns:
            values = [doc.get(column) for doc in documents]
            names = [str(value) for value in values]
            if None not in values and all(names) and len(set(names)) == len(names):
                return names
        return [str(number) for number in range(len(documents))]

    def _q_id(self, doc: Any) -> str:
        """A document that did not come through `eval_docs` has the name that its columns give it."""
        if isinstance(doc, IdentifiedDoc):
            return doc.q_id
        return next((str(doc[name]) for name in ID_COLUMNS if name in doc), "?")

    def _question(self, doc: Any) -> dict[str, Any]:
        """A question of any task in the form that `records` takes."""
        name = self._q_id(doc)
        answer = self._answer(doc, self.doc_to_target(doc))
        options = self.doc_to_choice(doc)
        return {"q_id": name, "image_id": name, "category": "", "options": options, "answer": answer}

    def _answer(self, doc: Any, target: Any) -> int:
        """Index of the right option."""
        options = self.doc_to_choice(doc)
        answer = options.index(target) if target in options else target
        if isinstance(answer, str) and answer.lstrip("-").isdigit():
            answer = int(answer)
        if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(options):
            raise RadarError(
                f"{self._name}: the answer {target!r} of question {self._q_id(doc)!r} is not one of the options "
                f"{options!r}."
            )
        return answer

    def _ability(self) -> Ability:
        metadata = self.config.metadata
        ability = metadata.get("ability", "perception") if isinstance(metadata, dict) else "perception"
        if ability not in get_args(Ability):
            raise RadarError(
                f"{self._name}: metadata says ability: {ability!r}; it is one of {', '.join(get_args(Ability))}."
            )
        return cast("Ability", ability)

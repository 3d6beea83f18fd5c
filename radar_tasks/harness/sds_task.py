"""Any multiple-choice task of lm-eval or lmms-eval as an SDS task, by three lines of YAML.

    group: arc_sds
    task:
      - {task: arc_easy, class: !function radar_tasks.harness.lm_eval_task.SDSTask}

(lmms-eval: `radar_tasks.harness.lmms_eval_task.SDSTask`.) Questions, prompt and options stay the task's own; what
changes is how its log-likelihoods are reduced. Options are scored as the task gives them: letters where it shows the
options in its prompt, contents where it does not, and only the latter is what RADAR measures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from radar_tasks.errors import RadarError

Records = dict[str, dict[str, Any]]
Reduction = tuple[Callable[[Sequence[Any]], float], bool]


def with_sds(
    task_class: type[Any],
    of_question: Callable[[Mapping[str, Any], Sequence[Any]], Records],
    metrics: Mapping[str, Reduction],
) -> type[Any]:
    """A harness's class of configurable tasks, with SDS in place of the metrics of its multiple-choice tasks.

    Args:
        task_class: `ConfigurableTask` of lm-eval or of lmms-eval.
        of_question: the metrics of a question (`q_id`, `image_id`, `category`, `options`, `answer`) from the responses
            to its options; the ones that cannot be had are absent.
        metrics: how each metric is reduced, and whether higher is better.
    """

    class SDSTask(task_class):  # type: ignore[misc]
        """The task as its YAML has it, scored by SDS."""

        def __init__(
            self,
            data_dir: str | None = None,
            cache_dir: str | None = None,
            download_mode: Any = None,
            config: dict[str, Any] | None = None,
            **more: Any,
        ) -> None:
            settings = {key: value for key, value in (config or {}).items() if key not in ("class", "include")}
            super().__init__(data_dir, cache_dir, download_mode, settings, **more)
            if self.OUTPUT_TYPE != "multiple_choice" or getattr(self, "multiple_input", 0):
                raise RadarError(f"{self.config.task}: only tasks that score the options of a question can have SDS.")

        def process_results(self, doc: Any, results: Sequence[Any], full_docs: Any = None) -> Records:
            """One record a metric."""
            document = _document(self, doc)
            # Tasks with `acc_mutual_info` also ask for the options without the question; those come last.
            return of_question(document, results[: len(document["options"])])

        def aggregation(self) -> dict[str, Callable[[Sequence[Any]], float]]:
            """How each metric is reduced."""
            return {name: reduction for name, (reduction, _) in metrics.items()}

        def higher_is_better(self) -> dict[str, bool]:
            """The direction of each metric."""
            return {name: higher for name, (_, higher) in metrics.items()}

    return SDSTask


def _document(task: Any, doc: Any) -> dict[str, Any]:
    """A question of any task in the form that `of_question` takes."""
    options = list(task.doc_to_choice(doc))
    target = task.doc_to_target(doc)
    answer = options.index(target) if target in options else target
    if isinstance(answer, str) and answer.lstrip("-").isdigit():
        answer = int(answer)
    if isinstance(answer, bool) or not isinstance(answer, int) or not 0 <= answer < len(options):
        raise RadarError(f"{task.config.task}: the answer {target!r} is not one of the options {options!r}.")
    name = str(doc.get("id", doc.get("question_id", options)))
    return {"q_id": name, "image_id": name, "category": "", "options": options, "answer": answer}

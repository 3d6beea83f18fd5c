"""What lmms-eval's results file says under `configs -> task -> radar`, so that a run can be analysed without a model.

lmms-eval's evaluator knows the model, the tasks and what came out, and nobody else does: tasks have no sight of the
model, and their configuration is written down before the first question is asked. So the record is made here, behind
the evaluator, from all three:

    data, order             the task: which questions, in which order they were handed out
    scoring                 the model: checkpoint, settings, weights, how it was scored
    metrics, categories     the samples: every metric that can be made of them
    refused                 the samples: questions that the checkpoint could not be asked, with the reason

Samples of questions that were refused or not asked (`--until`) are taken out of the samples files: they hold no scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from radar_tasks.errors import RadarError
from radar_tasks.harness import aggregation
from radar_tasks.harness.measured_task import MeasuredTask
from radar_tasks.harness.patches.patch import Patch, replace
from radar_tasks.harness.responses import NOT_ASKED, refusal

Sample = dict[str, Any]


def install() -> None:
    """Make results say what this project's analysis needs."""
    # `install_in_evaluator` calls this when the evaluator is there.
    from lmms_eval import evaluator

    replace(evaluator, "evaluate", _with_record)


def _with_record(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    # By then lmms-eval is imported whole.
    from lmms_eval.evaluator_utils import get_task_list

    from radar_tasks.harness.radar_hf import RadarHF

    def evaluate_and_record(*, log_samples: bool = True, **settings: Any) -> Any:
        tasks = {output.task_name: output.task for output in get_task_list(settings["task_dict"])}
        measured = {name: task for name, task in tasks.items() if isinstance(task, MeasuredTask)}
        # The record is made of the samples, whether they are asked for or not.
        results = evaluate(log_samples=log_samples or bool(measured), **settings)
        if results is None:  # all ranks but the first
            return None
        model = settings["lm"]
        scoring = model.describe() if isinstance(model, RadarHF) else {}
        for name, task in measured.items():
            _record(results, name, task, scoring)
        if not log_samples:
            results.pop("samples", None)
        return results

    return evaluate_and_record


def _record(results: dict[str, Any], name: str, task: MeasuredTask, scoring: Mapping[str, Any]) -> None:
    config = results["configs"][name]
    samples: list[Sample] = results["samples"].get(name, [])
    reasons = {sample["doc_id"]: refusal(_responses(sample)) for sample in samples}
    scored = [sample for sample in samples if reasons[sample["doc_id"]] is None]
    refused = [reason for reason in reasons.values() if reason is not None and reason != NOT_ASKED]
    if refused and not scored:
        raise RadarError(f"{name}: the checkpoint refuses all {len(refused)} questions. The first: {refused[0]}")
    results["samples"][name] = scored
    results["n-samples"][name]["effective"] = len(scored)
    record = {**config["radar"], "scoring": dict(scoring)}
    if refused:
        # Counted beside what the data itself lacks, and told one by one.
        record |= {"data": {**record["data"], "refused": len(refused)}, "refused": refused}
    records = [sample["sds"] for sample in scored if "sds" in sample]
    if records:
        record |= aggregation.of_source(records, task.data, name, task.by_category)
    results["configs"][name] = {**config, "radar": record}


def _responses(sample: Sample) -> list[Any]:
    responses: list[Any] = sample["filtered_resps"]
    return responses


PATCH = Patch(
    seen_in="0.7.3",
    changes="results of tasks of this project say which data and which weights they are of, and what was left out",
    install_in_evaluator=install,
)

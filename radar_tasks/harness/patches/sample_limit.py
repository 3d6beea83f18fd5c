"""lmms-eval's `--limit`, so that a share of the questions is that share of every task.

As it is in lmms-eval, `--limit 0.5` is turned into a number at the first task and that number is used for all later
ones (its pull request 1441 mends it). Here each task is asked its own share, in runs with a task of this project.

lmms-eval runs over its documents once more behind the model, and leaves out those that were not asked. So tasks are
given their own numbers while their requests are built, and its evaluator is told that there is no limit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from radar_tasks.harness.measured_task import MeasuredTask
from radar_tasks.harness.patches.patch import Patch, replace
from radar_tasks.run_arguments import limit_of, questions_asked


def install() -> None:
    """Make a share of the questions the share of each task."""
    # `install_in_evaluator` calls this when the evaluator is there.
    from lmms_eval import evaluator

    replace(evaluator, "evaluate", _with_shares)


def _with_shares(evaluate: Callable[..., Any]) -> Callable[..., Any]:
    # By then lmms-eval is imported whole.
    from lmms_eval.evaluator_utils import get_task_list

    def evaluate_shares(**settings: Any) -> Any:
        tasks = {output.task_name: output.task for output in get_task_list(settings["task_dict"])}
        limit = limit_of(settings)
        if not any(isinstance(task, MeasuredTask) for task in tasks.values()) or limit is None:
            return evaluate(**settings)
        numbers = {name: questions_asked(limit, len(task.eval_docs)) for name, task in tasks.items()}
        if limit >= 1:
            return evaluate(**settings)
        for name, task in tasks.items():
            task.build_all_requests = _limited(task.build_all_requests, numbers[name])
        results = evaluate(**{**settings, "limit": None})
        if results is not None:  # of rank 0
            for name, number in numbers.items():
                results["n-samples"][name]["effective"] = number
        return results

    return evaluate_shares


def _limited(build: Callable[..., None], number: int) -> Callable[..., None]:
    def build_limited(**settings: Any) -> None:
        build(**{**settings, "limit": number})

    return build_limited


PATCH = Patch(
    seen_in="0.7.3",
    changes="--limit 0.5 over several tasks takes half of each",
    install_in_evaluator=install,
)

"""lmms-eval's index of tasks, with the tasks of this project in it.

lmms-eval loads models from outside through the entry-point group `lmms_eval.models`, but has no such door for tasks,
and reads its `LMMS_EVAL_PLUGINS` variable after the tasks are indexed. Here every `TaskManager` looks into one folder
more. Should a later lmms-eval find that folder by itself, its index holds the names already and ours are left out:
built-in names win.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from radar_tasks import paths
from radar_tasks.harness import patches
from radar_tasks.harness.own_tasks import own_task_folder
from radar_tasks.harness.patches.patch import Patch, replace

Index = dict[str, dict[str, Any]]


def install() -> None:
    """Make every `TaskManager` built from now on see the tasks of this project."""
    from lmms_eval.tasks import TaskManager

    def with_ours(initialize_tasks: Callable[..., Index]) -> Callable[..., Index]:
        def initialize_tasks_and_ours(self: Any, *args: Any, **kwargs: Any) -> Index:
            patches.install_in_evaluator()
            index = initialize_tasks(self, *args, **kwargs)
            return {**_ours(self), **index}

        return initialize_tasks_and_ours

    replace(TaskManager, "initialize_tasks", with_ours)


def _ours(manager: Any) -> Index:
    index: Index = dict(manager._get_task_and_group(str(paths.task_configs("lmms_eval"))))
    if own := own_task_folder():
        index |= manager._get_task_and_group(str(own))
    for entry in index.values():
        # lmms-eval lists tasks made by a class under no heading at all; apart from that it treats both alike.
        if entry["type"] == "python_task":
            entry["type"] = "task"
    return index


PATCH = Patch(
    seen_in="0.7.3",
    changes="its index of tasks also holds those of this project and of your own sources",
    install=install,
)

"""How lmms-eval finds this project's model and tasks with no flag.

lmms-eval 0.7.3 loads models from outside through the entry-point group `lmms_eval.models`, but has no such door for
tasks, and its `LMMS_EVAL_PLUGINS` variable is read after the tasks are indexed. Every way of starting it imports
`lmms_eval.models` before it builds a `TaskManager`, and that import calls `register` here. So `register` also makes
the task index look into one more folder. Should a later lmms-eval find the folder by itself, the index already holds
the names and ours are left out: built-in names win.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from radar_tasks import paths
from radar_tasks.harness.own_tasks import own_task_folder

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

MODEL_ID = "radar_hf"


def register() -> list[ModelManifest]:
    """Entry point of the group `lmms_eval.models`: the model's manifest; on the way tasks, cache and results files are
    seen to."""
    from lmms_eval.models.registry_v2 import ModelManifest

    from radar_tasks.harness.patches import response_cache, results_files

    add_task_folder()
    response_cache.install()
    results_files.install()
    # `hf` is the default of lmms-eval's --model, and no model of its own claims the name.
    return [ModelManifest(MODEL_ID, simple_class_path="radar_tasks.harness.model.RadarHF", aliases=("hf",))]


def add_task_folder() -> None:
    """Make every `TaskManager` built from now on see the tasks of this project; calling it again changes nothing."""
    from lmms_eval.tasks import TaskManager

    found = TaskManager.initialize_tasks
    if getattr(found, "sees_radar", False):
        return

    @functools.wraps(found)
    def initialize_tasks(self: Any, *args: Any, **kwargs: Any) -> dict[str, dict[str, Any]]:
        index: dict[str, dict[str, Any]] = found(self, *args, **kwargs)
        return {**_index(self), **index}

    initialize_tasks.sees_radar = True  # type: ignore[attr-defined]
    TaskManager.initialize_tasks = initialize_tasks


def _index(manager: Any) -> dict[str, dict[str, Any]]:
    index: dict[str, dict[str, Any]] = manager._get_task_and_group(str(paths.task_configs("lmms_eval")))
    if own := own_task_folder():
        index |= manager._get_task_and_group(str(own))
    for entry in index.values():
        # lmms-eval lists tasks made by a class under no heading at all; apart from that it treats both alike.
        if entry["type"] == "python_task":
            entry["type"] = "task"
    return index

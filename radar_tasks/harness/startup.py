"""Runs at the start of every Python of the environment (one line in `lmms_eval_radar.pth`), so it must stay tiny.

`lmms-eval tasks list` builds its list without ever importing `lmms_eval.models`, the one door for plugins, so that
tasks from outside would not be shown. This waits for `lmms_eval.tasks` to be imported, adds the folder of tasks then,
and is gone. Where the file is not read (`python -S`, a path set by hand) everything but that list works all the same.
"""

from __future__ import annotations

import importlib.util
import sys


class _WhenTasksAreImported:
    """A finder that finds nothing itself."""

    def find_spec(self, name, path=None, target=None):  # type: ignore[no-untyped-def]
        if name != "lmms_eval.tasks":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_then_add(module):  # type: ignore[no-untyped-def]
                run(module)
                from radar_tasks.harness.patches import task_index

                task_index.install()

            spec.loader.exec_module = run_then_add  # type: ignore[method-assign]
        return spec


sys.meta_path.insert(0, _WhenTasksAreImported())

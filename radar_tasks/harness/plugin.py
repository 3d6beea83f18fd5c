"""How lmms-eval finds this project's model and tasks with no flag.

lmms-eval loads models from outside through the entry-point group `lmms_eval.models`. Every way of starting it imports
`lmms_eval.models` before anything is evaluated, and that import calls `register` here. It has no such door for tasks
and for what else is done here, so that `register` also installs the patches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from radar_tasks.harness import patches

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

MODEL_ID = "radar_hf"


def register() -> list[ModelManifest]:
    """Entry point of the group `lmms_eval.models`: the model's manifest; on the way the patches are installed."""
    # lmms-eval is half imported when it calls this.
    from lmms_eval.models.registry_v2 import ModelManifest

    patches.install()
    # `hf` is the default of lmms-eval's --model, and no model of its own claims the name.
    return [ModelManifest(MODEL_ID, simple_class_path="radar_tasks.harness.radar_hf.RadarHF", aliases=("hf",))]

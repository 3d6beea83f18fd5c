"""An evaluation under a launcher, perhaps with a fault in rank 1.

    torchrun --nproc_per_node N ranks_scoring.py FOLDER LIMITS [kill|bug|none] [CACHE]

Rank 0 writes one JSON file a limit, `FOLDER/<limit>.json`: the table to its last printed digit, the scores by q_id and
how many questions were scored in this rank.
"""

import json
import os
import signal
import sys
from pathlib import Path

from interrupted_scoring import CHECKPOINT, printed

BATCH = 2


def main(folder, limits, fault="none", cache=None):
    import lmms_eval.models  # noqa: F401 - brings the plugin in
    from accelerate import Accelerator
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager
    from loguru import logger

    from radar_tasks import paths

    logger.remove()
    Accelerator()  # as lmms-eval's command does
    if os.environ.get("RANK") == "1":
        inject(fault)
    manager = TaskManager(include_path=str(paths.task_configs("lmms_eval")), include_defaults=False)
    for limit in map(int, limits.split(",")):
        results = simple_evaluate(
            model="radar_hf",
            model_args=f"pretrained={CHECKPOINT}",
            tasks=["radar_mini_colour", "radar_mini_sum"],
            task_manager=manager,
            batch_size=str(BATCH),
            limit=limit,
            use_cache=cache,
            bootstrap_iters=0,
            log_samples=True,
            distributed_executor_backend="torchrun" if "RANK" in os.environ else "accelerate",
        )
        if results is not None:
            (folder / f"{limit}.json").write_text(json.dumps(written(results)))


def inject(fault):
    from radar_tasks.scoring.engine.scorer import Scorer

    noted, calls = Scorer._score, []

    def failing(self, batch, features):
        calls.append(1)
        if len(calls) == 4 and fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if len(calls) == 4 and fault == "bug":
            raise ValueError("a broken device")
        return noted(self, batch, features)

    if fault != "none":
        Scorer._score = failing


def written(results):
    samples = [sample for leaf in results["samples"].values() for sample in leaf]
    about = [config["radar"]["scoring"] for config in results["configs"].values()]
    return {
        "table": printed(results),
        "order": {leaf: [sample["doc_id"] for sample in lines] for leaf, lines in results["samples"].items()},
        "logprob": {sample["sds"]["q_id"]: sample["sds"]["logprob"] for sample in samples},
        "scored": about[0].get("questions_scored", 0),
    }


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))

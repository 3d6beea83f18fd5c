"""Score, be killed, score again: what an interrupted run with the response cache on costs the next one.

    python interrupted_scoring.py FOLDER KILLS QUESTIONS SEED

Everything slow is imported once, and every attempt is a fork, killed by SIGKILL at a random moment after a random
number of batches. Prints JSON: `undisturbed` and `resumed` (the tables), `batches` (the q_ids of every batch that an
attempt finished, attempts in order, the last one undisturbed), `stored` (questions in the cache after each kill).
"""

import json
import os
import random
import signal
import sqlite3
import sys
import time
import traceback
from contextlib import closing
from pathlib import Path

from radar_tasks import paths

BATCH = 4
CHECKPOINT = max(paths.checkpoints().glob("step-*"))


def main(folder, kills, questions, seed):
    import lmms_eval.models  # noqa: F401 - brings the plugin in
    from loguru import logger

    logger.remove()
    draw = random.Random(seed)
    undisturbed = attempt(folder / "undisturbed", questions, None)
    in_all = 2 * questions
    for number in range(kills):
        done = sum(len(batch) for k in range(number) for batch in batches(folder / f"killed-{k}"))
        share = (in_all - done) // BATCH // (kills - number + 1)  # so that every kill finds something to interrupt
        attempt(folder / f"killed-{number}", questions, folder / "cache", draw, draw.randint(1, max(1, share)))
    resumed = attempt(folder / "resumed", questions, folder / "cache")
    names = [f"killed-{number}" for number in range(kills)] + ["resumed"]
    print(
        json.dumps(
            {
                "undisturbed": undisturbed,
                "resumed": resumed,
                "batches": [batches(folder / name) for name in names],
                "stored": [json.loads((folder / name).with_suffix(".stored").read_text()) for name in names],
            }
        )
    )


def attempt(log, questions, cache, draw=None, after=None):
    """One run in a process of its own; killed a moment after it has finished `after` batches, if that is given."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            score(log, questions, cache)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    if after is None:
        _, status = os.waitpid(child, 0)
        assert status == 0, f"the run ended with {status}"
    else:
        while len(batches(log)) < after and os.waitpid(child, os.WNOHANG) == (0, 0):
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), "the run was over before it was killed"
    log.with_suffix(".stored").write_text(json.dumps(stored(cache)))
    return json.loads(log.with_suffix(".table").read_text()) if after is None else None


def score(log, questions, cache):
    """An evaluation as lmms-eval does it, with every finished batch noted in a file."""
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    from radar_tasks.scoring.engine.scorer import Scorer

    noted = Scorer._score
    lines = log.open("a", buffering=1)

    def score_and_note(self, batch, features):
        scores = noted(self, batch, features)
        lines.write(json.dumps([question.q_id for question in batch]) + "\n")
        return scores

    Scorer._score = score_and_note
    results = simple_evaluate(
        model="radar_hf",
        model_args=f"pretrained={CHECKPOINT}",
        tasks=["radar_mini_colour", "radar_mini_sum"],
        task_manager=TaskManager(include_path=str(paths.task_configs("lmms_eval")), include_defaults=False),
        batch_size=str(BATCH),
        limit=questions,
        use_cache=cache and str(cache),
        bootstrap_iters=0,
    )
    log.with_suffix(".table").write_text(json.dumps(printed(results)))


def printed(results):
    """The table to the last digit that lmms-eval prints."""
    return {
        leaf: {name: f"{value:.4f}" for name, value in row.items() if isinstance(value, float)}
        for leaf, row in results["results"].items()
    }


def batches(log):
    """The q_ids of every batch finished so far; a line that is being written does not count."""
    return (
        [json.loads(line) for line in log.read_text().splitlines(keepends=True) if line[-1] == "\n"]
        if log.exists()
        else []
    )


def stored(cache):
    """How many questions have both their options in any database of the cache."""
    if cache is None:
        return 0
    rows = set()
    for file in [*cache.glob("runs/*/rank_*.db"), *cache.glob("cache.db")]:
        with closing(sqlite3.connect(file)) as database:
            rows |= set(database.execute("SELECT task_name, doc_id, idx FROM responses"))
    return len({(task, document) for task, document, _ in rows})


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *map(int, sys.argv[2:])))

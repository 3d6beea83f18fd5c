"""`until=` on several ranks: what is asked and decided is what one process asks and decides.

The engine is left out: right answers have made chances, so that the ranks' agreement alone is looked at.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from tiny_models import build, make

from radar_tasks.follow.live import LiveEvaluator
from radar_tasks.follow.track import Tracker
from radar_tasks.harness.ranks import ranks
from radar_tasks.results import find_runs
from radar_tasks.results.until_record import until_record
from radar_tasks.scoring import OptionScore, Scorer

SOURCES = ["mini_colour", "mini_sum"]
LEVELS = {"step-000000": 0.3, "step-000500": 0.9, "step-001000": 0.9}


def measured(folder):
    """Three measurements of a model in training and three tracked checkpoints, with the made engine."""
    level = [0.0]

    def score(self, questions, on_refused=None):
        at = LEVELS.get(self._checkpoint.describe().get("name"), level[0])
        for index in range(len(questions)):
            question = questions[index]
            noise = int(hashlib.sha256(f"{question.q_id} {at}".encode()).hexdigest()[:6], 16) / 16**6 - 0.5
            chances = [at + 0.2 * noise if k == question.answer else 0.2 for k in range(len(question.options))]
            yield index, tuple(OptionScore(float(np.log(chance)), 0.0, 1, 5) for chance in chances)

    kept = Scorer.score, LiveEvaluator._refused
    Scorer.score, LiveEvaluator._refused = score, lambda *_: {}
    try:
        model, processor = make("qwen2_vl")
        radar = LiveEvaluator(model, processor, SOURCES, questions=150, until=0.02, output=folder / "live")
        for name, level[0] in LEVELS.items():
            radar.measure(int(name.removeprefix("step-")))
        tasks = [f"radar_{source}" for source in SOURCES]
        assert not Tracker([str(folder / "run")], tasks, folder / "tracked", limit=150, until=0.02).once()
    finally:
        Scorer.score, LiveEvaluator._refused = kept


def said(folder):
    """What was asked and decided, by measurement."""
    return [
        {
            "name": f"{result.experiment}/{result.name}",
            "asked": {source: samples.q_id.tolist() for source, samples in result.sources.items()},
            "decided": until_record(result.scoring).model_dump(),
        }
        for result in find_runs([folder / "live", folder / "tracked"])
    ]


def test_three_ranks_ask_and_decide_as_one(tmp_path):
    for folder in ("one", "three"):
        for name in LEVELS:
            build("qwen2_vl", tmp_path / folder / "run" / name)
    measured(tmp_path / "one")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "3"]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [*command, str(Path(__file__)), str(tmp_path / "three")],
        check=False, env={**env, "PYTHONPATH": os.pathsep.join(sys.path)}, capture_output=True, text=True, timeout=230,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one = said(tmp_path / "one")
    three = said(tmp_path / "three")
    assert json.dumps(three).replace("/three/", "/one/") == json.dumps(one)
    verdicts = [[change["verdict"] for change in each["decided"]["changes"]] for each in one]
    assert verdicts[:2] == [[], ["rose", "rose"]]
    assert len(one) == 6
    assert len(one[1]["asked"]["mini_sum"]) < 130


if __name__ == "__main__":
    ranks()
    measured(Path(sys.argv[1]))

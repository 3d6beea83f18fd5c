"""Run by `test_tensor_parallel.py` under torchrun: scores questions with a checkpoint spread over groups of ranks."""

import json
import sys
from pathlib import Path

import tiny_models
from torch import distributed

from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import checkpoint_options, load
from radar_tasks.scoring.engine.lockstep import Lockstep

COUNT = 7
"""Questions that are asked."""


def questions(count):
    """Of several lengths, with one or two pictures."""
    texts = ("Which animal is this?", "How many green plants are there? What is above the animal, below or behind it?")
    return [
        tiny_models.question(
            text=("See ", " or ", texts[k % 2]) if k % 3 == 1 else (texts[k % 2],),
            images=2 if k % 3 == 1 else 1,
            q_id=f"q{k}",
        )
        for k in range(count)
    ]


def scores(checkpoint, asked, lockstep=None):
    scored = Scorer(checkpoint, batch_size=3, lockstep=lockstep).score(asked)
    return {index: [option.logprob for option in options] for index, options in scored}


def main():
    output, folders = Path(sys.argv[1]), [Path(folder) for folder in sys.argv[2:]]
    distributed.init_process_group("gloo")
    told = {folder.name: of_two_ranks(folder) for folder in folders}
    if distributed.get_rank() == 0:
        output.write_text(json.dumps(told))
    distributed.destroy_process_group()


def of_two_ranks(folder):
    """What came out: number of shares, whether all of a group say the same, scores, and those of one process."""
    options = {"pretrained": str(folder), "dtype": "float32"}
    checkpoint = load(checkpoint_options({**options, "tp": 2}))
    asked = questions(COUNT)
    lockstep = Lockstep(checkpoint.model)
    mine = range(lockstep.share, COUNT, lockstep.shares)
    with lockstep:
        own = scores(checkpoint, [asked[index] for index in mine], lockstep)
        lockstep.finish()
    told = lockstep.gathered((lockstep.share, {mine[index]: values for index, values in own.items()}))
    same = all(own == dict(told)[share] for share, own in told)
    found = {index: values for _, own in told for index, values in own.items()}
    alone = scores(load(checkpoint_options({**options, "device": "cpu"})), asked) if lockstep.is_first else {}
    return {"shares": lockstep.shares, "same": same, "scores": found, "alone": alone}


if __name__ == "__main__":
    main()

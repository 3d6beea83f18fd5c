"""Ranks that measure with `until` and `guard`; what each asked, decided and was told is written to FOLDER/<rank>.json.

torchrun --nproc_per_node N deciding_ranks.py FOLDER WAY/RESUMED...
"""

import json
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from unittest.mock import patch

import torch
from torch import distributed
from transformers import AutoModelForImageTextToText, AutoProcessor

sys.path.insert(0, str(Path(__file__).parents[1]))
from faults.live_training import raising, reason_of, without_time, wrap

from radar_tasks import paths
from radar_tasks.errors import DataError
from radar_tasks.follow import until
from radar_tasks.harness.documents import Documents
from radar_tasks.live import LiveEvaluator
from radar_tasks.results import load_run
from radar_tasks.scoring.engine.lockstep import Lockstep

SOURCES = ["mini_colour", "mini_digits", "mini_sum"]
START = paths.checkpoints() / "step-02400"


def fill(model, part, value):
    """All of some weights, or of this rank's pieces of them."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if part in name:
                parameter.fill_(value)


@contextmanager
def counted():
    """How often this rank ran the model, and how often it met the others."""
    calls = {"forward": 0, "image_features": 0, "_agree": 0}

    def counting(name):
        own = getattr(Lockstep, name)

        def function(*given, **named):
            calls[name] += 1
            return own(*given, **named)

        return patch.object(Lockstep, name, function)

    with counting("forward"), counting("image_features"), counting("_agree"):
        yield calls


def measured(make_evaluator, resumed, model, output):
    """Four measurements: as trained; sight is lost; nothing more happens; scores are not finite."""
    evaluator = make_evaluator()
    told = []
    for step, part, value in ((0, None, 0), (20, ".merger.", 0), (40, None, 0), (60, "", torch.nan)):
        if part is not None:
            fill(model, part, value)
        if resumed:
            evaluator = make_evaluator()
        with counted() as calls:
            reason = reason_of(partial(evaluator.measure, step))
        folder = output / f"step-{step:06d}"
        asked = {name: of.q_id.tolist() for name, of in load_run(folder).sources.items()} if not reason else {}
        told.append(
            {
                "reason": reason,
                "asked": asked,
                "changes": [change.model_dump() for change in evaluator.changes],
                "alarms": [asdict(alarm) for alarm in evaluator.alarms],
                "stop": evaluator.stop,
                "calls": calls,
            }
        )
    return told


def decisions(folder, cases):
    """By `way/resumed` (0 or 1) the four measurements, and what comes of a user's function that fails."""
    told = {}
    for case in cases:
        way, resumed = case.split("/")
        processor = AutoProcessor.from_pretrained(START)
        model = AutoModelForImageTextToText.from_pretrained(START, dtype=torch.float32)
        if way != "bare":
            model = wrap(way, model, folder / "start")
        output, seen = folder / case, []

        def evaluator(guard=lambda alarm, seen=seen: seen.append(alarm.cause) or True, model=model, **more):
            settings = {"questions": 60, "until": 0.1, "patience": 120, **more}
            return LiveEvaluator(model, processor, SOURCES, guard=guard, **settings)  # noqa: B023

        four = measured(lambda: evaluator(output=output), resumed == "1", model, output)  # noqa: B023
        failing = evaluator(output=output, guard=raising(IndexError("no such chat room")))
        told[case] = {"four": four, "seen": seen, "failing": reason_of(partial(failing.measure, 80))}
    return told


def few(folder, cases):
    """One question or two at a time: most ranks have nothing to ask, some never have."""
    told = {}
    for way in cases:
        processor = AutoProcessor.from_pretrained(START)
        model = AutoModelForImageTextToText.from_pretrained(START, dtype=torch.float32)
        model = wrap(way, model, folder / "start") if way != "bare" else model
        with patch.object(until, "FIRST", 1):
            radar = LiveEvaluator(model, processor, SOURCES[2:], questions=3, until=0.1, patience=120)
            numbers = [without_time(radar.measure(step)) for step in (0, 20)]
        told[way] = {"numbers": numbers, "changes": [change.model_dump() for change in radar.changes]}
    return told


def unlike(folder, cases):
    """What comes of an evaluator that the last rank cannot make, or makes of other questions."""
    processor = AutoProcessor.from_pretrained(START)
    model = wrap(cases[0], AutoModelForImageTextToText.from_pretrained(START, dtype=torch.float32), folder / "start")
    of = Documents.of

    def others(table):
        documents = of(table)
        documents.provenance["data"] = {**documents.provenance["data"], "checksum": "another"}
        return documents

    told = {}
    for name, other in (("missing", raising(DataError("mini_sum is not here"))), ("others", others)):
        is_last = distributed.get_rank() == distributed.get_world_size() - 1
        with patch.object(Documents, "of", other) if is_last else nullcontext():
            told[name] = reason_of(partial(LiveEvaluator, model, processor, SOURCES[1:], patience=120))
    return told


def main(folder, scenario, *cases):
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    told = {"decisions": decisions, "few": few, "unlike": unlike}[scenario](folder, cases)
    (folder / f"{distributed.get_rank()}.json").write_text(json.dumps(told))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])

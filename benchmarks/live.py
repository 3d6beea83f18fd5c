"""What a measurement in training costs, whole and sharded, in one run: time against a step, and memory against a step.

    python benchmarks/live.py [--ranks 2] [--width 256] [--batch 16] [--questions 100]

Memory is what torch allocates beyond what was there before the step or the measurement, at its highest (by the
profiler): a step's activations and gradients, a measurement's caches, and under FSDP the weights that are put together.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = ["mini_colour", "mini_digits", "mini_sum"]
EVERY = 500
"""Steps between two measurements, as `LiveEvaluator` measures where nothing is said."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--width", type=int, default=256, help="of the language model")
    parser.add_argument("--batch", type=int, default=16, help="documents a rank and step")
    parser.add_argument("--questions", type=int, default=100, help="a source, of three")
    parser.add_argument("--rank-of-it", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.rank_of_it:
        measure_all(chosen)
        return
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(chosen.ranks)]
    subprocess.run([sys.executable, *launcher, __file__, *sys.argv[1:], "--rank-of-it"], check=True)


def measure_all(chosen: argparse.Namespace) -> None:
    """In every rank; the first one prints."""
    import torch
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group()
    rows = [measure(way, chosen) for way in ("DDP", "FSDP2", "DDP", "FSDP2")]  # the first of each warms up
    if distributed.get_rank() == 0:
        print("| way | step, s | measurement, s | share of training | step, MiB | measurement, MiB | ratio |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for row in rows[2:]:
            share = row["measurement_s"] / (EVERY * row["step_s"] + row["measurement_s"])
            ratio = row["measurement_mib"] / row["step_mib"]
            print(
                f"| {row['way']} | {row['step_s']:.2f} | {row['measurement_s']:.2f} | {share:.1%} | "
                f"{row['step_mib']:.0f} | {row['measurement_mib']:.0f} | {ratio:.2f} |"
            )
        print(json.dumps(rows[2:]))
    distributed.destroy_process_group()


def measure(way: str, chosen: argparse.Namespace) -> dict[str, float | str]:
    import torch
    from torch import distributed
    from torch.distributed.fsdp import fully_shard
    from torch.nn.parallel import DistributedDataParallel

    from radar_tasks.live import LiveEvaluator

    sys.path.insert(0, str(ROOT / "examples" / "tiny_pretraining"))
    from documents import IMAGE, Documents
    from model import make_model, make_processor
    from train import Collator

    documents = Documents(4000, 0)
    processor = make_processor(documents[k].text.replace(IMAGE, "") for k in range(400))
    torch.manual_seed(0)
    bare = make_model(processor, chosen.width)
    if way == "FSDP2":
        for block in [*bare.model.visual.blocks, *bare.model.language_model.layers]:
            fully_shard(block)
        model = fully_shard(bare)
    else:
        model = DistributedDataParallel(bare)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    radar = LiveEvaluator(model, processor, SOURCES, questions=chosen.questions)
    first = distributed.get_rank() * chosen.batch
    batch = Collator(processor)([documents[first + k] for k in range(chosen.batch)])

    def step() -> None:
        model.train()
        model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def measurement() -> None:
        radar.measure(0)

    made: dict[str, float | str] = {"way": way}
    for name, action in (("step", step), ("measurement", measurement)):
        action()
        made[f"{name}_s"] = statistics.median(seconds(action) for _ in range(5 if name == "step" else 3))
        made[f"{name}_mib"] = peak(action) / 2**20
    return made


def seconds(action) -> float:  # type: ignore[no-untyped-def]
    from torch import distributed

    distributed.barrier()
    started = time.perf_counter()
    action()
    distributed.barrier()
    return time.perf_counter() - started


def peak(action) -> float:  # type: ignore[no-untyped-def]
    """Bytes that torch has allocated at most at one time, beyond those before."""
    from torch.profiler import profile

    with profile(profile_memory=True) as profiler:
        action()
    events = [event for event in profiler.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest


if __name__ == "__main__":
    main()

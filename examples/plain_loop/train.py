"""A training loop of one's own, sharded by FSDP2, that looks at perception and reasoning on the way.

    torchrun --nproc_per_node 2 examples/plain_loop/train.py OUT --steps 200

runs on two CPU processes and continues the first of the shipped checkpoints. `OUT/results` is read by `radar analyze`,
`radar compare` and `radar report`. What RADAR needs are the four lines marked so.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, distributed
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader
from torch.utils.data.distributed import DistributedSampler
from transformers import AutoModelForImageTextToText, AutoProcessor

from radar_tasks import paths
from radar_tasks.live import LiveEvaluator  # RADAR

sys.path.insert(0, str(Path(__file__).parents[1] / "tiny_pretraining"))
from documents import Documents
from train import Collator

BATCH = 16
SEED = 7


def batches(steps: int, collate: Collator) -> Iterator[dict[str, Tensor]]:
    """This rank's part of `steps` batches of documents, made afresh."""
    documents = Documents(steps * BATCH * distributed.get_world_size(), SEED)
    sampler = DistributedSampler(documents, seed=SEED)
    yield from DataLoader(documents, BATCH, sampler=sampler, collate_fn=collate)


def main(out: Path, steps: int, every: int, questions: int) -> None:
    """Train, and measure at every so many steps."""
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    distributed.init_process_group()
    torch.manual_seed(SEED)
    start = paths.checkpoints() / "step-00000"
    model = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32).to(device)
    processor = AutoProcessor.from_pretrained(start)
    for block in [*model.model.visual.blocks, *model.model.language_model.layers]:
        fully_shard(block)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    radar = LiveEvaluator(  # RADAR
        model, processor, ["mini_colour", "mini_digits", "mini_sum"], questions=questions, every=every,
        output=out / "results", log=show,
    )  # fmt: skip
    for step, batch in enumerate(batches(steps, Collator(processor))):
        if step in radar.schedule:  # RADAR
            radar.measure(step)  # RADAR
        loss = model(**{name: value.to(device) for name, value in batch.items()}).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    radar.measure(steps)
    distributed.destroy_process_group()


def show(numbers: dict[str, float], step: int) -> None:
    """One line a measurement; a tracker's `log` goes in this place."""
    said = [
        f"{ability} {numbers[f'radar/{ability}_sds']:.3f} ± {numbers[f'radar/{ability}_sds_half_width']:.3f}"
        for ability in ("perception", "reasoning")
    ]
    print(f"step {step}: {', '.join(said)} ({numbers['radar/seconds']:.1f} s)", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--questions", type=int, default=50, help="a source")
    chosen = parser.parse_args()
    main(chosen.out, chosen.steps, chosen.every, chosen.questions)

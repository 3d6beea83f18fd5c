"""Pre-train a very small Qwen2-VL from nothing, and keep checkpoints on the way.

    python examples/tiny_pretraining/train.py OUT

writes OUT/step-00000 (untrained), OUT/step-00100, ... : folders that any program for Hugging Face checkpoints loads.
The sample's questions are not trained on, and no digit image of theirs is; `RadarCallback` measures with some of them
on the way, which leaves every weight as it would be without.
"""

from __future__ import annotations

import argparse
import copy
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import get_last_checkpoint

from radar_tasks import paths
from radar_tasks.training import RadarCallback

sys.path.insert(0, str(Path(__file__).parent))
from documents import IMAGE, Document, Documents
from model import make_model, make_processor

STEPS = 2400
KEPT = (0, 100, 200, 400, 600, 1000, 1600, 2400)
BATCH = 32
SEED = 20260212
IGNORED = -100


class Collator:
    """Documents to the tensors of one batch; the loss is on the text, not on the pictures' places or the padding."""

    def __init__(self, processor: Qwen2VLProcessor) -> None:
        self.processor = processor
        tokens = processor.tokenizer.convert_tokens_to_ids(["<|vision_start|>", "<|image_pad|>", "<|vision_end|>"])
        self.pictures = torch.tensor(tokens)

    def __call__(self, documents: Sequence[Document]) -> dict[str, torch.Tensor]:
        batch = self.processor(
            text=[document.text for document in documents],
            images=[picture for document in documents for picture in document.pictures],
            padding=True,
            return_tensors="pt",
        )
        ids = batch["input_ids"]
        ignored = torch.isin(ids, self.pictures) | (batch["attention_mask"] == 0)
        return {**batch, "labels": ids.masked_fill(ignored, IGNORED)}


class KeepCheckpoints(TrainerCallback):
    """Write the model and its processor to a folder of their own at each of `steps`."""

    def __init__(self, out: Path, steps: Sequence[int], processor: Qwen2VLProcessor) -> None:
        self.out, self.steps, self.processor = out, frozenset(steps), processor

    def on_step_end(
        self,
        args: TrainingArguments,  # noqa: ARG002, called by name
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: object,
    ) -> None:
        model = kwargs["model"]
        assert isinstance(model, Qwen2VLForConditionalGeneration)
        if state.global_step in self.steps:
            keep(self.out, state.global_step, model, self.processor)


def keep(out: Path, step: int, model: Qwen2VLForConditionalGeneration, processor: Qwen2VLProcessor) -> Path:
    """Write a self-contained folder, weights rounded to 16 bit; the model itself is left as it is.

    `config.json` asks for float32 in memory: float16 arithmetic is four times slower on a CPU.
    """
    folder = out / f"step-{step:05d}"
    partial = out / f".step-{step:05d}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    rounded = copy.deepcopy(model).half()
    rounded.save_pretrained(partial)
    rounded.config.dtype = torch.float32
    rounded.config.use_cache = True  # the Trainer switches it off
    rounded.config.save_pretrained(partial)
    processor.save_pretrained(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return folder


def pretrain(
    out: Path,
    steps: int = STEPS,
    kept: Sequence[int] = KEPT,
    batch: int = BATCH,
    seed: int = SEED,
    *,
    measure_every: int = 0,
) -> None:
    """Train for `steps` steps of `batch` documents and write the checkpoints `kept` under `out`.

    With `measure_every` the log has perception and reasoning beside the loss, on 20 questions of each source. Goes on
    from the last 500 steps if `out` holds an interrupted run.
    """
    set_seed(seed)
    documents = Documents(steps * batch, seed)
    processor = make_processor(documents[k].text.replace(IMAGE, "") for k in range(min(4000, len(documents))))
    model = make_model(processor)
    if 0 in kept:
        keep(out, 0, model, processor)
    trainer_folder = out / "trainer"  # what it needs to go on after an interruption
    trainer_folder.mkdir(parents=True, exist_ok=True)
    arguments = TrainingArguments(
        output_dir=str(trainer_folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=2e-3,
        lr_scheduler_type="cosine",
        warmup_steps=steps // 20,
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        seed=seed,
        dataloader_num_workers=1,
        remove_unused_columns=False,
        save_steps=500,
        save_total_limit=1,
        logging_steps=50,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=documents,
        data_collator=Collator(processor),
        callbacks=[KeepCheckpoints(out, kept, processor)],
    )
    if measure_every:
        sources = sorted(file.stem for file in paths.sample().glob("*.parquet"))
        RadarCallback.attach(trainer, sources, every=measure_every, questions=20, processor=processor)
    trainer.train(resume_from_checkpoint=get_last_checkpoint(str(trainer_folder)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoints")
    parser.add_argument("--threads", type=int, default=2, help="cores to use (default 2)")
    parser.add_argument("--measure-every", type=int, default=200, help="steps between two measurements (0: none)")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    torch.set_num_threads(options.threads)
    pretrain(options.out, measure_every=options.measure_every)


if __name__ == "__main__":
    main()

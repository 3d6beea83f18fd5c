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
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch.utils.data import Sampler, SequentialSampler
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

from radar_tasks.store import sample_names
from radar_tasks.training import RadarCallback

sys.path.insert(0, str(Path(__file__).parent))
from documents import IMAGE, KINDS, Document, Documents, Mix
from model import WIDTH, make_model, make_processor

STEPS = 2400
KEPT = (0, 100, 200, 400, 600, 1000, 1600, 2400)
BATCH = 32
SEED = 20260212
SAVED_EVERY = 500
"""An interrupted run goes on from the last multiple of so many steps."""
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
            images=[picture for document in documents for picture in document.pictures] or None,
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


@dataclass(frozen=True)
class Recipe:
    """One pre-training; the defaults are those of the shipped checkpoints.

    The learning rate rises over the first twentieth and falls along a cosine to 0 where the run ends, so a run that is
    cut short is not a shorter run.

    Attributes:
        steps: of the whole run.
        kept: steps whose checkpoints are written; 0 is the model before training.
        batch: documents a step.
        seed: of weights and documents.
        width: of the language model; the learning rate goes with 1 / width.
        pool: so many different documents, repeated; None for a new one each time.
        mixes: (step, shares of kinds of documents) from which on a mix holds.
        in_order: whether documents come as they are numbered, which mixes by step need, or shuffled.
        pictures: whether documents have their pictures.
        tokenizer_seed: of the documents that the tokenizer is learnt from; None for `seed`.
        frozen: parts that are not trained: `tower` (vision without its projector) and `language`.
        language, tower: checkpoints whose weights of that part training starts from.
        everything: a checkpoint whose weights training starts from.
        log_every: steps between two lines of the log, whose loss is the mean since the last one.
    """

    steps: int = STEPS
    kept: Sequence[int] = KEPT
    batch: int = BATCH
    seed: int = SEED
    width: int = WIDTH
    pool: int | None = None
    mixes: Sequence[tuple[int, Mix]] = field(default_factory=lambda: [(0, KINDS)])
    in_order: bool = False
    pictures: bool = True
    tokenizer_seed: int | None = None
    frozen: Sequence[str] = ()
    language: Path | None = None
    tower: Path | None = None
    everything: Path | None = None
    log_every: int = 50

    def __post_init__(self) -> None:
        if len(self.mixes) > 1 and not self.in_order:
            raise ValueError("mixes by step need in_order=True")
        if unknown := set(self.frozen) - {"tower", "language"}:
            raise ValueError(f"frozen: {', '.join(sorted(unknown))}; there are tower and language")


def part_of(weight: str) -> str:
    """`tower`, `projector` or `language`: the part of Qwen2-VL that a weight belongs to."""
    if ".visual." not in f".{weight}":
        return "language"
    return "projector" if ".merger." in weight else "tower"


def start_from(model: Qwen2VLForConditionalGeneration, folder: Path, parts: Sequence[str]) -> None:
    """Give a model the weights that a checkpoint has for these parts."""
    own = type(model).from_pretrained(folder, dtype=torch.float32).state_dict()
    chosen = {name: value for name, value in own.items() if part_of(name) in parts}
    missing = model.load_state_dict(chosen, strict=False)
    if missing.unexpected_keys or not chosen:
        raise ValueError(f"{folder} does not fit this model: {missing.unexpected_keys}")


class InOrder(Trainer):
    """A Trainer that reads documents as they are numbered."""

    def _get_train_sampler(self, train_dataset: Documents | None = None) -> Sampler[int]:
        return SequentialSampler(train_dataset or self.train_dataset)


def pretrain(out: Path, recipe: Recipe | None = None, *, measure_every: int = 0) -> None:
    """Train as a recipe says and write its checkpoints under `out`.

    With `measure_every` the log has perception and reasoning beside the loss, on 20 questions of each source. Goes on
    from what was saved last if `out` holds an interrupted run, to the same weights.
    """
    recipe = recipe or Recipe()
    steps, batch, seed, kept = recipe.steps, recipe.batch, recipe.seed, recipe.kept
    set_seed(seed)
    mixes = [(step * batch, mix) for step, mix in recipe.mixes]
    documents = Documents(steps * batch, seed, mixes=mixes, pool=recipe.pool, pictures=recipe.pictures)
    read = documents if recipe.tokenizer_seed is None else Documents(4000, recipe.tokenizer_seed)
    processor = make_processor(read[k].text.replace(IMAGE, "") for k in range(min(4000, len(read))))
    set_seed(seed)
    model = make_model(processor, recipe.width)
    for folder, parts in (
        (recipe.everything, ("tower", "projector", "language")),
        (recipe.language, ("language",)),
        (recipe.tower, ("tower",)),
    ):
        if folder is not None:
            start_from(model, folder, parts)
    for name, weight in model.named_parameters():
        weight.requires_grad_(part_of(name) not in recipe.frozen)
    if 0 in kept:
        keep(out, 0, model, processor)
    trainer_folder = out / "trainer"  # what it needs to go on after an interruption
    trainer_folder.mkdir(parents=True, exist_ok=True)
    arguments = TrainingArguments(
        output_dir=str(trainer_folder),
        max_steps=steps,
        per_device_train_batch_size=batch,
        learning_rate=2e-3 * WIDTH / recipe.width,
        lr_scheduler_type="cosine",
        warmup_steps=steps // 20,
        weight_decay=0.05,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        seed=seed,
        dataloader_num_workers=1,
        remove_unused_columns=False,
        save_steps=SAVED_EVERY,
        save_total_limit=1,
        logging_steps=recipe.log_every,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = (InOrder if recipe.in_order else Trainer)(
        model=model,
        args=arguments,
        train_dataset=documents,
        data_collator=Collator(processor),
        callbacks=[KeepCheckpoints(out, kept, processor)],
    )
    if measure_every:
        RadarCallback.attach(trainer, sample_names(), every=measure_every, questions=20, processor=processor)
    last = get_last_checkpoint(str(trainer_folder))
    if last is not None:
        # A checkpoint has Qwen2-VL's weights under the names of the Hub. The Trainer of transformers 5.23 looks for
        # those of the model in memory, finds none, warns, and would go on with untrained weights.
        start_from(model, Path(last), ("tower", "projector", "language"))
    trainer.train(resume_from_checkpoint=last)


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

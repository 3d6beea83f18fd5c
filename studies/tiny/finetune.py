"""Fine-tune the plan's checkpoints on another format and ask them as a user would: accuracy of decoded answers.

    python studies/tiny/finetune.py RUNS OUT [--plan FILE]

RUNS holds the pre-trained checkpoints (RUNS/base-1/step-00050, ...). Every checkpoint of the plan's configurations is
fine-tuned for 100 steps on conversations about pictures that no pre-training has drawn from the same seeds: half of the
questions show lettered options in drawn order and are answered with the letter, half show none and are answered freely.
Then the held-out questions of the study's abilities are asked in both forms, decoded greedily, parsed and counted.

OUT/finetuned.csv has a row for each run, step, seed, form and ability. OUT/accuracy.csv has the same as `radar
agreement --outside` takes it, OUT/losses.csv the loss of pre-training at the same checkpoints and OUT/mir.csv their
MIR. What is there is not made again; the exit status is 1 while checkpoints are missing, and the same command goes on
when they are there.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import (
    BatchFeature,
    Qwen2VLForConditionalGeneration,
    Qwen2VLProcessor,
    get_linear_schedule_with_warmup,
    set_seed,
)

from radar_tasks.files import write_whole
from radar_tasks.mir.hidden_states import modality_integration
from radar_tasks.mir.pairs import pairs_of_sources
from radar_tasks.questions import Question
from radar_tasks.report.text_tables import comma_separated
from radar_tasks.scoring.checkpoints import checkpoint_options, load
from radar_tasks.sources.sample_pictures import Digits, load_digits

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "examples" / "tiny_pretraining")]
from abilities import ABILITIES, questions_of  # noqa: E402
from documents import IMAGE  # noqa: E402
from model import WIDTH  # noqa: E402
from pretrain import PLAN, fine_tuned, read_plan  # noqa: E402
from train import IGNORED  # noqa: E402

FORMS = ("letter", "free")
REPLY, OVER = "<|im_start|>", "<|im_end|>"
"""Marks around a reply; pre-training has used neither."""
LETTERS = "ABCDEFGH"
BATCH = 16
TURNS = 4
"""Most questions in a conversation."""
LEARNING_RATE = 1e-3
"""At width 128; it goes with 1 / width as in pre-training."""
QUESTIONS = 100
"""Held-out questions an ability: the first ones of those that are scored."""
ASKED_AT_ONCE = 50
MIR_PAIRS = 100
"""Pairs of picture and text of the embedded sample that MIR is made from."""
SEED = 7_000_000
"""Added to the seed of a fine-tuning, so that no pre-training has read the same documents."""


@dataclass(frozen=True)
class Accuracy:
    """How often the decoded answers are right: a row of the output.

    Attributes:
        run, step, seed: the checkpoint, and the seed of its fine-tuning.
        form: `letter` or `free`.
        ability: of the plan.
        accuracy: share of right answers, in [0, 1]; one that cannot be parsed is wrong.
        questions: how many were asked.
        unparsed: how many answers were none: no letter of an option, or no answer that any question of the ability has.
    """

    run: str
    step: int
    seed: int
    form: str
    ability: str
    accuracy: float
    questions: int
    unparsed: int


@dataclass(frozen=True)
class FineTuning:
    """One fine-tuning of the plan: a checkpoint and a seed, for so many steps, asked so many questions an ability."""

    run: str
    step: int
    seed: int
    steps: int
    questions: int

    def checkpoint(self, runs: Path) -> Path:
        """Where the checkpoint it starts from lies."""
        return runs / self.run / f"step-{self.step:05d}"


def fine_tunings(plan: Mapping[str, Any]) -> list[FineTuning]:
    """Those of a plan."""
    questions = min(QUESTIONS, plan.get("questions_each", QUESTIONS))
    return [FineTuning(*one, plan["fine_tuning"]["steps"], questions) for one in fine_tuned(plan)]


def put(question: str, options: Sequence[str], form: str) -> str:
    """A question as the fine-tuned model reads it, up to where it replies."""
    shown = "".join(f"\n{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))
    return question + (shown if form == "letter" else "") + REPLY


def conversation(seed: int, number: int, digits: Digits) -> tuple[str, tuple[np.ndarray, ...]]:
    """Document `number` of a fine-tuning: text with replies, and its pictures; abilities take equal parts."""
    rng = np.random.default_rng([SEED + seed, number])
    scenes = ABILITIES[int(rng.integers(len(ABILITIES)))].scenes
    scene = scenes(rng, digits)
    asked = [(part, statement) for part in ABILITIES if part.scenes is scenes and (statement := part.asking(scene))]
    turns: dict[str, str] = {}
    for k in rng.permutation(len(asked)):
        part, statement = asked[k]
        if statement.question in turns or len(turns) == TURNS:
            continue  # abilities that differ in their options alone ask the same
        form = FORMS[int(rng.integers(2))]
        wrong = [choice for choice in statement.choices if choice != statement.answer]
        options = [statement.answer, *(str(other) for other in rng.choice(wrong, part.options - 1, replace=False))]
        options = [options[place] for place in rng.permutation(len(options))]
        reply = LETTERS[options.index(statement.answer)] if form == "letter" else f" {statement.answer}"
        turns[statement.question] = f"{put(statement.question, options, form)}{reply}{OVER}"
    return IMAGE * len(scene.pictures) + "\n".join(turns.values()), scene.pictures


def training_batches(processor: Qwen2VLProcessor, seed: int, steps: int) -> list[BatchFeature]:
    """The conversations of a fine-tuning, step by step; what is no reply has no label."""
    digits = load_digits("train")
    batches = []
    for step in range(steps):
        documents = [conversation(seed, step * BATCH + k, digits) for k in range(BATCH)]
        batch = _encoded(processor, documents, "right")
        ids = batch["input_ids"]
        begin, end = processor.tokenizer.convert_tokens_to_ids([REPLY, OVER])
        # After the mark that begins a reply up to the mark that ends it: the model is to say when it is done.
        begun, ended = (ids == begin).cumsum(1) - (ids == begin).long(), (ids == end).cumsum(1) - (ids == end).long()
        batches.append(BatchFeature({**batch, "labels": ids.masked_fill(begun <= ended, IGNORED)}))
    return batches


def fine_tune(folder: Path, batches: Sequence[BatchFeature], seed: int) -> Qwen2VLForConditionalGeneration:
    """A checkpoint after a step on each batch: AdamW, a tenth of warm-up, then down a line to 0."""
    set_seed(seed)
    model = Qwen2VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).train()
    width = model.config.text_config.hidden_size
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE * WIDTH / width, weight_decay=0.0)
    schedule = get_linear_schedule_with_warmup(optimizer, len(batches) // 10, len(batches))
    for batch in batches:
        model(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def _encoded(
    processor: Qwen2VLProcessor, documents: Sequence[tuple[str, Sequence[np.ndarray]]], side: str
) -> BatchFeature:
    return processor(
        text=[text for text, _ in documents],
        images=[picture for _, pictures in documents for picture in pictures],
        padding=True,
        padding_side=side,
        return_tensors="pt",
    )


@dataclass(frozen=True)
class Asked:
    """Held-out questions of one ability in one form, as they are put to every model.

    Attributes:
        form, ability: what is asked.
        questions: in the order of the batches.
        batches: prompts, padded on the left.
        longest: most tokens of a reply, with the mark that ends it.
    """

    form: str
    ability: str
    questions: tuple[Question, ...]
    batches: tuple[BatchFeature, ...]
    longest: int


def held_out(processor: Qwen2VLProcessor, count: int) -> Iterator[Asked]:
    """The first `count` questions of every ability in both forms; their digits are of the test split."""
    digits = load_digits("test")
    for k, part in enumerate(ABILITIES):
        questions = tuple(questions_of(part, k, digits, count))
        options = [f" {option}" for question in questions for option in question.options]
        longest = max(len(ids) for ids in processor.tokenizer(options)["input_ids"]) + 1
        pictures = [[Image.open(io.BytesIO(image)).convert("RGB") for image in q.images] for q in questions]
        for form in FORMS:
            prompts = [IMAGE * len(q.images) + put(q.text[0], q.options, form) for q in questions]
            documents = list(zip(prompts, pictures, strict=True))
            batches = tuple(
                _encoded(processor, documents[start : start + ASKED_AT_ONCE], "left")
                for start in range(0, count, ASKED_AT_ONCE)
            )
            yield Asked(form, part.name, questions, batches, 2 if form == "letter" else longest)


@torch.inference_mode()
def replies(model: Qwen2VLForConditionalGeneration, processor: Qwen2VLProcessor, asked: Asked) -> list[str]:
    """What the model says, greedily, up to the mark that ends a reply (or as far as an answer can reach)."""
    tokenizer = processor.tokenizer
    said = []
    for batch in asked.batches:
        made = model.generate(
            **batch,
            do_sample=False,
            max_new_tokens=asked.longest,
            eos_token_id=tokenizer.convert_tokens_to_ids(OVER),
            pad_token_id=tokenizer.pad_token_id,
        )
        new = tokenizer.batch_decode(made[:, batch["input_ids"].shape[1] :])
        said += [text.split(OVER)[0].strip() for text in new]
    return said


def parsed(reply: str, question: Question, form: str, answers: Container[str]) -> str | None:
    """The answer that a reply gives; None where it gives none.

    Args:
        reply: as decoded.
        question: whose options the letters stand for.
        form: `letter` or `free`.
        answers: all that can be answered in this ability.
    """
    if form == "letter":
        return dict(zip(LETTERS, question.options, strict=False)).get(reply)
    return reply if reply in answers else None


def accuracy_of(fine_tuning: FineTuning, asked: Asked, said: Sequence[str]) -> Accuracy:
    """The row that replies make."""
    answers = {option for question in asked.questions for option in question.options}
    given = [parsed(reply, q, asked.form, answers) for reply, q in zip(said, asked.questions, strict=True)]
    right = sum(answer == q.options[q.answer] for answer, q in zip(given, asked.questions, strict=True))
    return Accuracy(
        fine_tuning.run,
        fine_tuning.step,
        fine_tuning.seed,
        asked.form,
        asked.ability,
        right / len(given),
        len(given),
        given.count(None),
    )


def read_rows(file: Path) -> list[Accuracy]:
    """The rows of an earlier call; none where there is no file."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        kinds = [(field.name, {"int": int, "float": float, "str": str}[str(field.type)]) for field in fields(Accuracy)]
        return [Accuracy(*(kind(row[name]) for name, kind in kinds)) for row in csv.DictReader(lines)]


def write_rows(out: Path, rows: Sequence[Accuracy]) -> None:
    """All rows, and what `radar agreement --outside` reads: a column a form, the second seed in columns of its own."""
    header = [field.name for field in fields(Accuracy)]
    write_whole(out / "finetuned.csv", comma_separated(header, [[str(cell) for cell in astuple(row)] for row in rows]))
    columns = {(form, seed): form if seed == 1 else f"{form} again" for form in FORMS for seed in (1, 2)}
    found = {(row.run, row.step, row.ability, row.form, row.seed): str(row.accuracy) for row in rows}
    places = dict.fromkeys((row.run, row.step, row.ability) for row in rows)
    table = [
        [f"{run}/step-{step:05d}", f"tiny_{ability}", *(found.get((run, step, ability, *at), "") for at in columns)]
        for run, step, ability in places
    ]
    write_whole(out / "accuracy.csv", comma_separated(["checkpoint", "source", *columns.values()], table))


def write_losses(runs: Path, out: Path, wanted: Sequence[FineTuning]) -> None:
    """The loss of pre-training that was logged last at each checkpoint, as `radar agreement --losses` takes it."""
    rows = []
    for run, step in dict.fromkeys((one.run, one.step) for one in wanted):
        found = (runs / run / "trainer").glob("checkpoint-*/trainer_state.json")
        states = sorted(found, key=lambda file: file.stat().st_mtime)
        logged = json.loads(states[-1].read_text(encoding="utf-8"))["log_history"] if states else []
        losses = {int(line["step"]): line["loss"] for line in logged if "loss" in line}
        last = max((at for at in losses if at <= step), default=None)
        if last is not None and max(losses) >= step:  # else the run was stopped before, and its log is behind
            rows.append([f"{run}/step-{step:05d}", str(losses[last])])
    write_whole(out / "losses.csv", comma_separated(["checkpoint", "training loss"], rows))


def write_mir(runs: Path, out: Path, wanted: Sequence[FineTuning]) -> None:
    """MIR of each checkpoint before its fine-tuning, as `radar mir` writes it; what is there is not made again."""
    file = out / "mir.csv"
    rows = []
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as lines:
            rows = [[row["checkpoint"], row["mir"]] for row in csv.DictReader(lines)]
    made = {name for name, _ in rows}
    folders = {f"{one.run}/step-{one.step:05d}": one.checkpoint(runs) for one in wanted}
    todo = {name: folder for name, folder in folders.items() if name not in made and folder.is_dir()}
    pairs = pairs_of_sources([], MIR_PAIRS) if todo else []
    for done, (name, folder) in enumerate(todo.items(), 1):
        found = modality_integration(load(checkpoint_options({"pretrained": str(folder)})), pairs)
        rows.append([name, repr(found.mir)])
        write_whole(file, comma_separated(["checkpoint", "mir"], rows))
        print(f"{name}: MIR {found.mir:.4f}; {len(todo) - done} to go", flush=True)


def run_all(runs: Path, out: Path, wanted: Sequence[FineTuning]) -> int:
    """Make what is not there yet and can be made; returns how many fine-tunings still wait for their checkpoints."""
    rows = read_rows(out / "finetuned.csv")
    if other := {row.questions for row in rows} - {one.questions for one in wanted}:
        raise SystemExit(f"{out / 'finetuned.csv'} asked {sorted(other)} questions an ability; give another folder.")
    made = {(row.run, row.step, row.seed) for row in rows}
    todo = [one for one in wanted if (one.run, one.step, one.seed) not in made]
    ready = [one for one in todo if one.checkpoint(runs).is_dir()]
    if ready:
        tokenizer = (ready[0].checkpoint(runs) / "tokenizer.json").read_bytes()
        processor = Qwen2VLProcessor.from_pretrained(ready[0].checkpoint(runs))
        # All that does not depend on the weights is encoded once.
        asked = list(held_out(processor, ready[0].questions))
        batches = {seed: training_batches(processor, seed, ready[0].steps) for seed in {one.seed for one in ready}}
    started = time.monotonic()
    for done, one in enumerate(ready, 1):
        if (one.checkpoint(runs) / "tokenizer.json").read_bytes() != tokenizer:
            raise SystemExit(f"{one.checkpoint(runs)} has another tokenizer than {ready[0].checkpoint(runs)}.")
        model = fine_tune(one.checkpoint(runs), batches[one.seed], one.seed)
        rows += [accuracy_of(one, part, replies(model, processor, part)) for part in asked]
        write_rows(out, rows)
        left = (time.monotonic() - started) / done * (len(ready) - done) / 60
        new = rows[-len(asked) :]
        means = [f"{form} {np.mean([row.accuracy for row in new if row.form == form]):.2f}" for form in FORMS]
        print(f"{one.run} step {one.step} seed {one.seed}: {', '.join(means)}; {len(ready) - done} to go, "
              f"about {left:.0f} min", flush=True)  # fmt: skip
    write_losses(runs, out, wanted)
    write_mir(runs, out, wanted)
    return len(todo) - len(ready)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the pre-trained runs")
    parser.add_argument("out", type=Path, help="folder for the tables")
    parser.add_argument("--plan", type=Path, default=PLAN, help="another plan than the committed one")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if waiting := run_all(options.runs, options.out, fine_tunings(read_plan(options.plan))):
        raise SystemExit(f"{waiting} fine-tunings wait for checkpoints that are not in {options.runs}.")


if __name__ == "__main__":
    main()

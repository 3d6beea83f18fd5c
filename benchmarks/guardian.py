"""The guardian on trainings: eight planted faults, how soon each is found and with what cause, and false alarms.

    OMP_NUM_THREADS=1 python benchmarks/guardian.py OUT [--start CHECKPOINT ...] [--first-seed 0]

goes on where it stopped: OUT/seed-000/FAULT.json is one training, and FAULT.parquet beside it holds its measurements,
which `radar guard` reads. At the end the guardian looks at all of them and the tables are printed; with `--table` at
what is there.

**Plan**, written before the first run that counts. A training continues a checkpoint of the small Qwen2-VL of
`examples/tiny_pretraining`, on its documents, 16 a step, with AdamW and the learning rate that such a training has two
thirds of its way along (4.2e-4, less for wider models), the first ten steps rising to it. It is measured as
`LiveEvaluator` with `prior="blind"` does, on 25 questions of each of the ten sources of `radar_mini`: before its first
step and then every 15 steps. The fault is planted right after the third measurement, and what measures then begins
anew and knows the former measurements, as after a restart; two measurements with the fault follow, and three where
there is none. Seeds give documents and faults; the starts take turns. What is reported starts from step 1131 of 1600
of four runs of `studies/tiny`: base-1, base-2, base-3, width-096. Steps and questions were chosen by their cost, and
seed 900 was tried beforehand to see that everything runs, and that each fault makes an ability fall by more than what
the guardian tolerates; it does not count.

| fault | planted how | right cause |
| --- | --- | --- |
| `one_answer` | every line of the documents gives the answer that its question had first, whatever is seen | prior |
| `projector` | weights of the vision projector drawn anew, spread as they were, and frozen | sight |
| `pictures` | each document of a batch has the pictures of another one | sight |
| `labels` | documents of one digit say the next digit's name | source |
| `blocks` | every matrix of the language model's layers drawn anew, spread as it was | text |
| `normalisation` | measured with an image processor that subtracts no mean and divides by no deviation | processor |
| `tokenizer` | measured with a tokenizer whose learnt words have their numbers moved by one | processor |
| `not_finite` | one weight of the language model is NaN | numerics |

Five seeds (0 to 4) of each fault, and 20 trainings without one (seeds 0 to 19; the first five share their first three
measurements with the faulty ones of their seed).

* *Found*: any alarm at the first or second measurement with the fault.
* *Cause right*: every alarm of the measurement that found it names the cause of the table. Several abilities and
  sources may alarm at once; if one of them names another cause, it counts as wrong.
* *Dated right*: those alarms say that the last measurement before the fault still stood.
* *False alarm*: any alarm of a training without a fault, or before a fault. The first look of a training cannot alarm.
* *Without the prior*: the same measurements given to a guardian without what was asked blind.

Thresholds are the guardian's as they are when this is written: LEVEL 0.05, LEAST 0.08, LEAST_OF_SOURCE 0.2, TEXT_LOST
0.5, UNSEEN 1.5, ALONE 0.7, SIGHTS_PART 0.5, NEAR_CHANCE 0.15. What is missed is printed like what is found. If the
guardian is changed after what comes out, fresh seeds are run, and both tables are kept.

**Changed after the trial** (seed 900), and committed before any training that counts was looked at. In the trial every
fault was found at the first measurement, but three causes were wrong: `one_answer` was named sight, `labels` text,
and `tokenizer` text. The guardian's causes were mended, its tests for falls are as they were: a prior has also drifted
where without the picture a third of the probability went to other options (PRIOR_MOVED, new); the options' texts count
as lost by the median over the ability's sources; a source that fell alone is also a cause where its ability stands,
and none where the others were at chance before; results name the tokenizer's vocabulary. Two faults had been weaker at
first (noise added to the blocks, and a processor that was trained with as well), and training undid them within 15
steps: no ability had fallen by what is tolerated, and there was no alarm.
"""

from __future__ import annotations

import argparse
import copy
import json
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from radar_tasks import paths
from radar_tasks.analysis.guardian import Alarm, Guardian, Measurement
from radar_tasks.errors import CheckpointError
from radar_tasks.files import write_whole
from radar_tasks.follow.guarding import as_results_say
from radar_tasks.questions import ABILITIES
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import CheckpointResult, find_runs, samples_of
from radar_tasks.results.metrics import value
from radar_tasks.results.packed import pack
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.engine.logits import NOT_FINITE
from radar_tasks.sources.sample_statements import NUMBERS
from radar_tasks.store import sample_names

sys.path.insert(0, str(Path(__file__).parents[1] / "examples" / "tiny_pretraining"))
sys.path.insert(0, str(Path(__file__).parents[1] / "studies" / "tiny"))
from documents import END, IMAGE, Document, Documents
from model import WIDTH
from score import Asked, RememberingCheckpoint
from train import Collator, part_of

EVERY, BEFORE, AFTER, AFTER_NONE = 15, 3, 2, 3
"""Steps between two measurements; measurements before the fault, with it, and in its place where there is none."""
QUESTIONS, BATCH, RATE, RISING = 25, 16, 4.2e-4, 10
SOUND = "none"
ANSWERED = re.compile(r"(.*(?: is on the| is the| is a| is| shows a)) (.*)")
"""A line of a document: its question, its answer."""

Alter = Callable[[list[Document]], list[Document]]


class Training:
    """A model that trains on documents; `copy.deepcopy` gives one that goes on from here by itself.

    Attributes:
        measured_with: the processor of measurements.
        alter: what a fault makes of a batch of documents.
        rng: for the choices of a fault.
    """

    def __init__(self, start: Path, seed: int) -> None:
        torch.manual_seed(seed)
        self.model = AutoModelForImageTextToText.from_pretrained(start, dtype=torch.float32).train()
        self.processor = AutoProcessor.from_pretrained(start)
        self.measured_with = self.processor
        self.documents = Documents((BEFORE + AFTER_NONE) * EVERY * BATCH, 10_000 + seed)  # the study's seeds are small
        self.rng = np.random.default_rng([seed, 19])
        rate = RATE * WIDTH / self.model.config.text_config.hidden_size
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.05)
        self.rising = torch.optim.lr_scheduler.LinearLR(self.optimizer, 1 / RISING, total_iters=RISING)
        self.alter: Alter = lambda documents: documents
        self.step = 0

    def train(self) -> None:
        """On to the next measurement."""
        for _ in range(EVERY):
            documents = [self.documents[self.step * BATCH + k] for k in range(BATCH)]
            self.model(**Collator(self.processor)(self.alter(documents))).loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad()
            self.rising.step()
            self.step += 1


def one_answer(training: Training) -> None:
    """The labels' column of the data is broken: a question has the answer that it had in the first document."""
    first: dict[str, str] = {}

    def alter(documents: list[Document]) -> list[Document]:
        return [_answering(document, first.setdefault) for document in documents]

    training.alter = alter


def projector(training: Training) -> None:
    """The projector was not loaded, and is not trained."""
    for name, weight in training.model.named_parameters():
        if part_of(name) == "projector":
            _draw_anew(weight, training.rng)
            weight.requires_grad_(False)


def pictures(training: Training) -> None:
    """Pictures and texts are no longer in the same order."""

    def alter(documents: list[Document]) -> list[Document]:
        altered = list(documents)
        for count in (1, 2):
            places = [k for k, document in enumerate(documents) if len(document.pictures) == count]
            for place, other in zip(places, places[1:] + places[:1], strict=True):
                altered[place] = replace(documents[place], pictures=documents[other].pictures)
        return altered

    training.alter = alter


def labels(training: Training) -> None:
    """The labels of one kind of documents are off by one."""

    def next_digit(question: str, answer: str) -> str:
        return NUMBERS[(NUMBERS.index(answer) + 1) % 10] if question == "The digit is" else answer

    training.alter = lambda documents: [_answering(document, next_digit) for document in documents]


def blocks(training: Training) -> None:
    """The language model's layers were not loaded."""
    for name, weight in training.model.named_parameters():
        if part_of(name) == "language" and ".layers." in name and weight.dim() == 2:
            _draw_anew(weight, training.rng)


def normalisation(training: Training) -> None:
    """Checkpoints come with another image processor than they are trained with."""
    training.measured_with = copy.deepcopy(training.processor)
    training.measured_with.image_processor.image_mean = [0.0, 0.0, 0.0]
    training.measured_with.image_processor.image_std = [1.0, 1.0, 1.0]


def tokenizer(training: Training) -> None:
    """Checkpoints come with another tokenizer than they are trained with; it cuts texts as the right one does."""
    with tempfile.TemporaryDirectory() as folder:
        training.processor.save_pretrained(folder)
        file = Path(folder, "tokenizer.json")
        said = json.loads(file.read_text(encoding="utf-8"))
        vocabulary = said["model"]["vocab"]
        words = sorted((number, word) for word, number in vocabulary.items() if len(word) > 1 and word[:2] != "<|")
        numbers = [number for number, _ in words]
        moved = zip(numbers[1:] + numbers[:1], words, strict=True)
        vocabulary.update({word: number for number, (_, word) in moved})
        file.write_text(json.dumps(said), encoding="utf-8")
        training.measured_with = AutoProcessor.from_pretrained(folder)


def not_finite(training: Training) -> None:
    """One weight is NaN."""
    matrices = [w for n, w in training.model.named_parameters() if part_of(n) == "language" and ".layers." in n]
    weight = matrices[int(training.rng.integers(len(matrices)))]
    weight.data.view(-1)[int(training.rng.integers(weight.numel()))] = float("nan")


def _draw_anew(weight: torch.Tensor, rng: np.random.Generator) -> None:
    weight.data.copy_(torch.as_tensor(rng.normal(0, float(weight.detach().std()), tuple(weight.shape))))


def _answering(document: Document, answer: Callable[[str, str], str]) -> Document:
    """The document with other answers; `answer` is given a line's question and its answer."""
    marks = IMAGE * len(document.pictures)
    lines = []
    for line in document.text.removeprefix(marks).removesuffix(END).split("\n"):
        found = ANSWERED.fullmatch(line)
        assert found is not None, line
        lines.append(f"{found[1]} {answer(found[1], found[2])}")
    return replace(document, text=marks + "\n".join(lines) + END)


FAULTS: dict[str, tuple[Callable[[Training], None], str]] = {
    "one_answer": (one_answer, "prior"),
    "projector": (projector, "sight"),
    "pictures": (pictures, "sight"),
    "labels": (labels, "source"),
    "blocks": (blocks, "text"),
    "normalisation": (normalisation, "processor"),
    "tokenizer": (tokenizer, "processor"),
    "not_finite": (not_finite, "numerics"),
}


class Watched:
    """A training and its measurements.

    Measured with the model and processor as they are when this is made, as a process that has just started would.

    Args:
        training: the training.
        asked: the questions.
        before: measurements that it goes on from, after a restart.

    Attributes:
        steps: of all measurements.
        results: those whose scores are finite.
        not_finite: by step why there is none.
    """

    def __init__(self, training: Training, asked: Asked, before: Watched | None = None) -> None:
        self.training, self._asked = training, asked
        self.steps: list[int] = [] if before is None else list(before.steps)
        self.results: list[CheckpointResult] = [] if before is None else list(before.results)
        self.not_finite: dict[int, str] = {}
        loaded = from_model(training.model, training.measured_with)
        parts = {part.name: getattr(loaded, part.name) for part in fields(loaded)}
        self._scorer = Scorer(RememberingCheckpoint(**parts), batch_size=64, prior="blind")
        self._described = loaded.describe()

    def measure(self) -> None:
        """Score the model as it is, as `LiveEvaluator` does."""
        step = self.training.step
        self.steps.append(step)
        try:
            scores = dict(self._scorer.score(self._asked.questions))
        except CheckpointError as error:
            if NOT_FINITE not in str(error):
                raise
            self.not_finite[step] = str(error)
            return
        finally:
            self.training.model.train()
        measured = list(self._asked.measured(scores))
        sources = {
            str(source.data["source"]): samples_of(
                [record["sds"] for record in source.records], dict(source.data), source.leaf, source.by_category
            )
            for source in measured
        }
        self.results.append(
            CheckpointResult(
                name=f"step-{step:05d}",
                experiment="guarded",
                step=step,
                file=Path(f"step-{step:05d}"),
                date="",
                harness="lmms-eval",
                config={},
                data={str(source.data["source"]): dict(source.data) for source in measured},
                scoring=as_results_say({**self._described, **self._scorer.describe()}),
                sources=sources,
                metrics={},
            )
        )


def run_seed(out: Path, start: Path, seed: int, faults: Sequence[str], asked: Asked) -> None:
    """The trainings of one seed that are not there yet; all go on from the same first measurements."""
    folder = out / f"seed-{seed:03d}"
    folder.mkdir(parents=True, exist_ok=True)
    if not (todo := [fault for fault in faults if not (folder / f"{fault}.json").is_file()]):
        return
    started = time.process_time()
    before = Watched(Training(start, seed), asked)
    before.measure()
    for _ in range(BEFORE - 1):
        before.training.train()
        before.measure()
    print(f"seed {seed}, until the fault: {time.process_time() - started:.0f} s of a core", flush=True)
    for fault in todo:
        started = time.process_time()
        training = copy.deepcopy(before.training)
        if fault != SOUND:
            FAULTS[fault][0](training)
        watched = Watched(training, asked, before)
        for _ in range(AFTER_NONE if fault == SOUND else AFTER):
            watched.training.train()
            watched.measure()
        pack(watched.results, folder / f"{fault}.parquet")
        said = {"seed": seed, "fault": fault, "start": f"{start.parent.name}/{start.name}", "steps": watched.steps}
        write_whole(folder / f"{fault}.json", json.dumps(said | {"not_finite": watched.not_finite}, indent=1))
        print(f"seed {seed}, {fault}: {time.process_time() - started:.0f} s of a core", flush=True)


@dataclass(frozen=True)
class Judged:
    """What a guardian made of a training.

    Attributes:
        seed, fault: as it was run.
        alarms: of each measurement.
        sds: of each measurement by ability; nothing where it was not finite.
    """

    seed: int
    fault: str
    alarms: list[list[Alarm]]
    sds: list[dict[str, float]]

    @classmethod
    def of(cls, file: Path, prior: bool) -> Judged:
        """The training of a JSON file, judged anew; without `prior` as if nothing had been asked blind."""
        said = json.loads(file.read_text(encoding="utf-8"))
        results = {result.step: result for result in find_runs([file.with_suffix(".parquet")])}
        guardian, alarms, sds = Guardian(), [], []
        for step in said["steps"]:
            if (reason := said["not_finite"].get(str(step))) is not None:
                alarms.append([guardian.not_measured(step, reason)])
                sds.append({})
                continue
            measurement = Measurement.of(results[step])
            if not prior:
                bare = {
                    name: replace(of, logprob_blind=None, logit_blind=None) for name, of in measurement.sources.items()
                }
                measurement = replace(measurement, sources=bare)
            alarms.append(guardian.observe(measurement))
            sources = measurement.sources.values()
            sds.append({a: float(np.mean([value(of, "sds") for of in sources if of.ability == a])) for a in ABILITIES})
        return cls(said["seed"], said["fault"], alarms, sds)


def show(out: Path) -> None:
    """Judge what is there and print the tables."""
    files = sorted(out.glob("seed-*/*.json"))
    for words, prior in (("With `prior=blind`", True), ("Without the prior", False)):
        runs = [Judged.of(file, prior) for file in files]
        header = [
            *("fault", "right cause", "trainings", "found at the first", "found within two", "cause right"),
            *("dated right", "causes named", *(f"{ability}, before and after" for ability in ABILITIES)),
        ]
        rows = [_row(fault, [run for run in runs if run.fault == fault]) for fault in FAULTS]
        print(f"\n{words}\n\n{markdown(header, rows)}")
        clean = [run for run in runs if run.fault == SOUND]
        # The first measurements of a seed are the same in all its trainings, and count once.
        sound = {
            (run.seed, k): alarms
            for run in runs
            for k, alarms in enumerate(run.alarms)
            if k and (k < BEFORE or run.fault == SOUND)
        }
        print(
            f"False alarms: {sum(any(run.alarms) for run in clean)} of {len(clean)} trainings without a fault; "
            f"{sum(map(bool, sound.values()))} of {len(sound)} looks without one."
        )


def _row(fault: str, runs: Sequence[Judged]) -> list[str]:
    right_cause = FAULTS[fault][1]
    at_first = within_two = right = dated = 0
    causes: Counter[str] = Counter()
    for run in runs:
        place = next((k for k in (BEFORE, BEFORE + 1) if run.alarms[k]), None)
        if place is None:
            continue
        at_first, within_two = at_first + (place == BEFORE), within_two + 1
        alarms = run.alarms[place]
        causes.update({alarm.cause for alarm in alarms})
        right += all(alarm.cause == right_cause for alarm in alarms)
        dated += all(alarm.since == (BEFORE - 1) * EVERY for alarm in alarms)
    named = ", ".join(f"{cause} {count}" for cause, count in causes.most_common())
    counts = [str(number) for number in (len(runs), at_first, within_two, right, dated)]
    return [f"`{fault}`", right_cause, *counts, named or "none", *(_sds(runs, ability) for ability in ABILITIES)]


def _sds(runs: Sequence[Judged], ability: str) -> str:
    """Mean SDS at the last measurement before the fault and at the second one after it."""
    pairs = [[run.sds[k].get(ability, np.nan) for k in (BEFORE - 1, BEFORE + 1)] for run in runs]
    return " to ".join(f"{mean:.2f}" for mean in np.mean(pairs, axis=0)) if pairs else ""


def main() -> None:
    """Run what is missing, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the trainings' measurements")
    shipped = paths.checkpoints() / "step-01600"
    parser.add_argument("--start", type=Path, nargs="+", default=[shipped], help="checkpoints, which take turns")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--clean", type=int, default=20, help="trainings without a fault")
    parser.add_argument("--faulty", type=int, default=5, help="trainings of each fault")
    parser.add_argument("--table", action="store_true", help="only print the tables of what is there")
    chosen = parser.parse_args()
    logging.getLogger("radar").setLevel(logging.ERROR)  # alarms are what the tables are about
    torch.set_num_threads(1)
    if not chosen.table:
        asked = Asked(sample_names(), QUESTIONS)
        for k in range(max(chosen.clean, chosen.faulty)):
            faults = [*(FAULTS if k < chosen.faulty else []), *([SOUND] if k < chosen.clean else [])]
            run_seed(chosen.out, chosen.start[k % len(chosen.start)], chosen.first_seed + k, faults, asked)
    show(chosen.out)


if __name__ == "__main__":
    main()

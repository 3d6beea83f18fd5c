"""Score every checkpoint of the plan's runs on the twenty abilities and pack each run's results into one file.

    python studies/tiny/score.py RUNS RESULTS [RUN ...] [--wait]

writes RESULTS/RUN.parquet, which every `radar` command reads, as soon as all kept checkpoints of a run are scored. What
is scored already is not scored again; with --wait it goes on until the training has made everything.

It is what `radar track` does, with the same engine, in one process for hundreds of small checkpoints: all of them have
the same tokenizer and image processor, so that each question is read and encoded once for all, which would take two
thirds of the time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from abilities import ABILITIES, CONTROL, write_abilities
from pretrain import PLAN, kept_steps, read_plan

from radar_tasks.follow.measurement_folder import MeasuredSource, write_measurement
from radar_tasks.harness.aggregation import of_question
from radar_tasks.harness.documents import Documents
from radar_tasks.harness.responses import to_response
from radar_tasks.questions import AskedQuestion, Question
from radar_tasks.results import CheckpointResult, SourceSamples, find_runs
from radar_tasks.results.metrics import value
from radar_tasks.results.model import LOGPROBS
from radar_tasks.results.packed import pack
from radar_tasks.scoring import OptionScore, Scorer
from radar_tasks.scoring.checkpoints import Checkpoint, checkpoint_options, load
from radar_tasks.scoring.checkpoints.model_args import Withheld
from radar_tasks.scoring.types import EncodedQuestion
from radar_tasks.store import open_source

BATCH = 64
PRIOR: Withheld = "blind"
STEP = 2.0**-10
"""Packed scores are multiples of this, in nats; a probability changes by at most a quarter of it."""
PAUSE = 20
"""Seconds between two looks for new checkpoints."""


@dataclass
class RememberingCheckpoint(Checkpoint):
    """A checkpoint that takes a question's encoding from those before it that had the same processor."""

    memory: dict[tuple[str, str], EncodedQuestion] = field(default_factory=dict)

    def encode_with_prior(self, question: AskedQuestion, withheld: Withheld) -> EncodedQuestion:
        key = question.source, question.q_id
        if key not in self.memory:
            self.memory[key] = super().encode_with_prior(question, withheld)
        return self.memory[key]


class Asked:
    """The questions of all sources, or the first `most` of each, in memory."""

    def __init__(self, sources: Sequence[str], most: int | None = None) -> None:
        self.documents = {source: Documents.of(open_source(source)) for source in sources}
        # A first part is a stratified one.
        self.places = [(source, k) for source, of in self.documents.items() for k in range(len(of))[:most]]
        self.questions: list[Question] = [self.documents[source].question(k) for source, k in self.places]
        self.limit = most if most is not None and any(len(of) > most for of in self.documents.values()) else None

    def measured(self, scores: Mapping[int, Sequence[OptionScore]]) -> Iterator[MeasuredSource]:
        """What came out for each source, as `LiveEvaluator` puts it down."""
        for source, documents in self.documents.items():
            asked = [(documents[k], scores[n]) for n, (of, k) in enumerate(self.places) if of == source]
            yield MeasuredSource(
                data=documents.provenance["data"],
                prompts=["<image>".join(document["text"]) for document, _ in asked],
                records=[
                    of_question(document, [json.loads(to_response(score)) for score in options])
                    for document, options in asked
                ],
                refused=(),
            )


def score_checkpoint(folder: Path, output: Path, asked: Asked, memory: dict[str, Any]) -> None:
    """One checkpoint on everything; its results folder is written whole or not at all.

    Args:
        folder: the checkpoint.
        output: its results folder, RUN/step-00200.
        asked: the questions.
        memory: encodings by processor, see `RememberingCheckpoint`.
    """
    started = time.perf_counter()
    loaded = load(checkpoint_options({"pretrained": str(folder), "dtype": "float32"}))
    parts = {part.name: getattr(loaded, part.name) for part in fields(loaded)}
    checkpoint = RememberingCheckpoint(**parts, memory=memory.setdefault(processor_digest(folder), {}))
    scorer = Scorer(checkpoint, batch_size=BATCH, prior=PRIOR)
    scores = dict(scorer.score(asked.questions))
    scoring = {
        **checkpoint.describe(),
        **scorer.describe(),
        "prior": PRIOR,
        "blind": False,
        "seconds": round(time.perf_counter() - started, 3),
        "questions_scored": len(scores),
        **{name: version(name) for name in ("torch", "transformers")},
        "radar": version("lmms-eval-radar"),
        "name": f"{output.parent.name}/{output.name}",  # where the checkpoint lies is this machine's own affair
    }
    write_measurement(output, list(asked.measured(scores)), scoring, asked.limit)


def processor_digest(folder: Path) -> str:
    """What decides how a question is encoded: the files of tokenizer and image processor."""
    files = sorted([*folder.glob("*token*.json"), *folder.glob("*process*.json")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def shipped(result: CheckpointResult) -> CheckpointResult:
    """A result as it is packed: log-probabilities in multiples of `STEP`, and no logits, which no question of the plan
    is about: all runs together are to take less than 15 MB."""

    def of(samples: SourceSamples) -> SourceSamples:
        given = {name: column for name in LOGPROBS if (column := getattr(samples, name)) is not None}
        near = {name: column.with_values(np.round(column.values / STEP) * STEP) for name, column in given.items()}
        # Sums follow from means and numbers of tokens.
        summed = near["logprob"].with_values(near["logprob"].values * samples.tokens.values)
        return replace(samples, **{**near, "logprob_sum": summed}, logit=None, logit_blind=None)

    sources = {name: of(samples) for name, samples in result.sources.items()}
    # What was printed has to go with the samples: an unpacked result whose files disagree is refused.
    leaves = {samples.leaf: samples for samples in sources.values()}
    metrics = {
        leaf: {
            metric: (number, error)
            for metric, (_, error) in of_leaf.items()
            if (number := value(leaves[leaf], metric)) is not None
        }
        for leaf, of_leaf in result.metrics.items()
    }
    return replace(result, sources=sources, metrics=metrics)


@dataclass(frozen=True)
class Scoring:
    """Where runs are and results go, and what they are asked.

    Attributes:
        runs, results: folders; RESULTS/scored keeps the results of single checkpoints.
        plan: whose runs they are.
        asked: the questions.
        memory: encodings by processor, see `RememberingCheckpoint`.
    """

    runs: Path
    results: Path
    plan: Mapping[str, Any]
    asked: Asked
    memory: dict[str, Any] = field(default_factory=dict)

    def all_of(self, names: Sequence[str], *, wait: bool = False) -> None:
        """Runs in the order given; a run whose training has not ended is gone on with later."""
        while left := [name for name in names if not (self.results / f"{name}.parquet").is_file()]:
            if not any(self.one(run) for run in left):
                if not wait:
                    return
                time.sleep(PAUSE)

    def one(self, run: str) -> bool:
        """Score what is there of a run, and pack it once all of it is; whether there was anything to do."""
        busy = False
        folders = [self.results / "scored" / run / f"step-{step:05d}" for step in kept_steps(self.plan, run)]
        for folder in folders:
            checkpoint = self.runs / run / folder.name
            if checkpoint.is_dir() and not folder.is_dir():
                started, used = time.perf_counter(), time.process_time()
                score_checkpoint(checkpoint, folder, self.asked, self.memory)
                seconds, of_a_core = time.perf_counter() - started, time.process_time() - used
                print(f"{run}/{folder.name}: {seconds:.0f} s, {of_a_core:.0f} s of a core", flush=True)
                busy = True
        if all(folder.is_dir() for folder in folders):
            packed = self.results / f"{run}.parquet"
            pack([shipped(result) for result in find_runs([self.results / "scored" / run])], packed)
            print(f"{run} is packed: {packed.stat().st_size / 1e6:.2f} MB", flush=True)
            busy = True
        return busy


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the trained runs")
    parser.add_argument("results", type=Path, help="folder for the results")
    parser.add_argument("names", nargs="*", help="runs of the plan; all of them by default")
    parser.add_argument("--plan", type=Path, default=PLAN, help="another plan than the committed one")
    parser.add_argument("--wait", action="store_true", help="go on until all runs are trained and scored")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write_abilities()
    plan = read_plan(options.plan)
    asked = Asked([*(part.source for part in ABILITIES), CONTROL], plan["questions_each"])
    Scoring(options.runs, options.results, plan, asked).all_of(options.names or list(plan["runs"]), wait=options.wait)


if __name__ == "__main__":
    main()

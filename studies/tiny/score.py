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
from abilities import ABILITIES, write_abilities
from pretrain import kept_steps, read_plan

from radar_tasks.follow.measurement_folder import MeasuredSource, write_measurement
from radar_tasks.harness.aggregation import of_question
from radar_tasks.harness.documents import Documents
from radar_tasks.harness.responses import to_response
from radar_tasks.questions import AskedQuestion, Question
from radar_tasks.results import CheckpointResult, SourceSamples, find_runs
from radar_tasks.results.model import SCORES
from radar_tasks.results.packed import pack
from radar_tasks.scoring import OptionScore, Scorer
from radar_tasks.scoring.checkpoints import Checkpoint, checkpoint_options, load
from radar_tasks.scoring.checkpoints.model_args import Withheld
from radar_tasks.scoring.types import EncodedQuestion
from radar_tasks.store import open_source

SIDE = "mini_side"
"""The sample's leaf that has stayed at chance: the negative control, asked beside the abilities."""
BATCH = 64
PRIOR: Withheld = "blind"
STEP = 2.0**-12
"""Packed scores are multiples of this, in nats: the digits below would take most of the room and say nothing."""
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
    """The questions of all sources, in memory."""

    def __init__(self, sources: Sequence[str], most: int | None = None) -> None:
        self.documents = {source: Documents.of(open_source(source)) for source in sources}
        self.places = [
            (source, k) for source, of in self.documents.items() for k in range(len(of))[:most]
        ]  # a first part is a stratified one
        self.questions: list[Question] = [self.documents[source].question(k) for source, k in self.places]
        self.most = most

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
    write_measurement(output, list(asked.measured(scores)), scoring, asked.most)


def processor_digest(folder: Path) -> str:
    """What decides how a question is encoded: the files of tokenizer and image processor."""
    files = sorted([*folder.glob("*token*.json"), *folder.glob("*process*.json")])
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def rounded(result: CheckpointResult) -> CheckpointResult:
    """A result whose scores are multiples of `STEP`."""

    def of(samples: SourceSamples) -> SourceSamples:
        given = {name: column for name in SCORES if (column := getattr(samples, name)) is not None}
        near = {name: column.with_values(np.round(column.values / STEP) * STEP) for name, column in given.items()}
        return replace(samples, **near)

    return replace(result, sources={name: of(samples) for name, samples in result.sources.items()})


def is_packed(results: Path, run: str) -> bool:
    """Whether a run is finished: packed files are written when all its checkpoints are scored."""
    return (results / f"{run}.parquet").is_file()


def score_run(runs: Path, results: Path, run: str, steps: Sequence[int], asked: Asked, memory: dict[str, Any]) -> int:
    """Score what is there of a run, and pack it once all of it is.

    Returns:
        How many checkpoints were scored now.
    """
    scored = 0
    folders = [results / "scored" / run / f"step-{step:05d}" for step in steps]
    for folder in folders:
        checkpoint = runs / run / folder.name
        if checkpoint.is_dir() and not folder.is_dir():
            started, cpu = time.perf_counter(), time.process_time()
            score_checkpoint(checkpoint, folder, asked, memory)
            seconds, busy = time.perf_counter() - started, time.process_time() - cpu
            print(f"{run}/{folder.name}: {seconds:.0f} s, {busy:.0f} s of a core", flush=True)
            scored += 1
    if all(folder.is_dir() for folder in folders):
        found = [rounded(result) for result in find_runs([results / "scored" / run])]
        pack(found, results / f"{run}.parquet")
        print(f"{run} is packed: {(results / f'{run}.parquet').stat().st_size / 1e6:.2f} MB", flush=True)
    return scored


def score_all(runs: Path, results: Path, names: Sequence[str], asked: Asked, *, wait: bool = False) -> None:
    """All runs in the order given; a run whose training has not ended is gone on with later."""
    plan, memory = read_plan(), {}  # type: tuple[dict[str, Any], dict[str, Any]]
    while left := [name for name in names if not is_packed(results, name)]:
        if not any(score_run(runs, results, run, kept_steps(plan, run), asked, memory) for run in left):
            if not wait:
                return
            time.sleep(PAUSE)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="folder of the trained runs")
    parser.add_argument("results", type=Path, help="folder for the results")
    parser.add_argument("names", nargs="*", help="runs of the plan; all of them by default")
    parser.add_argument("--wait", action="store_true", help="go on until all runs are trained and scored")
    options = parser.parse_args()
    torch.set_num_threads(1)
    write_abilities()
    asked = Asked([*(part.source for part in ABILITIES), SIDE])
    score_all(options.runs, options.results, options.names or list(read_plan()["runs"]), asked, wait=options.wait)


if __name__ == "__main__":
    main()

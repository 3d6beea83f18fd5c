"""The plan's questions about the text prior: what each metric says, first and falsely, of base-1, base-2 and base-3.

    python studies/tiny/pretrain.py OUT base-1 base-2 base-3
    python studies/tiny/prior.py OUT

scores every checkpoint on radar_mini and on its swapped twin (each question with another question's picture: an ability
that is not there), with `prior=blind`, and prints the answers as Markdown. What is scored already is not scored again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from radar_metrics.uncertainty import clustered_standard_error
from radar_tasks.analysis.development.curves import TrainingCurves, training_curves
from radar_tasks.analysis.development.growth import growth_of
from radar_tasks.analysis.metric_quality import metric_qualities
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.questions import Question
from radar_tasks.report.text_tables import markdown
from radar_tasks.results import CheckpointResult, find_runs
from radar_tasks.results.metrics import per_question
from radar_tasks.sources.sample import LEAVES
from radar_tasks.store import Origin, SourceWriter, open_source, source_path

RUNS = ("base-1", "base-2", "base-3")
METRICS = ("sds", "sds_pmi", "sds_free")
EARLY = 212
"""Steps up to this one are early ones."""


def swapped(questions: Sequence[Question], source: str, rng: np.random.Generator) -> Iterator[Question]:
    """Each question with another question's pictures: in a random order every picture moves on by as many places.

    Whether the other picture shows the answer does not depend on which option is right, so the chance level stays.
    """
    order = rng.permutation(len(questions))
    for shift in range(len(questions) // 2, len(questions)):
        given = np.roll(order, shift)
        if all(questions[a].image_id != questions[b].image_id for a, b in zip(order, given, strict=True)):
            break
    for mine, other in zip(order, given, strict=True):
        pictures = questions[other]
        yield replace(questions[mine], source=source, images=pictures.images, image_id=pictures.image_id)


def write_swapped() -> None:
    """The swapped twins into the store, `swapped_colour` and so on; the same at every call."""
    for k, leaf in enumerate(LEAVES):
        name = f"swapped_{leaf.subject}"
        if source_path(name).is_file():
            continue
        table = open_source(leaf.source)
        questions = [table[i] for i in range(len(table))]
        with SourceWriter(source_path(name)) as writer:
            for question in swapped(questions, name, np.random.default_rng([7, k])):
                writer.add(question)
            writer.finish(
                Origin(kind="table", location=f"{leaf.source} with pictures swapped", fingerprint=leaf.source)
            )


def score(out: Path) -> None:
    """Every checkpoint on both, in one run each."""
    tasks = ",".join(["radar_mini", *(f"radar_swapped_{leaf.subject}" for leaf in LEAVES)])
    for run in RUNS:
        command = [sys.executable, "-m", "radar_tasks.cli", "track", str(out / run / "step-*"), "--tasks", tasks]
        command += ["--model-args", "dtype=float32,prior=blind", "--output", str(out / "results" / run)]
        subprocess.run(command, check=True)


@dataclass(frozen=True)
class Found:
    """What one metric says of one leaf of one run.

    Attributes:
        run, metric, leaf: whose it is; a swapped leaf is called `swapped_...`.
        emergence: first step from which it stays above chance, by the product's rule; None for never.
        z: (S,) distance from chance in standard errors, clustered by picture, at the run's steps.
    """

    run: str
    metric: str
    leaf: str
    emergence: float | None
    z: np.ndarray


def found_by(trainings: Iterable[TrainingCurves], metric: str) -> Iterator[Found]:
    """What a metric says of every leaf."""
    for training in trainings:
        for growth in growth_of(training):
            if growth.of_ability:
                continue
            z = []
            for result in training.results:
                samples = result.sources[growth.source]
                values = per_question(samples, metric)
                error = clustered_standard_error(values, samples.image_id)
                z.append((float(np.mean(values)) - growth.chance) / error if error else 0.0)
            yield Found(training.name, metric, growth.source, growth.emergence, np.array(z))


def say(results: Sequence[CheckpointResult]) -> str:
    """The answers, as Markdown."""
    found: list[Found] = []
    for metric in METRICS:
        trainings, _ = training_curves(results, np.random.default_rng(0), metric)
        found += found_by(trainings, metric)
    steps = np.array(trainings[0].steps)
    by = {(one.run, one.metric, one.leaf): one for one in found}
    runs = list(dict.fromkeys(one.run for one in found))
    leaves = [leaf for leaf in dict.fromkeys(one.leaf for one in found) if not leaf.startswith("swapped_")]
    texts = []

    rows = []
    for leaf in leaves:
        cells = [", ".join(_step(by[run, metric, leaf].emergence) if (run, metric, leaf) in by else "–" for run in runs)
                 for metric in METRICS]  # fmt: skip
        rows.append([leaf.removeprefix("mini_"), *cells])
    texts.append("Step of emergence, a run each:\n\n" + markdown(["leaf", *METRICS], rows))

    counts = []
    for metric in METRICS[1:]:
        pairs = [(by[run, "sds", leaf].emergence, by[run, metric, leaf].emergence)
                 for run in runs for leaf in leaves if (run, metric, leaf) in by]  # fmt: skip
        first = sum(_when(other) < _when(sds) for sds, other in pairs)
        later = sum(_when(other) > _when(sds) for sds, other in pairs)
        never = sum(sds is None and other is None for sds, other in pairs)
        counts.append([metric, first, later, len(pairs) - first - later - never, never, len(pairs)])
    head = ["against sds", "earlier", "sds earlier", "at the same step", "neither ever", "leaves x runs"]
    texts.append("Which says so first:\n\n" + markdown(head, [[str(cell) for cell in row] for row in counts]))

    rows = []
    for metric in METRICS:
        null = [one for one in found if one.metric == metric and one.leaf.startswith("swapped_")]
        emerged = sum(one.emergence is not None for one in null)
        z = np.concatenate([one.z for one in null])
        inside = float(np.mean(np.abs(z) < 2))
        rows.append([metric, f"{emerged} of {len(null)}", f"{inside:.1%}", f"{z.std():.2f}", str(len(z))])
    head = ["metric", "false emergence", "abs(z) < 2", "sd of z", "checkpoints x leaves"]
    texts.append("Where there is nothing to see (pictures swapped):\n\n" + markdown(head, rows))

    rows = []
    for metric in METRICS[1:]:
        for name, chosen in (("to step " + str(EARLY), steps <= EARLY), ("all steps", steps >= 0)):
            ratios = np.concatenate(
                [
                    (by[run, metric, leaf].z[keep] / by[run, "sds", leaf].z[keep]) ** 2
                    for run in runs
                    for leaf in leaves
                    if (run, metric, leaf) in by
                    # Where neither is above chance the ratio of two noises says nothing.
                    for keep in [chosen & ((by[run, metric, leaf].z > 2) | (by[run, "sds", leaf].z > 2))]
                ]
            )
            low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75)) if len(ratios) else (np.nan,) * 3
            rows.append([metric, name, f"{middle:.2f}", f"{low:.2f} to {high:.2f}", str(len(ratios))])
    head = ["metric", "steps", "sds needs so many questions for its one", "quartiles", "cells"]
    texts.append("Questions for equal z, where either is above chance by 2 standard errors:\n\n" + markdown(head, rows))

    seen, _ = training_runs([_without_swapped(result) for result in results], at_least=2)
    rows = []
    for quality in metric_qualities(seen, np.random.default_rng(0), METRICS):
        if quality.name in ("mini perception", "mini reasoning"):
            values = (quality.growth_to_noise, quality.signal_to_noise, quality.monotonicity)
            rows.append([quality.name, quality.metric, *("–" if x is None else f"{x:.2f}" for x in values)])
    texts.append(
        "Over the three runs:\n\n" + markdown(["ability", "metric", "growth / noise", "signal / noise", "tau"], rows)
    )
    return "\n\n".join(texts) + "\n"


def _without_swapped(result: CheckpointResult) -> CheckpointResult:
    return replace(
        result, sources={name: s for name, s in result.sources.items() if not name.startswith("swapped_")}
    )  # fmt: skip


def _step(step: float | None) -> str:
    return "never" if step is None else f"{step:.0f}"


def _when(step: float | None) -> float:
    return np.inf if step is None else step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the runs")
    options = parser.parse_args()
    os.environ["RADAR_HOME"] = str(options.out / "home")
    write_swapped()
    score(options.out)
    print(say(find_runs([options.out / "results"])))


if __name__ == "__main__":
    main()

"""The plan's questions about the text prior: what each metric says, first and falsely, of base-1, base-2 and base-3.

    python studies/tiny/pretrain.py OUT base-1 base-2 base-3
    python studies/tiny/prior.py OUT RESULTS

scores every checkpoint on radar_mini and on its swapped twin (each question with another question's picture: an ability
that is not there), with `prior=blind`, and the last checkpoint of base-1 on 19 more draws of swapped pictures; prints
the answers as Markdown. What is scored already is not scored again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from score import Asked, score_checkpoint

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
EARLY = 200
"""Steps up to this one are early ones."""
DRAWS = 20
"""So often are pictures swapped, and answers drawn at random, where nothing is to be seen."""


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


def name_of(subject: str, draw: int) -> str:
    """The swapped twin of a leaf: `swapped_colour`, and with further draws `swapped_07_colour`."""
    return f"swapped_{subject}" if draw == 0 else f"swapped_{draw:02}_{subject}"


def write_swapped(draw: int) -> list[str]:
    """The leaves with their pictures swapped into the store, the same at every call; their names."""
    for k, leaf in enumerate(LEAVES):
        name = name_of(leaf.subject, draw)
        if source_path(name).is_file():
            continue
        table = open_source(leaf.source)
        questions = [table[i] for i in range(len(table))]
        with SourceWriter(source_path(name)) as writer:
            for question in swapped(questions, name, np.random.default_rng([7, k, draw] if draw else [7, k])):
                writer.add(question)
            writer.finish(
                Origin(kind="table", location=f"{leaf.source} with pictures swapped", fingerprint=leaf.source)
            )
    return [name_of(leaf.subject, draw) for leaf in LEAVES]


def score(checkpoints: Sequence[Path], sources: Sequence[str], results: Path, memory: dict[str, Any]) -> None:
    """These checkpoints on these sources, with and without pictures; what is scored already is not scored again."""
    asked = None
    for done, checkpoint in enumerate(checkpoints):
        folder = results / checkpoint.parent.name / checkpoint.name
        if folder.is_dir():
            continue
        asked = asked or Asked(sources)
        started = time.perf_counter()
        score_checkpoint(checkpoint, folder, asked, memory)
        seconds = time.perf_counter() - started
        left = seconds * (len(checkpoints) - done - 1) / 60
        print(f"{folder.parent.name}/{folder.name}: {seconds:.0f} s, about {left:.0f} min left", file=sys.stderr)


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


def distances(results: Sequence[CheckpointResult], metric: str, answers: np.random.Generator | None) -> list[float]:
    """Distances from chance in standard errors of all leaves that have a metric, with answers drawn anew if asked."""
    found = []
    for result in results:
        for samples in result.sources.values():
            right = samples.answer if answers is None else answers.integers(samples.bytes.counts)
            values = per_question(replace(samples, answer=right), metric)
            if values is not None and (error := clustered_standard_error(values, samples.image_id)):
                found.append((float(np.mean(values)) - float(np.mean(1 / samples.bytes.counts))) / error)
    return found


def say(results: Sequence[CheckpointResult], redrawn: Sequence[CheckpointResult]) -> str:
    """The answers, as Markdown.

    Args:
        results: all checkpoints on the leaves and their swapped twins.
        redrawn: one checkpoint on further draws of swapped pictures.
    """
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
        rows.append(["pictures swapped, all checkpoints", metric, f"{emerged} of {len(null)}",
                     *_spread(np.concatenate([one.z for one in null]))])  # fmt: skip
    for metric in METRICS:
        of = [one for one in found if one.metric == metric and not one.leaf.startswith("swapped_")]
        rows.append(["untrained checkpoints", metric, f"{sum(one.emergence == 0 for one in of)} of {len(of)}",
                     *_spread(np.array([one.z[0] for one in of]))])  # fmt: skip
    last = [result for result in results if result.experiment == RUNS[0] and result.step == max(steps)]
    twins = [replace(result, sources={n: s for n, s in result.sources.items() if n.startswith("swapped_")})
             for result in last]  # fmt: skip
    for metric in METRICS:
        z = np.array(distances([*twins, *redrawn], metric, None))
        rows.append([f"pictures swapped {DRAWS} times, last checkpoint of {RUNS[0]}", metric, "", *_spread(z)])
    pictured = [_without_swapped(result) for result in results]
    for metric in METRICS:
        draws = [np.random.default_rng([8, draw]) for draw in range(DRAWS)]
        z = np.concatenate([distances(pictured, metric, rng) for rng in draws])
        rows.append([f"answers drawn at random {DRAWS} times, all checkpoints", metric, "", *_spread(z)])
    head = ["where there is nothing to see", "metric", "false emergence", "abs(z) < 2", "sd of z", "cells"]
    texts.append("Where there is nothing to see:\n\n" + markdown(head, rows))

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
    head = ["metric", "steps", "questions of sds per question of this metric", "quartiles", "cells"]
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


def _spread(z: np.ndarray) -> list[str]:
    return [f"{np.mean(np.abs(z) < 2):.1%}", f"{z.std():.2f}", f"{len(z):,}"]


def _step(step: float | None) -> str:
    return "never" if step is None else f"{step:.0f}"


def _when(step: float | None) -> float:
    return np.inf if step is None else step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("results", type=Path, help="folder for the results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    memory: dict[str, Any] = {}  # of what is encoded alike for all checkpoints
    mini = [*(leaf.source for leaf in LEAVES), *write_swapped(0)]
    score([folder for run in RUNS for folder in sorted((options.out / run).glob("step-*"))], mini,
          options.results / "all", memory)  # fmt: skip
    last = max((options.out / RUNS[0]).glob("step-*"))
    further = [name for draw in range(1, DRAWS) for name in write_swapped(draw)]
    score([last], further, options.results / "redrawn", memory)
    print(say(find_runs([options.results / "all"]), find_runs([options.results / "redrawn"])))


if __name__ == "__main__":
    main()

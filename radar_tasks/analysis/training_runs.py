"""Results of checkpoints put together to trainings: what every analysis of development starts from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce
from itertools import pairwise

import numpy as np

from radar_tasks.analysis.settings import must_agree
from radar_tasks.errors import ResultsError
from radar_tasks.results import CheckpointResult, SourceSamples, TrainingRun
from radar_tasks.results.origin import short_names
from radar_tasks.results.until_record import until_of


def training_runs(runs: Sequence[CheckpointResult], at_least: int = 2) -> tuple[list[TrainingRun], list[str]]:
    """Training runs with enough checkpoints, and what was left out, in words.

    Raises:
        ResultsError: no training run has so many checkpoints, two results of the same step, or checkpoints of one run
            that differ in data, prompt, questions or limit.
    """
    members: dict[tuple[str, str], list[CheckpointResult]] = defaultdict(list)
    notes: list[str] = []
    for run in runs:
        if run.step is None:
            notes.append(f"{run.label}: left out, there is no training step in its name")
        else:
            members[run.experiment, run.withheld].append(run)
    short = {key: part for key, part in members.items() if len(part) < at_least}
    notes += [f"{part[0].experiment}: left out, {len(part)} checkpoint(s)" for part in short.values()]
    long = {key: part for key, part in members.items() if key not in short}
    if not long:
        raise ResultsError(
            f"{at_least} or more checkpoints of one training run are needed, with the step in their names "
            f"(step-00200, checkpoint-500): {'; '.join(notes) or 'there is none'}."
        )
    names = short_names([experiment for experiment, _ in long])
    return [
        _training_run(names[experiment] + (f" ({withheld})" if withheld else ""), part)
        for (experiment, withheld), part in long.items()
    ], notes


def require_same_questions(trainings: Sequence[TrainingRun], sources: Iterable[str]) -> None:
    """Raises `ResultsError` where two trainings that share a source were asked different questions of it, or otherwise.

    Questions of one name in another version of the data, or with another prompt, are others. Images may be withheld.
    """
    for source in sorted(sources):
        first, *others = [training for training in trainings if source in training.sources]
        for training in others:
            if not np.array_equal(first.results[0].sources[source].q_id, training.results[0].sources[source].q_id):
                raise ResultsError(
                    f"{source}: {first.name} and {training.name} were asked different questions. Give runs that were "
                    "scored on the same data with the same --limit."
                )
            differing = must_agree(first.results[0], training.results[0], [source])
            if problems := [str(setting) for setting in differing if setting.name != "images"]:
                raise ResultsError(
                    f"{first.name} and {training.name} were not scored alike, so that one says nothing of the other: "
                    f"{'; '.join(problems)}."
                )


def _asked_of_all(name: str, results: list[CheckpointResult]) -> tuple[list[CheckpointResult], tuple[str, ...]]:
    """Results measured with `until=`, cut to the questions that all of them were asked, and a note that says so.

    Results that were asked all their questions are as they were.
    """
    if any(until_of(result.scoring) is None for result in results):
        return results, ()
    cut: list[dict[str, SourceSamples]] = [dict(result.sources) for result in results]
    for source in results[0].sources:
        members = [sources for sources in cut if source in sources]
        common = reduce(np.intersect1d, [sources[source].q_id for sources in members])
        if not len(common):
            raise ResultsError(f"{name}: its checkpoints have no question of {source} in common.")
        for sources in members:
            rows = np.flatnonzero(np.isin(sources[source].q_id, common))
            if len(rows) < len(sources[source]):
                sources[source] = sources[source].take(rows)
    if all(sources[s] is result.sources[s] for sources, result in zip(cut, results, strict=True) for s in sources):
        return results, ()
    note = (
        f"{name}: measured with until=, so that its curves are of the {sum(map(len, cut[0].values()))} questions that "
        "every checkpoint was asked. The outcome decided how many these are, so that their intervals are too narrow; "
        "those of each verdict are in the results"
    )
    return [replace(result, sources=sources) for result, sources in zip(results, cut, strict=True)], (note,)


def _training_run(name: str, runs: list[CheckpointResult]) -> TrainingRun:
    ordered = sorted(runs, key=lambda run: run.step or 0)
    for before, after in pairwise(ordered):
        if before.step == after.step:
            raise ResultsError(f"{name}: two results of step {after.step}: {before.file} and {after.file}.")
    ordered, notes = _asked_of_all(name, ordered)
    first = ordered[0]
    everywhere = [s for s in first.sources if all(s in run.sources for run in ordered)]
    for run in ordered[1:]:
        problems = [str(setting) for setting in must_agree(first, run, everywhere)]
        problems += [
            f"other questions of {s}"
            for s in everywhere
            if not np.array_equal(first.sources[s].q_id, run.sources[s].q_id)
        ]
        if problems:
            raise ResultsError(f"{name}: {first.name} and {run.name} cannot be on one curve: {'; '.join(problems)}.")
    absent = sorted({source for run in ordered for source in run.sources} - set(everywhere))
    if absent:
        notes = (*notes, f"{name}: {', '.join(absent)} left out, not at every checkpoint")
    if not everywhere:
        raise ResultsError(f"{name}: its checkpoints have no source in common.")
    return TrainingRun(name, tuple(ordered), tuple(everywhere), notes)

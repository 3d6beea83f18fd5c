"""The questions that two runs share, and the refusal where they are not the same questions, asked alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from radar_tasks.analysis.settings import Setting, are_twins, must_agree
from radar_tasks.errors import ResultsError
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.until_record import until_of


def shared_sources(first: CheckpointResult, second: CheckpointResult) -> list[str]:
    """The sources of both. Raises `ResultsError` when there is none."""
    shared = [source for source in second.sources if source in first.sources]
    if not shared:
        raise ResultsError(
            f"{first.label} and {second.label} have no source in common: "
            f"{', '.join(first.sources)} against {', '.join(second.sources)}."
        )
    return shared


def differing(first: CheckpointResult, second: CheckpointResult, sources: Sequence[str]) -> list[Setting]:
    """Settings that forbid a comparison; withheld images are what a run and its blind twin are compared for."""
    twins = are_twins(first, second)
    return [setting for setting in must_agree(first, second, sources) if not (twins and setting.name == "images")]


def unmatched(first: CheckpointResult, second: CheckpointResult, sources: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Per source how many questions only the first and only the second run has; none where all match."""
    counts = {}
    for source in sources:
        a, b = first.sources[source], second.sources[source]
        both = len(np.intersect1d(a.q_id, b.q_id))
        counts[source] = (len(a) - both, len(b) - both)
    return {source: count for source, count in counts.items() if any(count)}


def refuse_unless_comparable(
    first: CheckpointResult, second: CheckpointResult, allow_different: bool = False
) -> list[str]:
    """The sources that two runs share.

    Raises:
        ResultsError: there is none, or the runs differ in data, prompts, limit or questions and this was not allowed;
            says in what.
    """
    shared = shared_sources(first, second)
    settings, questions = differing(first, second, shared), unmatched(first, second, shared)
    if (settings or questions) and not allow_different:
        raise ResultsError(_refusal(first, second, settings, questions))
    return shared


def paired(first: SourceSamples, second: SourceSamples) -> tuple[SourceSamples, SourceSamples]:
    """The questions that both have, in the same order. Raises `ResultsError` when there is none."""
    if np.array_equal(first.q_id, second.q_id):
        return first, second
    _, rows, others = np.intersect1d(first.q_id, second.q_id, assume_unique=True, return_indices=True)
    if len(rows) == 0:
        raise ResultsError(f"{first.source}: the two runs have no question in common.")
    return first.take(rows), second.take(others)


def _refusal(
    first: CheckpointResult,
    second: CheckpointResult,
    settings: Sequence[Setting],
    questions: Mapping[str, tuple[int, int]],
) -> str:
    lines = [f"{first.label} and {second.label} cannot be compared as they are:"]
    lines += [f"  {setting}" for setting in settings]
    lines += [f"  questions of {s}: {a} only in the first, {b} only in the second" for s, (a, b) in questions.items()]
    if until_of(first.scoring) is not None and until_of(second.scoring) is not None:
        lines.append(
            "  With until=, the number of questions depends on the outcome: ordinary intervals are too narrow for that."
        )
    return "\n".join([*lines, "`radar compare --allow-different` pairs the questions that both have, and says so."])

"""The questions that moved most between two runs: what a model learned, or lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.options import FloatArray
from radar_tasks.analysis.paired_questions import paired, refuse_unless_comparable
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import option_probabilities


@dataclass(frozen=True)
class Mover:
    """One question in two runs.

    Attributes:
        source, q_id, category: which question.
        prompt: its text as the harness logged it.
        options, answer: the candidate answers and the index of the right one.
        first, second: (M,) probability of each option in both runs.
    """

    source: str
    q_id: str
    category: str
    prompt: str
    options: list[str]
    answer: int
    first: FloatArray
    second: FloatArray

    @property
    def change(self) -> float:
        """Probability of the right option, second run minus first, in [-1, 1]."""
        return float(self.second[self.answer] - self.first[self.answer])


def movers(
    first: CheckpointResult, second: CheckpointResult, count: int, sources: Sequence[str] = ()
) -> tuple[str, list[Mover]]:
    """The metric that was used (`sds`, or `sds_bytes` with a language model) and the questions that moved most.

    Args:
        first, second: comparable runs, see `radar_tasks.analysis.settings`.
        count: how many questions at most, the largest change in either direction first; none that did not move.
        sources: only these; all that both have without.

    Raises:
        ResultsError: runs that cannot be paired, an unknown source, or questions with other options.
    """
    shared = refuse_unless_comparable(first, second)
    if unknown := [source for source in sources if source not in shared]:
        near = did_you_mean(unknown[0], shared)
        raise ResultsError(f"both runs have no {', '.join(unknown)}; they have {', '.join(shared)}.{near}")
    chosen = list(dict.fromkeys(sources)) or shared
    by_bytes = any(run.sources[source].logprob is None for run in (first, second) for source in chosen)
    found = [mover for source in chosen for mover in _of_source(first, second, source, by_bytes) if mover.change]
    found.sort(key=lambda mover: (-abs(mover.change), mover.source, mover.q_id))
    return "sds_bytes" if by_bytes else "sds", found[:count]


def _of_source(first: CheckpointResult, second: CheckpointResult, source: str, by_bytes: bool) -> Iterator[Mover]:
    a, b = paired(first.sources[source], second.sources[source])
    if a.options != b.options or not np.array_equal(a.answer, b.answer):
        raise ResultsError(f"{source}: the two runs had other options; their probabilities cannot stand side by side.")
    probabilities = zip(option_probabilities(a, by_bytes), option_probabilities(b, by_bytes), strict=True)
    for i, (p, q) in enumerate(probabilities):
        prompt = b.prompts[i] or a.prompts[i]
        yield Mover(source, str(b.q_id[i]), str(b.category[i]), prompt, b.options[i], int(b.answer[i]), p, q)

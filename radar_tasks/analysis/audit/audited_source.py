"""A source as an audit sees it: its questions, and what every checkpoint that answered them said of the options."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from radar_metrics.discrimination import rank_credit
from radar_metrics.options import FloatArray, IntArray
from radar_metrics.ragged import Ragged
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import ResultsError
from radar_tasks.results import CheckpointResult, SourceSamples

MOST_CHECKPOINTS = 48
"""Of more checkpoints those with the best SDS are looked at: the others say little of single questions."""
LONGEST_QUOTED = 60
"""Characters of an option's text in a sentence; the page has it whole."""
LEARNT, PARTLY = 0.5, 0.25
"""Chance-centred accuracy from which a source counts as learnt, and a checkpoint as one that has learnt some of it."""


@dataclass(frozen=True, eq=False)
class AuditedSource:
    """The questions of one version of a source.

    Attributes:
        name: the source.
        checksum: of the data that was scored, "" where results do not say.
        asked: the questions; scores are those of one checkpoint, which need not be in `seen`.
        labels: of the checkpoints that saw the pictures, in the order of `seen`.
        seen: their scores of the options: mean log-probability a token, or a byte where tokens were not counted.
        blind: scores without the picture, of the same or other checkpoints.
    """

    name: str
    checksum: str
    asked: SourceSamples
    labels: tuple[str, ...]
    seen: tuple[Ragged, ...]
    blind: tuple[Ragged, ...]

    def __len__(self) -> int:
        return len(self.asked)

    @property
    def answers(self) -> IntArray:
        """(N,) index of each key."""
        return self.asked.answer

    @property
    def counts(self) -> IntArray:
        """(N,) number of options of each question."""
        return self.asked.bytes.counts

    @cached_property
    def key_probabilities(self) -> FloatArray:
        """(R, N) probability of the key by each checkpoint that saw the pictures."""
        if not self.seen:
            return np.zeros((0, len(self)))
        return np.stack([answer_probability(scores, self.answers, self.asked.q_id) for scores in self.seen])

    @cached_property
    def centred_accuracies(self) -> FloatArray:
        """(R,) accuracy of each checkpoint, 0 at chance and 1 when perfect."""
        return np.array([centred_accuracy(scores, self.answers) for scores in self.seen])

    @cached_property
    def best_accuracy(self) -> float | None:
        """Accuracy of the checkpoint that has the highest; None where none saw the pictures."""
        return max((float(rank_credit(scores, self.answers).mean()) for scores in self.seen), default=None)


def plain_text(text: str) -> str:
    """What stands for an option's text where the same text is looked for in other questions."""
    return text.strip().casefold()


def quoted(text: str) -> str:
    """An option's text in a sentence, in quotes and cut where it is long."""
    return repr(text if len(text) <= LONGEST_QUOTED else text[: LONGEST_QUOTED - 1] + "…")


def centred_accuracy(scores: Ragged, answers: IntArray) -> float:
    """Mean of (credit - 1/M) / (1 - 1/M), 0 at chance and 1 when perfect."""
    chance = 1.0 / scores.counts
    return float(((rank_credit(scores, answers) - chance) / (1.0 - chance)).mean())


def audited_sources(results: Sequence[CheckpointResult]) -> tuple[list[AuditedSource], list[str]]:
    """The sources of these results, and what was left out, in words.

    Of several versions of a source's data the one with most answers counts; of results on a part of its questions (a
    limit) those on the largest part.

    Raises:
        ResultsError: there are no results.
    """
    if not results:
        raise ResultsError("there are no results to audit.")
    found: dict[str, list[CheckpointResult]] = defaultdict(list)
    for result in results:
        for source in result.sources:
            found[source].append(result)
    notes: list[str] = []
    return [_audited(source, members, notes) for source, members in found.items()], notes


def _audited(source: str, results: Sequence[CheckpointResult], notes: list[str]) -> AuditedSource:
    def version(result: CheckpointResult) -> str:
        return str(result.data.get(source, {}).get("checksum") or "")

    answers: dict[str, int] = defaultdict(int)
    for result in results:
        answers[version(result)] += len(result.sources[source])
    checksum = max(answers, key=lambda key: answers[key])
    of_version = [result for result in results if version(result) == checksum]
    if others := len(results) - len(of_version):
        notes.append(f"{source}: {others} result(s) left out, on other data than the {len(of_version)} audited")
    base = max((result.sources[source] for result in of_version), key=len)
    seen: list[tuple[str, Ragged]] = []
    blind: list[Ragged] = []
    left_out = 0
    for result in of_version:
        samples = _aligned(result.sources[source], base)
        if samples is None:
            left_out += 1
        elif result.withheld:
            blind.append(_scores(samples))
        else:
            seen.append((result.label, _scores(samples)))
            if samples.logprob_blind is not None:
                blind.append(samples.logprob_blind)
    if left_out:
        notes.append(
            f"{source}: {left_out} result(s) left out, on a part of the questions or with other options or keys"
        )
    seen = _best(seen, base)
    return AuditedSource(
        source,
        checksum,
        base,
        tuple(label for label, _ in seen),
        tuple(scores for _, scores in seen),
        tuple(blind[-MOST_CHECKPOINTS:]),
    )


def _aligned(samples: SourceSamples, base: SourceSamples) -> SourceSamples | None:
    """The samples in the order of `base`; None where they are not of all its questions, asked alike."""
    if samples.q_id is not base.q_id and not np.array_equal(samples.q_id, base.q_id):
        _, rows, places = np.intersect1d(samples.q_id, base.q_id, assume_unique=True, return_indices=True)
        if len(rows) < len(base):
            return None
        samples = samples.take(rows[np.argsort(places)])
    same = samples.options is base.options or samples.options == base.options
    return samples if same and np.array_equal(samples.answer, base.answer) else None


def _scores(samples: SourceSamples) -> Ragged:
    """Mean log-probability a token, or a byte where that is all there is."""
    if samples.logprob is not None:
        return samples.logprob
    if samples.logprob_sum is None:
        raise ResultsError(f"{samples.source}: the results hold no scores of options.")
    return samples.logprob_sum.with_values(samples.logprob_sum.values / samples.bytes.values)


def _best(seen: list[tuple[str, Ragged]], base: SourceSamples) -> list[tuple[str, Ragged]]:
    """The best checkpoints in their order, where there are very many."""
    if len(seen) <= MOST_CHECKPOINTS:
        return seen
    means = [float(answer_probability(scores, base.answer).mean()) for _, scores in seen]
    return [seen[k] for k in sorted(np.argsort(means)[-MOST_CHECKPOINTS:])]

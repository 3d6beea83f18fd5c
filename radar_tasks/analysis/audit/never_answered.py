"""Questions whose key hardly any checkpoint gave more than chance, though the source they belong to is learnt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from radar_tasks.analysis.audit.audited_source import LEARNT, PARTLY, AuditedSource

FEWEST_CHECKPOINTS = 2
"""What one checkpoint gets wrong is an error as all make them, not a question that nobody answers."""
SLIPS = 0.05
"""So large a part of the checkpoints may lie above chance by accident: among hundreds some always does."""

CLEARLY = 0.8
"""The mean probability of the key must lie below this part of chance: a coin's side is not "never answered"."""


@dataclass(frozen=True)
class NeverAnswered:
    """A question that (but for a twentieth, `SLIPS`) none of the checkpoints that have learnt its source answers.

    Attributes:
        source, q_id: which question.
        why: a sentence with numbers.
        mean: mean probability that checkpoints which have learnt of the source give the key.
        chance: 1 / options.
    """

    source: str
    q_id: str
    why: str
    mean: float
    chance: float


def never_answered(source: AuditedSource, wrong: Collection[str]) -> tuple[list[NeverAnswered], str]:
    """The questions, and why nothing can be said, "" where something can.

    Args:
        source: the questions and scores.
        wrong: q_ids whose key is named as wrong: that is why they are never answered, and they are not named again.
    """
    if not source.seen:
        return [], "needs results with pictures"
    probabilities = source.key_probabilities
    centred = source.centred_accuracies
    if centred.max() < LEARNT:
        return [], (
            f"no checkpoint has learnt this source (best chance-centred accuracy {centred.max():.2f}, {LEARNT} "
            "needed): an unanswered question is nothing unusual"
        )
    learnt = centred >= PARTLY
    if learnt.sum() < FEWEST_CHECKPOINTS:
        return (
            [],
            f"needs {FEWEST_CHECKPOINTS} or more checkpoints that have learnt of it, there is {int(learnt.sum())}",
        )
    of_learnt = probabilities[learnt]
    chance = 1.0 / source.counts
    above = (of_learnt > chance).sum(axis=0)
    means = of_learnt.mean(axis=0)
    never = (above <= SLIPS * len(of_learnt)) & (means < CLEARLY * chance)
    found = []
    for i in np.flatnonzero(never):
        if str(source.asked.q_id[i]) in wrong:
            continue
        said = (
            f"the {len(of_learnt)} checkpoints that have learnt of {source.name} give the key {means[i]:.2f} on "
            f"average (chance {chance[i]:.2f}), {int(above[i]) or 'none'} of them more than chance, while the best "
            f"answers {source.best_accuracy:.0%} of its questions."
        )
        found.append(
            NeverAnswered(source.name, str(source.asked.q_id[i]), said, round(float(means[i]), 4), float(chance[i]))
        )
    return found, ""

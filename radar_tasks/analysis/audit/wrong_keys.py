"""Questions whose key is likely wrong: those that have learnt the source agree, with confidence, on another option."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from radar_metrics.discrimination import answer_margin
from radar_metrics.label_noise import key_doubt, pooled_scores
from radar_metrics.options import FloatArray
from radar_tasks.analysis.audit.audited_source import LEARNT, AuditedSource, centred_accuracy, quoted

DOUBTED, AGREED = 0.5, 0.75
"""A key is named where it is more probably wrong than right, and one other option has this probability or more."""
PARTLY_OF_BEST = 0.5
"""Checkpoints that know a source best: those with half the best one's chance-centred accuracy or more."""
USUAL = 0.1
"""The other option must lead on all third ones as a right answer does, were it among the tenth that lead least: where a
question only is too hard, what is preferred leads by little."""
MAJORITY = 0.6
"""So large a part of the checkpoints that know the source best must prefer the other option."""
FEWEST = 20
"""Fewer questions than that do not tell how sure a checkpoint may be believed."""


@dataclass(frozen=True)
class WrongKey:
    """A question whose key is likely wrong.

    Attributes:
        source, q_id: which question.
        why: a sentence with numbers.
        probability: that the key is wrong (`radar_metrics.label_noise`).
        key, agreed: texts of the option that is the key, and of the one that checkpoints agree on.
        discrimination: correlation over checkpoints of the key's probability with SDS on the source's other questions;
            None with fewer than three checkpoints, or where nothing varies.
    """

    source: str
    q_id: str
    why: str
    probability: float
    key: str
    agreed: str
    discrimination: float | None


def wrong_keys(source: AuditedSource) -> tuple[list[WrongKey], str]:
    """The questions, most doubted first, and why nothing can be said, "" where something can."""
    if not source.seen:
        return [], "needs results with pictures"
    if len(source) < FEWEST:
        return [], f"needs {FEWEST} questions or more, there are {len(source)}"
    pooled = pooled_scores(source.seen, source.answers, source.asked.q_id)
    if pooled is None:
        return [], "no checkpoint has learnt this source: none tells its options apart better than chance"
    known = centred_accuracy(pooled, source.answers)
    if known < LEARNT:
        return [], f"no checkpoint has learnt this source (chance-centred accuracy {known:.2f}, {LEARNT} needed)"
    doubt = key_doubt(pooled, source.answers, source.asked.q_id)
    probabilities, accuracies = source.key_probabilities, source.centred_accuracies
    learnt = accuracies >= PARTLY_OF_BEST * accuracies.max()
    leads = answer_margin(pooled, source.answers)
    usual = float(np.quantile(leads[leads > 0], USUAL)) if (leads > 0).any() else 0.0
    found = []
    for i in np.flatnonzero(doubt.wrong > DOUBTED):
        options = doubt.options[int(i)].copy()
        options[source.answers[i]] = -1.0
        other = int(options.argmax())
        if options[other] < AGREED or _lead_on_third(pooled[int(i)], int(source.answers[i])) < usual:
            continue
        agree = sum(int(scores[int(i)].argmax()) == other for k, scores in enumerate(source.seen) if learnt[k])
        if agree < MAJORITY * learnt.sum():
            continue
        discrimination = _discrimination(probabilities, int(i))
        key, agreed = (source.asked.options[int(i)][j] for j in (int(source.answers[i]), other))
        found.append(
            WrongKey(
                source.name,
                str(source.asked.q_id[i]),
                f"{_of_those_who_know(agree, int(learnt.sum()))} {quoted(agreed)} "
                f"(calibrated probability {options[other]:.2f}) to the key {quoted(key)}; the key is wrong with "
                f"probability {doubt.wrong[i]:.2f}{_in_words(discrimination)}.",
                round(float(doubt.wrong[i]), 4),
                key,
                agreed,
                discrimination,
            )
        )
    return sorted(found, key=lambda row: -row.probability), ""


def _lead_on_third(row: FloatArray, key: int) -> float:
    """How far the best option but the key is ahead of the next; without limit where there are only these two."""
    ranked = np.sort(np.delete(row, key))[::-1]
    return float(ranked[0] - ranked[1]) if len(ranked) > 1 else np.inf


def _of_those_who_know(agree: int, all_of_them: int) -> str:
    if all_of_them == 1:
        return "the one checkpoint that has learnt this source prefers"
    return f"{agree} of the {all_of_them} checkpoints that know this source best prefer"


def _in_words(discrimination: float | None) -> str:
    if discrimination is None or discrimination >= 0:
        return ""
    return f"; the better a checkpoint, the less it gives the key (correlation {discrimination:+.2f})"


def _discrimination(probabilities: FloatArray, i: int) -> float | None:
    """Item-rest correlation over checkpoints."""
    n = probabilities.shape[1]
    if len(probabilities) < 3 or n < 2:
        return None
    item = probabilities[:, i]
    rest = (probabilities.sum(axis=1) - item) / (n - 1)
    if item.std() < 1e-9 or rest.std() < 1e-9:
        return None
    return round(float(np.corrcoef(item, rest)[0, 1]), 3)

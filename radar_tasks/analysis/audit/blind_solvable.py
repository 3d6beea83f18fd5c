"""Questions that the text alone answers: right without the picture, beyond luck and beyond the options' own prior."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.decoys import AMONG_OUTLIERS, more_than_luck
from radar_metrics.options import FloatArray
from radar_metrics.ragged import Ragged
from radar_tasks.analysis.audit.audited_source import AuditedSource, plain_text

NEEDS_BLIND = "not looked at, needs prior=blind (`radar track --prior blind`) or results with blind=true"
SHRUNK = 5.0
"""Questions for which the mean of an option's text counts half: one other question says little of a text's prior."""


@dataclass(frozen=True)
class BlindSolvable:
    """A question that is answered without its picture.

    Attributes:
        source, q_id: which question.
        why: a sentence with numbers.
        without_picture: probability of the key without the picture, from the mean scores of the checkpoints.
    """

    source: str
    q_id: str
    why: str
    without_picture: float


@dataclass(frozen=True)
class TextPreference:
    """What the text of one question says.

    Attributes:
        strength: (N,) how far the preferred option leads on the next, nats a token, the options' own prior taken away.
        hits: (N,) whether it is the key.
        answer: (N,) probability of the key without the picture.
    """

    strength: FloatArray
    hits: np.ndarray
    answer: FloatArray


def text_preference(source: AuditedSource) -> TextPreference | None:
    """What the checkpoints prefer without the picture; None where they were not asked so."""
    if not source.blind:
        return None
    mean = source.blind[0].with_values(np.mean([scores.values for scores in source.blind], axis=0))
    own = mean.with_values(mean.values - text_means(mean, source.asked.options).values)
    lead, place = leading(own)
    return TextPreference(lead, place == source.answers, np.asarray(mean.softmax().at(source.answers)))


def blind_solvable(sources: Sequence[AuditedSource]) -> tuple[list[BlindSolvable], dict[str, str]]:
    """The questions of all sources, and by source why nothing can be said."""
    looked = {source.name: preference for source in sources if (preference := text_preference(source)) is not None}
    missing = {source.name: NEEDS_BLIND for source in sources if source.name not in looked}
    at = {source.name: source for source in sources}
    found = []
    for name, named in in_each_and_all({n: (p.strength, p.hits, at[n].counts) for n, p in looked.items()}).items():
        source, preference = at[name], looked[name]
        for i in np.flatnonzero(named):
            as_clear = preference.strength >= preference.strength[i]
            said = (
                f"without the picture the key has probability {preference.answer[i]:.2f} (chance "
                f"{1 / source.counts[i]:.2f}), and where the text prefers an option as clearly as here it is the key "
                f"in {int((as_clear & preference.hits).sum())} of {int(as_clear.sum())} questions of {name}."
            )
            found.append(BlindSolvable(name, str(source.asked.q_id[i]), said, round(float(preference.answer[i]), 4)))
    return sorted(found, key=lambda row: -row.without_picture), missing


def text_means(scores: Ragged, options: Sequence[Sequence[str]]) -> Ragged:
    """What an option's text is worth in the source's other questions: a mean, drawn towards 0 where it stands in few.

    m_ij = sum of the centred scores of the same text in other questions / (their number + SHRUNK).
    """
    texts = [plain_text(text) for of in options for text in of]
    number = {text: k for k, text in enumerate(dict.fromkeys(texts))}
    text = np.array([number[name] for name in texts])
    values = scores.centred().values
    # A text stands once in a question, but for another case of its letters, which then counts as another question.
    others = np.bincount(text)[text] - 1
    return scores.with_values((np.bincount(text, values)[text] - values) / (others + SHRUNK))


def leading(scores: Ragged) -> tuple[FloatArray, np.ndarray]:
    """(N,) how far the first option is ahead of the second, and which one it is."""
    lead, place = np.zeros(len(scores)), np.zeros(len(scores), dtype=np.int64)
    for i, row in enumerate(scores):
        order = np.argsort(row)
        lead[i], place[i] = row[order[-1]] - row[order[-2]], order[-1]
    return lead, place


def in_each_and_all(
    cues: dict[str, tuple[FloatArray, np.ndarray, np.ndarray]],
) -> dict[str, np.ndarray]:
    """By source which questions a cue gives away, in the source by itself or among the questions of all sources.

    Args:
        cues: by source (N,) strengths, hits and numbers of options, see `radar_metrics.decoys`.
    """
    named = {source: more_than_luck(*cue) for source, cue in cues.items()}
    if len(cues) > 1:
        together = more_than_luck(*(np.concatenate(part) for part in zip(*cues.values(), strict=True)))
        ends = np.cumsum([len(cue[0]) for cue in cues.values()])
        for source, part in zip(cues, np.split(together, ends[:-1]), strict=True):
            named[source] = named[source] | (part if _holds_within(part, *cues[source]) else False)
    return named


def _holds_within(named: np.ndarray, strength: FloatArray, hits: np.ndarray, counts: np.ndarray) -> bool:
    """Whether what was named among all sources is no luck in this one: decoys as strong are few here, too."""
    if not named.any():
        return False
    as_strong = strength >= strength[named].min()
    luck = (1.0 / (counts - 1))[as_strong & ~hits].sum()
    return bool(luck <= AMONG_OUTLIERS * (as_strong & hits).sum())

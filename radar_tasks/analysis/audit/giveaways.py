"""Questions whose options give the answer away: by length, form or words, or by being the answer wherever they stand.

Nothing but texts is looked at, so that it can be done of any results. A cue points at one option of a question; that it
points at the answer more often than luck would is decided by `radar_metrics.decoys`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom

from radar_metrics.options import FloatArray
from radar_tasks.analysis.audit.audited_source import AuditedSource, plain_text, quoted
from radar_tasks.analysis.audit.blind_solvable import in_each_and_all

RATE, SURE = 0.8, 0.001
"""An option's text gives itself away where it is the answer of this part of the questions that offer it, or more, and
luck would do as much with this probability at most, counted over all texts of the source."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Giveaway:
    """A question whose answer its options give away.

    Attributes:
        source, q_id: which question.
        why: a sentence with numbers.
        cues: what gives it away: `longest`, `shortest`, `form`, `words of the question`, `least like the others`,
            `most like the others`, `usual answer`.
    """

    source: str
    q_id: str
    why: str
    cues: tuple[str, ...]


@dataclass(frozen=True)
class _Pointed:
    """What a cue says of each question: (N,) strength, 0 where it points at none, the option, and words for it."""

    strength: FloatArray
    option: np.ndarray
    words: Callable[[int], str]


def giveaways(sources: Sequence[AuditedSource]) -> list[Giveaway]:
    """The questions with all the cues that give them away, those with most of them first."""
    said: dict[tuple[str, int], list[tuple[str, str]]] = {}
    at = {source.name: source for source in sources}
    for cue, pointing in CUES.items():
        pointed = {name: pointing(source) for name, source in at.items()}
        hits = {name: p.option == at[name].answers for name, p in pointed.items()}
        named = in_each_and_all({name: (p.strength, hits[name], at[name].counts) for name, p in pointed.items()})
        for name, of in named.items():
            p = pointed[name]
            for i in map(int, np.flatnonzero(of)):
                as_clear = p.strength >= p.strength[i]
                counted = (
                    f"{int((as_clear & hits[name]).sum())} of {int(as_clear.sum())} questions with as clear a sign"
                )
                said.setdefault((name, i), []).append((cue, f"{p.words(i)} (it is in {counted})"))
    for name, source in at.items():
        for i, words in _usual_answers(source).items():
            said.setdefault((name, i), []).append(("usual answer", words))
    return [
        Giveaway(
            name,
            str(at[name].asked.q_id[i]),
            f"the answer {quoted(at[name].asked.options[i][at[name].answers[i]])} "
            + "; it ".join(w for _, w in of)
            + ".",
            tuple(cue for cue, _ in of),
        )
        for (name, i), of in sorted(said.items(), key=lambda entry: (-len(entry[1]), *entry[0]))
    ]


def _longest(source: AuditedSource) -> _Pointed:
    return _length(source, longest=True)


def _shortest(source: AuditedSource) -> _Pointed:
    return _length(source, longest=False)


def _length(source: AuditedSource, longest: bool) -> _Pointed:
    """How many times as long as the next one, as a logarithm."""
    lengths = [np.array([max(1, len(text.strip())) for text in of]) for of in source.asked.options]
    sign = 1 if longest else -1
    strength, option, ratio = np.zeros(len(source)), np.zeros(len(source), dtype=np.int64), np.ones(len(source))
    for i, row in enumerate(lengths):
        order = np.argsort(sign * row, kind="stable")
        first, second = row[order[-1]], row[order[-2]]
        strength[i], option[i] = sign * np.log(first / second), order[-1]
        ratio[i] = max(first / second, second / first)
    word = "long" if longest else "short"
    return _Pointed(strength, option, lambda i: f"is {ratio[i]:.1f} times as {word} as the next option")


def _form(source: AuditedSource) -> _Pointed:
    """In how many respects one option is alone and all others are alike: letters, digits, case, end, blanks, script."""
    strength, option = np.zeros(len(source)), np.zeros(len(source), dtype=np.int64)
    for i, of in enumerate(source.asked.options):
        if len(of) < 3:  # of two options each is alone
            continue
        alone = Counter(
            place for trait in zip(*map(_traits, of), strict=True) if (place := _odd_one(trait)) is not None
        )
        ranked = alone.most_common(2)
        if ranked:
            strength[i] = ranked[0][1] - (ranked[1][1] if len(ranked) > 1 else 0)
            option[i] = ranked[0][0]
    return _Pointed(strength, option, lambda i: "differs from all others in form")  # noqa: ARG005


def _traits(text: str) -> tuple[object, ...]:
    words = text.strip()
    return (
        any(letter.isdigit() for letter in words),
        any(letter.isalpha() for letter in words),
        words[:1].isupper(),
        words.isupper(),
        words[-1:] if words[-1:] in ".!?;:," else "",
        text != words,
        words.isascii(),
        len(words.split()) > 1,
        any(letter in words for letter in "()[]{}\"'%$/=+"),
    )


def _odd_one(values: Sequence[object]) -> int | None:
    """The place of the one value that differs where all others are alike."""
    counted = Counter(values)
    if len(counted) != 2:
        return None
    value, count = counted.most_common()[-1]
    return values.index(value) if count == 1 else None


def _words_of_the_question(source: AuditedSource) -> _Pointed:
    """How many words an option shares with the question that no other option has."""
    strength, option = np.zeros(len(source)), np.zeros(len(source), dtype=np.int64)
    shared: list[str] = [""] * len(source)
    for i, (of, prompt) in enumerate(zip(source.asked.options, source.asked.prompts, strict=True)):
        if sum(prompt.count(text) > 0 for text in of) == len(of):  # the prompt lists the options
            continue
        asked = {word for word in _words(prompt) if len(word) > 2}
        own = [asked & _words(text) for text in of]
        alone = [words.difference(*(own[:k] + own[k + 1 :])) for k, words in enumerate(own)]
        counts = np.array([len(words) for words in alone])
        order = np.argsort(counts, kind="stable")
        strength[i], option[i] = counts[order[-1]] - counts[order[-2]], order[-1]
        shared[i] = ", ".join(sorted(alone[option[i]]))
    return _Pointed(strength, option, lambda i: f"alone repeats words of the question: {shared[i]}")


def _most_alike(source: AuditedSource) -> _Pointed:
    strength, option = _likeness(source, 1)
    return _Pointed(strength, option, lambda i: "has more words in common with the other options than any of them")  # noqa: ARG005


def _least_alike(source: AuditedSource) -> _Pointed:
    strength, option = _likeness(source, -1)
    return _Pointed(strength, option, lambda i: "has fewer words in common with the other options than any of them")  # noqa: ARG005


def _likeness(source: AuditedSource, sign: int) -> tuple[FloatArray, np.ndarray]:
    """How far the option with the most (or fewest) words in common with the others is ahead: mean Jaccard indices."""
    strength, option = np.zeros(len(source)), np.zeros(len(source), dtype=np.int64)
    for i, of in enumerate(source.asked.options):
        if len(of) < 3:
            continue
        words = [_words(text) for text in of]
        alike = np.array(
            [
                np.mean([len(a & b) / max(1, len(a | b)) for k, b in enumerate(words) if k != j])
                for j, a in enumerate(words)
            ]
        )
        order = np.argsort(sign * alike, kind="stable")
        strength[i], option[i] = sign * (alike[order[-1]] - alike[order[-2]]), order[-1]
    return np.where(strength > 1e-9, strength, 0.0), option


CUES: dict[str, Callable[[AuditedSource], _Pointed]] = {
    "longest": _longest,
    "shortest": _shortest,
    "form": _form,
    "words of the question": _words_of_the_question,
    "most like the others": _most_alike,
    "least like the others": _least_alike,
}


def _usual_answers(source: AuditedSource) -> dict[int, str]:
    """By question, of those whose answer is the answer wherever it stands, how often that is."""
    offered: Counter[str] = Counter()
    right: Counter[str] = Counter()
    by_chance: dict[str, float] = defaultdict(float)
    for of, answer in zip(source.asked.options, source.answers, strict=True):
        for text in dict.fromkeys(map(plain_text, of)):
            offered[text] += 1
            by_chance[text] += 1 / len(of)
        right[plain_text(of[answer])] += 1
    usual = {
        text
        for text, times in offered.items()
        if right[text] >= RATE * times
        and binom.sf(right[text] - 1, times, by_chance[text] / times) * len(offered) <= SURE
    }
    return {
        i: f"is the answer of {right[text]} of the {offered[text]} questions that offer it"
        for i, (of, answer) in enumerate(zip(source.asked.options, source.answers, strict=True))
        if (text := plain_text(of[answer])) in usual
    }


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.casefold()))

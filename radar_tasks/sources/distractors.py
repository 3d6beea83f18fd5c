"""Wrong options by the paper's recipe, and the rules that stand in where the recipe needs a language model.

Every function is a pure one of its arguments: choices follow from the q_id (`source_reader.stable_choice`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from radar_tasks.sources.source_reader import STAND_IN, stable_choice


@dataclass(frozen=True)
class Distractor:
    """A wrong option, and the rule that made it (`Question.rule`)."""

    text: str
    rule: str


def spelling(text: str) -> str:
    """A text without what a reader takes for no difference: "Red" is not a wrong answer where "red" is right."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def wrong_option(q_id: str, options: Sequence[str], answer: str) -> Distractor:
    """One of the other options of a multiple-choice question. Raises `ValueError` if there is no other one."""
    wrong = [option for option in options if option != answer and option.strip()]
    # Units tell m from M; where the question has nothing else to offer, that is what it asks.
    others = [option for option in wrong if spelling(option) != spelling(answer)] or wrong
    if not others:
        raise ValueError("there is no wrong option")
    chosen = others[stable_choice(q_id, "distractor", len(others))]
    return Distractor(chosen, "one of the question's own wrong options, chosen by a hash of the q_id")


def shifted_number(q_id: str, number: str) -> Distractor:
    """The paper's +-1 for an integer and +-0.1 for a decimal; the number of decimals stays, and so does the sign.

    Raises `ValueError` if the text is not a number.
    """
    if not _NUMBER.fullmatch(number.strip()):
        raise ValueError(f"{number!r} is not a number")
    step = "0.1" if "." in number else "1"
    return Distractor(_shift(q_id, number.strip(), step), f"the number +-{step}, the direction by a hash of the q_id")


def shifted_list(q_id: str, numbers: str) -> Distractor:
    """A list of numbers with one of them shifted; the paper says nothing about lists. Raises `ValueError`."""
    changed = _change_one_number(q_id, numbers)
    if changed is None:
        raise ValueError(f"{numbers!r} is not a list of numbers")
    return Distractor(changed, STAND_IN + "one number of the list +-1 or +-0.1")


def changed_expression(q_id: str, answer: str, other_answers: Sequence[str]) -> Distractor:
    """Stand-in for SeePhys, whose distractors a language model made by changing variables or quantities.

    The first of these that changes the answer: a number +-1 or +-0.1 (not in an exponent or index); a word or a
    function against its opposite (`left`/`right`, `sin`/`cos`); the first plus against minus; twice the expression;
    for plain words, the answer of another question.

    Raises:
        ValueError: the answer is empty, or nothing can be made of it.
    """
    rules: tuple[tuple[str, Callable[[], str | None]], ...] = (
        ("one number +-1 or +-0.1", lambda: _change_one_number(q_id, answer)),
        ("one word or function against its opposite", lambda: _opposite(answer)),
        ("the first sign turned", lambda: _turn_sign(answer)),
        ("twice the expression", lambda: _twice(answer)),
        ("the answer of another question", lambda: _other_answer(q_id, answer, other_answers)),
    )
    for rule, make in rules:
        made = make()
        if made is not None and made.strip() and made != answer:
            return Distractor(made, STAND_IN + rule)
    raise ValueError(f"no rule makes a wrong option of the answer {answer!r}")


_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")
# A quantity: not part of a word, an exponent (x^2, 10^{-3}, 6e-34), an index (m_1), or the (1) of a list.
_QUANTITY = re.compile(
    r"(?<![\w.^_])(?<![\^_]\{)(?<![\^_]\{-)(?<![\^_]-)(?<![eE][-+])"
    r"(?!(?<=\()[0-9]+\))"
    r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?"
)

_OPPOSITES = (
    ("left", "right"),
    ("up", "down"),
    ("upward", "downward"),
    ("upwards", "downwards"),
    ("above", "below"),
    ("increase", "decrease"),
    ("increases", "decreases"),
    ("clockwise", "counterclockwise"),
    ("larger", "smaller"),
    ("greater", "less"),
    ("positive", "negative"),
    ("yes", "no"),
    ("true", "false"),
    ("sin", "cos"),
    ("north", "south"),
    ("east", "west"),
    ("inward", "outward"),
)
_OPPOSITE_OF = {word: other for pair in _OPPOSITES for word, other in (pair, pair[::-1])}
# Letters only: in LaTeX `\sin\theta` and `\sin2x` the function ends where its letters end.
_OPPOSITE_WORD = re.compile(
    rf"(?<![A-Za-z])({'|'.join(sorted(_OPPOSITE_OF, key=len, reverse=True))})(?![A-Za-z])", re.I
)
_FORMULA = re.compile(r"[\\=^_+*/{}()]|^\W*[A-Za-z]\W*$")


def _shift(q_id: str, number: str, step: str) -> str:
    value, by = Decimal(number.replace(",", "")), Decimal(step)
    down = stable_choice(q_id, "direction", 2) == 0
    if down and (value - by) * value <= 0:
        down = False  # a count of -1, or no length at all, would be seen through without looking
    elif not down and value < 0 <= value + by:
        down = True
    shifted = value - by if down else value + by
    return f"{shifted:,f}" if "," in number else f"{shifted:f}"


def _change_one_number(q_id: str, text: str) -> str | None:
    numbers = list(_QUANTITY.finditer(text))
    if not numbers:
        return None
    chosen = numbers[stable_choice(q_id, "number", len(numbers))]
    shifted = _shift(q_id, chosen[0], "0.1" if "." in chosen[0] else "1")
    return text[: chosen.start()] + shifted + text[chosen.end() :]


def _opposite(text: str) -> str | None:
    def turned(match: re.Match[str]) -> str:
        word = match[0]
        other = _OPPOSITE_OF[word.lower()]
        return other.upper() if word.isupper() and len(word) > 1 else other.title() if word[0].isupper() else other

    changed, count = _OPPOSITE_WORD.subn(turned, text, count=1)
    return changed if count else None


def _turn_sign(text: str) -> str | None:
    if not _FORMULA.search(text):
        return None
    match = re.search(r"(?<=[\w})]) ?[-+] ?(?=[\w\\({])", text)
    if match is None or text[: match.start()].endswith(("^", "_", "{")):
        return None
    return text[: match.start()] + match[0].translate(str.maketrans("+-", "-+")) + text[match.end() :]


def _twice(text: str) -> str | None:
    if not _FORMULA.search(text):
        return None
    body = text.strip().strip("$").strip()
    if not body:
        return None
    left, equals, right = body.rpartition("=")
    doubled = f"{left}{equals} 2({right.strip()})" if equals else f"2({body})"
    return f"${doubled.strip()}$" if text.strip().startswith("$") else doubled.strip()


def _other_answer(q_id: str, answer: str, others: Sequence[str]) -> str | None:
    different = sorted({other for other in others if other.strip() and spelling(other) != spelling(answer)})
    return different[stable_choice(q_id, "other answer", len(different))] if different else None

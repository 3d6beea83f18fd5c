"""Which column of a multiple-choice benchmark means what: given, or known by the names that benchmarks use."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from radar_tasks.errors import DataError

ROLES = ("question", "options", "answer", "image", "hint", "id", "category", "group", "rule", "marks")
"""What `--map` can name. `marks=none` says that `<image 1>` in a text is text."""

SINGLE = ("question", "answer", "hint", "id", "category", "group", "rule")
"""The roles that one column has."""

# In the order of preference, as VLMEvalKit, lmms-eval's data sets and exports of this package call them.
_NAMES = {
    "question": ("question", "query", "problem", "prompt"),
    "options": ("options", "choices", "candidates", "answer_choices"),
    "answer": ("answer", "correct_answer", "correct answer", "answer_idx", "answer_index", "label"),
    "image": ("image", "images", "decoded_image", "img", "picture", "image_path"),
    "hint": ("hint",),
    "id": ("id", "index", "q_id", "question_id", "idx", "pid"),
    "category": ("category", "subject"),
    "group": ("image_id",),
    "rule": ("rule",),
}
# One column per option: A, B, ...; choice_a, choice_b, ... (SEED-Bench); option_1, option_2, ...
_OPTION_COLUMNS = re.compile(r"(?:(?:option|choice)s?[ _]?)?([a-z]|\d{1,2})", re.I)
_NUMBERED_IMAGE = re.compile(r"image_(\d{1,2})", re.I)


@dataclass(frozen=True)
class BenchmarkColumns:
    """The columns of a benchmark by what they mean; "" or () where there is none.

    Attributes:
        question: its text.
        options: several columns, one per option; or one that holds a list, the text of a list, or lettered options.
        answer: the right option: its letter, number or text.
        image: pictures or lists of them, in order.
        image_path: taken where `image` holds nothing in a row (VLMEvalKit keeps both).
        hint: stands before the question, on a line of its own.
        id: becomes the q_id; without one the number of the row does.
        category: see `Question.category`; `group` becomes `Question.image_id` and `rule` `Question.rule`.
        marks: whether `<image 1>` or `<image>` in a text stands for a picture.
    """

    question: str
    options: tuple[str, ...]
    answer: str
    image: tuple[str, ...] = ()
    image_path: str = ""
    hint: str = ""
    id: str = ""
    category: str = ""
    group: str = ""
    rule: str = ""
    marks: bool = True

    @property
    def lettered(self) -> bool:
        """Whether the columns of the options are called A, B, ...: a letter as the answer then means one of them."""
        return len(self.options) > 1 and all(name[-1:].isalpha() for name in self.options)

    @property
    def text_columns(self) -> set[str]:
        """All but the pictures."""
        named = (self.question, *self.options, self.answer, self.hint, self.id, self.category, self.group, self.rule)
        return {name for name in named if name}


def given_columns(text: str) -> dict[str, str]:
    """What `--map` says, by role. Several columns are joined with a plus: `image=image_1+image_2`.

    Raises:
        DataError: a role that there is none of, twice the same, or no `role=column`.
    """
    given: dict[str, str] = {}
    for part in filter(None, map(str.strip, text.split(","))):
        role, equals, column = (piece.strip() for piece in part.partition("="))
        if not equals or not column or role not in ROLES:
            raise DataError(f"--map: {part!r} is not ROLE=COLUMN; the roles are {', '.join(ROLES)}")
        if role in given:
            raise DataError(f"--map: {role} comes twice; several columns are joined with a plus: {role}=a+b")
        given[role] = column
    if given.get("marks", "none") != "none":
        raise DataError("--map: marks can only be switched off, with marks=none")
    return given


def recognised_columns(
    columns: Sequence[str], given: Mapping[str, str], elsewhere: Collection[str] = ()
) -> BenchmarkColumns:
    """What the columns of a benchmark mean.

    Args:
        columns: their names.
        given: columns by role, which go before the names that are known; `+` joins several.
        elsewhere: roles that need no column, as they are the same in all rows or, options, in the question's text.

    Raises:
        DataError: a column that is given is not there, or question, options or answer are in none.
    """
    chosen = {role: tuple(value.split("+")) for role, value in given.items() if role != "marks"}
    if missing := [name for names in chosen.values() for name in names if name not in columns]:
        raise DataError(f"there is no column {', '.join(map(repr, missing))}; there are {', '.join(columns)}")
    for role in SINGLE:
        if len(chosen.get(role, ())) > 1:
            raise DataError(f"--map: {role} is one column, not {'+'.join(chosen[role])}")
    lower = {name.casefold(): name for name in reversed(columns)}
    for role, names in _NAMES.items():
        if role not in chosen and (known := next((lower[name] for name in names if name in lower), "")):
            chosen[role] = (known,)
    if "options" not in given and (separate := _separate_options(columns)):
        chosen["options"] = separate
    if "image" not in given and (numbered := _numbered_images(columns)):
        chosen["image"] = numbered
    for role in elsewhere:
        if role not in given:
            chosen[role] = () if role == "options" else ("",)
    lacking = [role for role in ("question", "options", "answer") if role not in chosen]
    if lacking:
        raise DataError(
            f"no column is known to be the {' or the '.join(lacking)}; there are {', '.join(columns)}. "
            f"Say which: --map {','.join(f'{role}=COLUMN' for role in lacking)}"
            + (" (options inside the question's text: --options-in-question)" if "options" in lacking else "")
        )
    one = {role: chosen.get(role, ("",))[0] for role in SINGLE}
    path = lower.get("image_path", "") if "image" not in given else ""
    image = chosen.get("image", ())
    return BenchmarkColumns(
        **one,
        options=chosen["options"],
        image=image,
        image_path="" if path in image else path,
        marks="marks" not in given,
    )


def _separate_options(columns: Sequence[str]) -> tuple[str, ...]:
    """Columns with one option each: the longest run from A (or 1) on, at least two, all named in one way."""
    series: dict[str, dict[str, str]] = {}
    for name in columns:
        if match := _OPTION_COLUMNS.fullmatch(name):
            sign = match[1]
            # A bare number is not a name for an option; a bare letter is one as a capital only ("a" may be anything).
            if len(name) > len(sign) or sign.isupper():
                series.setdefault(name[: -len(sign)].casefold(), {})[sign.casefold()] = name
    for found in series.values():
        for signs in ([chr(ord("a") + k) for k in range(26)], [str(k) for k in range(1, 27)]):
            run = [found[sign] for sign in signs[: next((k for k, s in enumerate(signs) if s not in found), 26)]]
            if len(run) > 1:
                return tuple(run)
    return ()


def _numbered_images(columns: Sequence[str]) -> tuple[str, ...]:
    """`image_1`, `image_2`, ... in order of their numbers (MMMU, BLINK)."""
    numbered = {int(match[1]): name for name in columns if (match := _NUMBERED_IMAGE.fullmatch(name))}
    return tuple(numbered[number] for number in sorted(numbered))

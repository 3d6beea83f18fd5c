"""`Question`: the one type that every source produces and every scorer takes.

A question is checked once, when it is made; whatever holds a `Question` may rely on the rules in `problems_of`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from radar_tasks.errors import QuestionError

Ability = Literal["perception", "reasoning"]
ABILITIES: tuple[Ability, ...] = get_args(Ability)

SOURCE_NAME = r"[a-z0-9][a-z0-9_]{0,63}"
"""Names of sources: they become file names and, behind `radar_`, task names."""

SAMPLE_PREFIX = "mini_"
"""How the names of the embedded sample's sources begin; no other source may be called so."""

MAX_IMAGES = 12
"""Questions with more images are left out, as the official scripts do."""


@dataclass(frozen=True, repr=False)
class Question:
    """A question about images with candidate answers, exactly one of which is right.

    `text` holds the prompt as the pieces between images. One piece means that the images are not marked in the text:
    the prompt format of the checkpoint's family puts them where it wants, usually in front. With `len(images) + 1`
    pieces image k stands between `text[k]` and `text[k + 1]`. So a mark is never a string inside the text, and text
    from data can hold any characters, `<image>` included, without becoming one.

    Attributes:
        q_id: unique within its source.
        text: pieces of the prompt, see above.
        images: encoded image files (PNG, JPEG, ...) in the order of the prompt; the same file may stand twice.
        options: candidate answers, at least two, each different from the others.
        answer: index of the right one in `options`.
        ability: `perception` or `reasoning`.
        task: the benchmark's task, e.g. `General VQA`.
        source: the data set, e.g. `mmbench`; the leaf task of the harness is `radar_<source>`.
        category: a part of the source that is reported on its own, or "" where there is none.
        image_id: questions on the same picture share it; standard errors are clustered by it.
        rule: how the distractors were made, "" where the release gives them.

    Raises:
        QuestionError: a rule is broken; the message names the q_id and every broken rule.
    """

    q_id: str
    text: tuple[str, ...]
    images: tuple[bytes, ...]
    options: tuple[str, ...]
    answer: int
    ability: Ability
    task: str
    source: str
    category: str
    image_id: str
    rule: str = ""

    def __post_init__(self) -> None:
        if problems := problems_of(self):
            raise QuestionError(f"question {self.q_id!r} of {self.source!r}: " + "; ".join(problems), problems)

    def __repr__(self) -> str:
        """A line; the pictures alone would be a megabyte."""
        options = ", ".join(_short(option, 30) for option in self.options[:6]) + ", …" * (len(self.options) > 6)
        text = _short("<image>".join(map(str, self.text)), 60)
        return (
            f"<Question {_short(self.q_id, 60)} of {_short(self.source, 60)}: {text}, {len(self.images)} image(s), "
            f"options {options}>"
        )

    @property
    def images_are_marked(self) -> bool:
        """Whether the text says where its images stand."""
        return len(self.text) > 1

    def to_row(self) -> dict[str, Any]:
        """The question as plain Python values, one a column of the parquet store."""
        row = dict(self.__dict__)
        for column in ("text", "images", "options"):
            row[column] = list(row[column])
        return row

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Question:
        """The inverse of `to_row`; raises `QuestionError` like the constructor, and for a missing column."""
        try:
            values = {name: row[name] for name in cls.__dataclass_fields__}
        except KeyError as missing:
            raise QuestionError(f"question {row.get('q_id')!r}: the column {missing} is missing") from None
        for column in ("text", "images", "options"):
            values[column] = tuple(values[column] or ())
        return cls(**values)


@dataclass(frozen=True)
class VerbatimQuestion:
    """A question of another project's task, which is put to the model to the character.

    The rules of this benchmark are not asked of it: options may repeat, there may be one only, and more images than
    `MAX_IMAGES`. The prompt format puts the images in front of the text and adds what a chat template needs; it adds
    and takes away nothing between text and option.

    Attributes:
        q_id: unique within its source.
        source: the task, as the harness names it.
        text: what stands before an option, blanks at its end included.
        joiner: what stands between text and option, `""` for nothing; it is not scored.
        options: the texts to score, none of them empty.
        images: encoded image files, in order.
        image_id: questions on the same picture share it.

    Raises:
        QuestionError: an option is empty, or there is none.
    """

    q_id: str
    source: str
    text: str
    joiner: str
    options: tuple[str, ...]
    images: tuple[bytes, ...]
    image_id: str

    def __post_init__(self) -> None:
        empty = [k for k, option in enumerate(self.options) if not option]
        if empty or not self.options:
            problem = f"option {empty[0]} is empty" if empty else "there are no options"
            raise QuestionError(f"question {self.q_id!r} of {self.source!r}: {problem}", [problem])


AskedQuestion = Question | VerbatimQuestion
"""What a checkpoint can be asked."""


def _short(text: object, width: int) -> str:
    """A text as a literal in one line, its end left out where it is long."""
    whole = str(text)
    return repr(whole if len(whole) <= width else whole[: width - 1] + "…")


def problems_of(question: Question) -> list[str]:
    """Every rule of the benchmark that a question breaks, in words; an empty list for a sound one.

    Pictures are not decoded here: that is slow, and the store does it once (`radar data prepare`, `radar data verify`).
    """
    problems: list[str] = []
    if not question.q_id:
        problems.append("the q_id is empty")
    for name in ("q_id", "task", "source", "category", "image_id", "rule"):
        if not _is_text(getattr(question, name)):
            problems.append(f"the {name} is not a text (valid Unicode)")
    if cast(str, question.ability) not in ABILITIES:
        problems.append(f"the ability is {question.ability!r}, not one of {', '.join(ABILITIES)}")
    return problems + _text_problems(question) + _image_problems(question) + _option_problems(question)


def _text_problems(question: Question) -> list[str]:
    if not all(map(_is_text, question.text)):
        return ["the question's text is not a text (valid Unicode)"]
    if not question.images and not "".join(question.text).strip():
        return ["there is neither a text nor an image"]
    return []


def _image_problems(question: Question) -> list[str]:
    problems = [f"image {k} is empty" for k, image in enumerate(question.images) if not image]
    if len(question.images) > MAX_IMAGES:
        problems.append(f"{len(question.images)} images, more than {MAX_IMAGES}")
    if question.images_are_marked and len(question.text) != len(question.images) + 1:
        problems.append(f"the text marks {len(question.text) - 1} images and there are {len(question.images)}")
    return problems


def _option_problems(question: Question) -> list[str]:
    options = question.options
    if not all(map(_is_text, options)):
        return [f"option {k} is not a text (valid Unicode)" for k, option in enumerate(options) if not _is_text(option)]
    problems = [f"option {k} is empty" for k, option in enumerate(options) if not option.strip()]
    if len(options) < 2:
        problems.append(f"{len(options)} option(s), at least two are needed")
    first: dict[str, int] = {}
    for k, option in enumerate(options):
        if first.setdefault(option, k) != k:
            problems.append(f"option {k} repeats option {first[option]}: {option!r}")
    if isinstance(question.answer, bool) or not isinstance(question.answer, int):
        problems.append(f"the answer is {question.answer!r}, not the index of an option")
    elif not 0 <= question.answer < len(options):
        problems.append(f"the answer is option {question.answer}, there are {len(options)}")
    return problems


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half a surrogate pair, out of JSON's escapes: no file and no tokenizer takes it
        return False
    return True

"""Image marks, `<image 3>` or `<image>`: in the question, and in options, where letters are scored instead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from radar_tasks.sources.option_lists import Option, is_picture
from radar_tasks.sources.record_files import shortened
from radar_tasks.sources.source_reader import arranged

SELECT = "Please select the correct option: "
"""How the official scripts end a prompt that shows its options."""

_MARK = re.compile(r"<image (\d+)>")
_ANY_MARK = re.compile(r"<image ?(\d*)>")


def split_at_marks(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The pieces of a text between its image marks, and the marks' numbers in order; a mark can come again.

    >>> split_at_marks("In <image 2>, not <image 1>?")
    (('In ', ', not ', '?'), ('2', '1'))
    """
    pieces = _MARK.split(text)
    return tuple(pieces[::2]), tuple(pieces[1::2])


def with_lettered_options(
    q_id: str, question: str, answer: str, distractors: Sequence[str]
) -> tuple[str, tuple[str, ...], int]:
    """The prompt that shows options which hold images, as the official scripts word it; the letters; the right one.

    The scripts draw the order of the options at random; here it follows from the q_id.
    """
    options, place = arranged(q_id, answer, distractors)
    letters = letters_of(len(options))
    shown = " ".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
    return f"{question} {shown} {SELECT}", letters, place


def letters_of(count: int) -> tuple[str, ...]:
    """A, B, C, ..."""
    return tuple(chr(ord("A") + k) for k in range(count))


def has_marks(text: str) -> bool:
    """Whether there is an image mark in a text."""
    return _MARK.search(text) is not None


@dataclass(frozen=True)
class Place:
    """Where a picture stands in a prompt: picture `number` of the question, or the picture that is an option."""

    number: int | None = None
    option: int | None = None


@dataclass(frozen=True)
class MarkedPrompt:
    """A prompt whose pictures have their places.

    Attributes:
        text: the pieces between the pictures, one more than `places`.
        places: which picture stands between them.
        options: the options to score: the question's own, or the letters that stand before them in the prompt.
    """

    text: tuple[str, ...]
    places: tuple[Place, ...]
    options: tuple[str, ...]


def marked_prompt(question: str, options: Sequence[Option], numbers: Sequence[int], marks: bool) -> MarkedPrompt | None:
    """A prompt with pictures in it; None where nothing says where they stand.

    Args:
        question: its text; `<image 2>` is picture 2, the n-th `<image>` the n-th picture.
        options: texts, which can hold marks, too, or pictures. If one of them is or marks a picture, all are shown in
            the prompt behind letters, in their order.
        numbers: the numbers of the question's pictures, ascending. Those that no mark names come first.
        marks: whether marks are marks; otherwise they are text.

    Raises:
        ValueError: a mark names a picture that there is not.
    """
    shown = any(is_picture(option) or (marks and marks_pictures(option)) for option in options)
    if not shown and not (marks and marks_pictures(question)):
        return None
    sequence: list[str | Place] = [question]
    if shown:
        for k, (letter, option) in enumerate(zip(letters_of(len(options)), options, strict=True)):
            sequence += [f" {letter}. ", Place(option=k) if is_picture(option) else option]
        sequence.append(f" {SELECT}")
    if marks:
        sequence = _with_places(sequence, numbers)
    named = {piece.number for piece in sequence if isinstance(piece, Place)}
    sequence = [*(Place(number) for number in numbers if number not in named), *sequence]
    text = [""]
    for piece in sequence:
        if isinstance(piece, Place):
            text.append("")
        else:
            text[-1] += piece
    places = tuple(piece for piece in sequence if isinstance(piece, Place))
    return MarkedPrompt(tuple(text), places, letters_of(len(options)) if shown else tuple(options))


def marks_pictures(text: Option) -> bool:
    """Whether there is a mark in a text, of either kind."""
    return isinstance(text, str) and _ANY_MARK.search(text) is not None


def _with_places(sequence: Sequence[str | Place], numbers: Sequence[int]) -> list[str | Place]:
    placed: list[str | Place] = []
    unnumbered = 0
    for piece in sequence:
        if isinstance(piece, Place):
            placed.append(piece)
            continue
        parts = _ANY_MARK.split(piece)
        for k, part in enumerate(parts):
            if k % 2 == 0:
                placed.append(part)
                continue
            unnumbered += not part
            if not part and unnumbered > len(numbers):
                raise ValueError(f"a text marks {unnumbered} images with <image>, the row has {len(numbers)}")
            number = int(part) if part else numbers[unnumbered - 1]
            if number not in numbers:
                there = f"has the images {', '.join(map(str, numbers))}" if numbers else "has no image"
                raise ValueError(f"a text marks image {shortened(number)}, the row {there}")
            placed.append(Place(number))
    return placed

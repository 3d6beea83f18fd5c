"""Image marks of MMMU-Pro, `<image 3>`: in the question, and in options, where letters are scored instead."""

from __future__ import annotations

import re
from collections.abc import Sequence

from radar_tasks.sources.source_reader import arranged

_MARK = re.compile(r"<image (\d+)>")


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
    letters = tuple(chr(ord("A") + k) for k in range(len(options)))
    shown = " ".join(f"{letter}. {option}" for letter, option in zip(letters, options, strict=True))
    return f"{question} {shown} Please select the correct option: ", letters, place


def has_marks(text: str) -> bool:
    """Whether there is an image mark in a text."""
    return _MARK.search(text) is not None

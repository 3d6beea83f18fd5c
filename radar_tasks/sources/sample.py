"""`radar_mini`, the embedded sample: made here once, shipped as one parquet file a leaf.

`radar_tasks.store.sample_files` writes the shipped files again; that needs scikit-learn for the handwritten digits.
"""

from __future__ import annotations

import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from radar_tasks.questions import Ability, Question
from radar_tasks.sources.sample_pictures import load_digits
from radar_tasks.sources.sample_statements import (
    Described,
    Statement,
    group_scene,
    one_digit,
    side_scene,
    single_scene,
    two_digits,
)

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

T = TypeVar("T")

SEED = 20260213
QUESTIONS = 200
"""Questions a leaf."""


@dataclass(frozen=True)
class Leaf:
    """A part of the sample.

    Attributes:
        subject: the statements it asks; its source is `mini_<subject>` and its task `radar_mini_<subject>`.
        ability: perception or reasoning.
        task: what is asked, in words.
        options: candidate answers of each question.
    """

    subject: str
    ability: Ability
    task: str
    options: int

    @property
    def source(self) -> str:
        """The source's name in the store."""
        return f"mini_{self.subject}"


LEAVES = (
    Leaf("digits", "perception", "Handwritten digits", 4),
    Leaf("colour", "perception", "Drawn scenes", 3),
    Leaf("shape", "perception", "Drawn scenes", 4),
    Leaf("background", "perception", "Drawn scenes", 4),
    Leaf("object", "perception", "Drawn scenes", 4),
    Leaf("side", "reasoning", "Spatial relation", 2),
    Leaf("count", "reasoning", "Counting under a condition", 3),
    Leaf("most", "reasoning", "Comparison of groups", 2),
    Leaf("larger", "reasoning", "Comparison of digits", 2),
    Leaf("sum", "reasoning", "Arithmetic on digits", 3),
)


_SCENES = (("scene", single_scene), ("sides", side_scene), ("groups", group_scene))


def make_sample() -> dict[str, list[Question]]:
    """All questions by source, the same at every call. Raises `RadarError` without scikit-learn."""
    asked: dict[str, list[tuple[Described, Statement]]] = {leaf.subject: [] for leaf in LEAVES}
    for k, described in enumerate(_describe()):
        # In random order: what a maker says first is not to be the first question about every picture.
        for statement in _shuffled(_rng(7, k), described.statements):
            if statement.subject and len(asked[statement.subject]) < QUESTIONS:
                asked[statement.subject].append((described, statement))
    return {leaf.source: _questions(leaf, asked[leaf.subject], index) for index, leaf in enumerate(LEAVES)}


def _describe() -> Iterator[Described]:
    """Enough pictures for every leaf; questions about one picture follow one another."""
    digits = load_digits("test")
    order = _rng(0).permutation(len(digits.labels))
    yield from _balanced(one_digit(_rng(1), digits, int(at)) for at in order)
    for stream, (name, make) in enumerate(_SCENES, start=2):
        scenes = (make(_rng(stream, k)) for k in itertools.count())
        for k, scene in enumerate(_balanced(scenes)):
            yield Described(scene.pictures, scene.statements, f"{name}-{k:04d}")
    yield from _balanced(two_digits(_rng(5, k), digits) for k in itertools.count())


def _balanced(stream: Iterable[Described]) -> Iterator[Described]:
    """The first `QUESTIONS` of a stream, without those whose answer has been right too often where it could be."""
    right: Counter[tuple[str, str]] = Counter()
    possible: Counter[tuple[str, str]] = Counter()
    taken = 0
    for described in stream:
        asked = [statement for statement in described.statements if statement.subject]
        keys = [(statement.subject, statement.answer) for statement in asked]
        shares = [possible[key] / len(statement.choices) for key, statement in zip(keys, asked, strict=True)]
        if all(right[key] <= share + 1 for key, share in zip(keys, shares, strict=True)):
            right.update(keys)
            possible.update((statement.subject, choice) for statement in asked for choice in statement.choices)
            taken += 1
            yield described
        if taken == QUESTIONS:
            return


def _rng(*stream: int) -> Generator:
    return np.random.default_rng([SEED, *stream])


def _questions(leaf: Leaf, asked: Iterable[tuple[Described, Statement]], stream: int) -> list[Question]:
    questions = []
    places = _rng(8, stream).permutation(np.arange(QUESTIONS) % leaf.options)
    for k, (described, statement) in enumerate(asked):
        answer = int(places[k])
        questions.append(
            Question(
                q_id=f"{leaf.subject}-{k:04d}",
                text=(statement.question,),
                images=tuple(png(picture) for picture in described.pictures),
                options=_options(_rng(6, stream, k), statement, leaf.options, answer),
                answer=answer,
                ability=leaf.ability,
                task=leaf.task,
                source=leaf.source,
                category="",
                image_id=described.name,
                rule="other answers of the same question, at random",
            )
        )
    return questions


def _options(rng: Generator, statement: Statement, count: int, answer: int) -> tuple[str, ...]:
    """`count` different choices in random order, with the right one at place `answer`."""
    wrong = [choice for choice in statement.choices if choice != statement.answer]
    options = _shuffled(rng, wrong)[: count - 1]
    options.insert(answer, statement.answer)
    return tuple(options)


def _shuffled(rng: Generator, values: Sequence[T]) -> list[T]:
    return [values[k] for k in rng.permutation(len(values))]


def png(picture: NDArray[np.uint8]) -> bytes:
    """A picture as a file, in grey where it has no colour."""
    from PIL import Image

    file = io.BytesIO()
    grey = (picture == picture[:, :, :1]).all()  # one channel says it all: half the bytes
    Image.fromarray(picture[:, :, 0] if grey else picture).save(file, "PNG", optimize=True)
    return file.getvalue()

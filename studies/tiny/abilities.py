"""The plan's twenty abilities as sources of the store, and the suite `tiny` that they make up.

    python studies/tiny/abilities.py [--questions N]

writes `tiny_digits_low`, ... under RADAR_HOME. Scenes come from seeds that no run trains on, digits from the test
split. Most abilities are halves of a leaf of `radar_mini`, with its wording: what is told apart is the picture (small
or large things, near or far digits), never the text, so that text alone says nothing of the answer in any of them.
"""

from __future__ import annotations

import argparse
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from radar_tasks.questions import Ability, Question
from radar_tasks.sources.sample import png
from radar_tasks.sources.sample_pictures import COLOURS, SHAPES, Digits, load_digits
from radar_tasks.sources.sample_statements import (
    NUMBERS,
    Described,
    Statement,
    group_scene,
    one_digit,
    side_scene,
    single_scene,
    two_digits,
)
from radar_tasks.store import Origin, SourceWriter, open_source, source_path
from radar_tasks.store.own_suites import new_suite, write_suite

SEED = 20261126
"""Of all choices here; documents are made from the small seeds of the plan, the sample from another."""
SUITE = "tiny"
QUESTIONS = 200
"""Questions an ability."""
CONTROL = "mini_side"
"""The sample's leaf that has stayed at chance: the negative control, asked beside the abilities."""
FAR = 4
"""Two digits are far apart from this difference on."""

Asking = Callable[[Described], "Statement | None"]
Scenes = Callable[[np.random.Generator, Digits], Described]


@dataclass(frozen=True)
class AbilityPart:
    """An ability of the plan.

    Attributes:
        name: as in the plan; its source is `tiny_<name>`.
        ability: perception or reasoning.
        task: what is asked, in words.
        options: candidate answers of each question.
        scenes: makes a picture with all that is true of it.
        asking: what is asked of it; None for a picture that belongs to another ability.
    """

    name: str
    ability: Ability
    task: str
    options: int
    scenes: Scenes
    asking: Asking

    @property
    def source(self) -> str:
        """The source's name in the store."""
        return f"{SUITE}_{self.name}"


def of_size(size: str, subject: str) -> Asking:
    """A statement about a small (or large) shape."""

    def asking(scene: Described) -> Statement | None:
        drawn = next(s.answer for s in scene.statements if s.question == "The size of the shape is")
        return _about(scene, subject) if drawn == size else None

    return asking


def among(subject: str, choices: tuple[str, ...]) -> Asking:
    """A statement whose answer is one of `choices`, and so are the wrong ones: else the options would tell."""

    def asking(scene: Described) -> Statement | None:
        found = _about(scene, subject)
        return Statement(subject, found.question, found.answer, choices) if found.answer in choices else None

    return asking


def object_by(part: int) -> Asking:
    """What the picture shows, against things of another colour (part 0) or another shape (part 1) alone."""

    def asking(scene: Described) -> Statement:
        found = _about(scene, "object")
        words = found.answer.split()
        others = (tuple(COLOURS), SHAPES)[part]
        choices = tuple(" ".join([*words[:part], other, *words[part + 1 :]]) for other in others)
        return Statement("object", found.question, found.answer, choices)

    return asking


def shape_on(side: str) -> Asking:
    """Which of the two things stands on a side. (On which side a thing stands would have one answer for all here.)"""

    def asking(scene: Described) -> Statement:
        question = f"The shape on the {side} is a"
        answer = next(s.answer for s in scene.statements if s.question == question)
        names = [s.answer for s in scene.statements if s.question.startswith("The shape on the ")]
        return Statement("side", question, answer, tuple(names))

    return asking


def grouped_by(kind: str, subject: str) -> Asking:
    """A statement about groups that are told apart by colour, or by shape."""

    def asking(scene: Described) -> Statement | None:
        by_colour = any(s.question == "The colour of most shapes is" for s in scene.statements)
        return _about(scene, subject) if by_colour == (kind == "colour") else None

    return asking


def digits_apart(far: bool) -> Asking:
    """Which of two digits is larger, where they are far apart, or near."""

    def asking(scene: Described) -> Statement | None:
        first, second = (
            NUMBERS.index(next(s.answer for s in scene.statements if s.question == f"The {place} digit is"))
            for place in ("first", "second")
        )
        return _about(scene, "larger") if (abs(first - second) >= FAR) == far else None

    return asking


def _about(scene: Described, subject: str) -> Statement:
    """The first statement of a subject; of two counts in a scene the order is the scene's, which is random."""
    return next(s for s in scene.statements if s.subject == subject)


def _single(rng: np.random.Generator, digits: Digits) -> Described:  # noqa: ARG001 (as all makers of scenes)
    return single_scene(rng)


def _sides(rng: np.random.Generator, digits: Digits) -> Described:  # noqa: ARG001
    return side_scene(rng)


def _groups(rng: np.random.Generator, digits: Digits) -> Described:  # noqa: ARG001
    return group_scene(rng)


def _digit(rng: np.random.Generator, digits: Digits) -> Described:
    return one_digit(rng, digits, int(rng.integers(len(digits.labels))))


_LOW, _HIGH = NUMBERS[:5], NUMBERS[5:10]
ABILITIES = (
    AbilityPart("digits_low", "perception", "Handwritten digits", 4, _digit, among("digits", _LOW)),
    AbilityPart("digits_high", "perception", "Handwritten digits", 4, _digit, among("digits", _HIGH)),
    AbilityPart("colour_small", "perception", "Drawn scenes", 3, _single, of_size("small", "colour")),
    AbilityPart("colour_large", "perception", "Drawn scenes", 3, _single, of_size("large", "colour")),
    AbilityPart("shape_small", "perception", "Drawn scenes", 4, _single, of_size("small", "shape")),
    AbilityPart("shape_large", "perception", "Drawn scenes", 4, _single, of_size("large", "shape")),
    AbilityPart(
        "background_plain_or_striped",
        "perception",
        "Drawn scenes",
        2,
        _single,
        among("background", ("plain", "striped")),
    ),
    AbilityPart(
        "background_dotted_or_checked",
        "perception",
        "Drawn scenes",
        2,
        _single,
        among("background", ("dotted", "checked")),
    ),
    AbilityPart("object_colour", "perception", "Drawn scenes", 4, _single, object_by(0)),
    AbilityPart("object_shape", "perception", "Drawn scenes", 4, _single, object_by(1)),
    AbilityPart("side_left", "reasoning", "Spatial relation", 2, _sides, shape_on("left")),
    AbilityPart("side_right", "reasoning", "Spatial relation", 2, _sides, shape_on("right")),
    AbilityPart(
        "count_by_colour", "reasoning", "Counting under a condition", 3, _groups, grouped_by("colour", "count")
    ),
    AbilityPart("count_by_shape", "reasoning", "Counting under a condition", 3, _groups, grouped_by("shape", "count")),
    AbilityPart("most_by_colour", "reasoning", "Comparison of groups", 2, _groups, grouped_by("colour", "most")),
    AbilityPart("most_by_shape", "reasoning", "Comparison of groups", 2, _groups, grouped_by("shape", "most")),
    AbilityPart("larger_near", "reasoning", "Comparison of digits", 2, two_digits, digits_apart(far=False)),
    AbilityPart("larger_far", "reasoning", "Comparison of digits", 2, two_digits, digits_apart(far=True)),
    AbilityPart("sum_without_carry", "reasoning", "Arithmetic on digits", 3, two_digits, among("sum", NUMBERS[1:10])),
    AbilityPart("sum_with_carry", "reasoning", "Arithmetic on digits", 3, two_digits, among("sum", NUMBERS[10:18])),
)


def questions_of(part: AbilityPart, stream: int, digits: Digits, count: int = QUESTIONS) -> Iterator[Question]:
    """`count` questions of an ability, the first ones the same for every count.

    A picture is left out where its answer has been right too often for an option that could be right so often.
    """
    right: Counter[str] = Counter()
    possible: Counter[str] = Counter()
    seen: set[str] = set()
    made = 0
    for k in itertools.count():
        scene = part.scenes(np.random.default_rng([SEED, stream, k]), digits)
        statement = part.asking(scene)
        if statement is None or (scene.name and scene.name in seen):
            continue
        if right[statement.answer] > possible[statement.answer] / len(statement.choices) + 1:
            continue
        right[statement.answer] += 1
        possible.update(statement.choices)
        seen.add(scene.name)
        rng = np.random.default_rng([SEED, stream, k, 1])
        # The place of the answer goes round, from a random one in each round of `options` questions.
        place = int(np.random.default_rng([SEED, stream, 1 << 40, made // part.options]).permutation(part.options)[
            made % part.options
        ])  # fmt: skip
        wrong = [choice for choice in statement.choices if choice != statement.answer]
        options = [wrong[at] for at in rng.permutation(len(wrong))[: part.options - 1]]
        options.insert(place, statement.answer)
        yield Question(
            q_id=f"{part.name}-{made:04d}",
            text=(statement.question,),
            images=tuple(png(picture) for picture in scene.pictures),
            options=tuple(options),
            answer=place,
            ability=part.ability,
            task=part.task,
            source=part.source,
            category="",
            image_id=scene.name or f"{part.name}-{made:04d}",
            rule="other answers of the same question, at random",
        )
        made += 1
        if made == count:
            return


def write_abilities(count: int = QUESTIONS) -> None:
    """All twenty into the store with their suite; what is there with as many questions is left."""
    digits = load_digits("test")
    for stream, part in enumerate(ABILITIES):
        path = source_path(part.source)
        if path.is_file() and open_source(part.source).manifest.questions == count:
            continue
        with SourceWriter(path) as writer:
            for question in questions_of(part, stream, digits, count):
                writer.add(question)
            writer.finish(Origin(kind="table", location="studies/tiny/abilities.py", fingerprint=f"{SEED}-{count}"))
    write_suite(new_suite(SUITE, [part.source for part in ABILITIES]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=QUESTIONS, help="questions an ability")
    write_abilities(parser.parse_args().questions)


if __name__ == "__main__":
    main()

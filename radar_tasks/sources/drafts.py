"""From the parts that a reader finds to a `Question`, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from radar_tasks.errors import DataError, QuestionError
from radar_tasks.questions import MAX_IMAGES, Ability, Question
from radar_tasks.sources.marks import has_marks, split_at_marks, with_lettered_options
from radar_tasks.sources.pictures import picture_problem
from radar_tasks.sources.record_files import shortened
from radar_tasks.sources.source_reader import Rejected, arranged

UNREADABLE = b"?"
"""Stands for a picture that could not be read: the question is rejected, but its other faults are to be told too."""


@dataclass(frozen=True)
class Draft:
    """A question before its pictures are read and its rules are checked.

    Attributes:
        file: where it stands, for messages.
        text: pieces of the prompt, see `Question.text`.
        pictures: names of the pictures in the order of the prompt.
        options: see `Question.options`; `answer` is the place of the right one.
        problems: what the reader has found wrong already.
    """

    q_id: str
    file: str
    text: tuple[str, ...]
    pictures: tuple[str, ...]
    options: tuple[str, ...]
    answer: int
    category: str
    image_id: str
    rule: str = ""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True)
class Builder:
    """Makes the questions of one source; the three fields are those of `Question`."""

    source: str
    ability: Ability
    task: str

    def build(self, draft: Draft, read_picture: Callable[[str], bytes]) -> Question | Rejected:
        """Read and check the pictures, check the rules.

        Args:
            draft: the question's parts.
            read_picture: the bytes of a picture by its name; raises `DataError` if there is none.
        """
        if len(draft.pictures) > MAX_IMAGES and not draft.problems:
            return Rejected(draft.q_id, draft.file, too_many_images=True)
        problems = list(draft.problems)
        if any("\0" in text for text in (draft.q_id, *draft.text, *draft.options, draft.category)):
            problems.append("a text holds a null byte")
        images = []
        for name in draft.pictures[:MAX_IMAGES]:
            try:
                image = read_picture(name)
            except DataError as error:
                problems.append(str(error))
                image = UNREADABLE
            else:
                if problem := picture_problem(image):
                    problems.append(f"image {name}: {problem}")
            images.append(image or UNREADABLE)
        try:
            question = Question(
                q_id=draft.q_id,
                text=draft.text,
                images=tuple(images),
                options=draft.options,
                answer=draft.answer,
                ability=self.ability,
                task=self.task,
                source=self.source,
                category=draft.category,
                image_id=draft.image_id,
                rule=draft.rule,
            )
        except QuestionError as error:
            problems += error.problems
        return Rejected(draft.q_id, draft.file, tuple(problems)) if problems else question


def candidates(q_id: str, answer: str, distractors: Sequence[str]) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Options, place of the answer, and problems that are told better here than by their places."""
    options, place = arranged(q_id, answer, distractors)
    problems = []
    if answer in distractors:
        problems.append(f"the answer {shortened(answer)} is among the distractors")
        options, place = arranged(q_id, answer, [option for option in distractors if option != answer])
    return options, place, tuple(problems)


def marked_draft(
    *,
    q_id: str,
    file: str,
    question: str,
    answer: str,
    distractors: Sequence[str],
    shown_options: str,
    picture_name: Callable[[str], str],
    category: str,
    rule: str = "",
) -> Draft:
    """A question of MMMU-Pro's shape: images stand where the text marks them.

    Args:
        shown_options: the options of the original data set as one text; if it marks an image, letters are scored.
        picture_name: the name of the picture behind the number of a mark.
    """
    options, place, problems = candidates(q_id, answer, distractors)
    if has_marks(shown_options):
        others = [option for option in distractors if option != answer]
        question, options, place = with_lettered_options(q_id, question, answer, others)
    text, marks = split_at_marks(question)
    return Draft(
        q_id=q_id,
        file=file,
        text=text,
        pictures=tuple(picture_name(mark) for mark in marks),
        options=options,
        answer=place,
        category=category,
        image_id=q_id,
        rule=rule,
        problems=problems,
    )

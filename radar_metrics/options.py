"""Scores of options, checked once, so that every metric works on whole arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.ragged import BoolArray, FloatArray, IntArray, Names, NumberArray, Ragged, Scores, question_name

__all__ = ["BoolArray", "FloatArray", "IntArray", "Options", "check_options", "option_counts", "positive_counts"]


@dataclass(frozen=True)
class Options:
    """Checked scores of the options of N questions, with M the largest number of options.

    Attributes:
        scores: float64, finite, at least two a question.
        answers: (N,) index of the right option.
    """

    scores: Ragged
    answers: IntArray

    @property
    def of_answer(self) -> FloatArray:
        """(N,) score of the right option."""
        return self.scores.at(self.answers)

    @property
    def best(self) -> FloatArray:
        """(N,) the highest score of each question."""
        return np.asarray(np.maximum.reduceat(self.scores.values, self.scores.offsets[:-1]))

    @property
    def best_distractor(self) -> FloatArray:
        """(N,) the highest score among the wrong options."""
        values = self.scores.values.copy()
        values[self.answer_places] = -np.inf
        return np.asarray(np.maximum.reduceat(values, self.scores.offsets[:-1]))

    @property
    def answer_places(self) -> IntArray:
        """(N,) where the right options stand among all options."""
        return self.scores.offsets[:-1] + self.answers


def check_options(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> Options:
    """Checks the options of N questions.

    Args:
        scores: one number per option, higher is better, every value finite, two or more options per question.
        answers: (N,) integer index of the right option of each question.
        q_ids: (N,) names for error messages; positions are used without them.

    Raises:
        MetricError: nothing given, lengths differ, a score is not a finite number, fewer than two options, or an
            answer outside the options. Names the question, and the option where there is one.
    """
    checked = checked_scores(scores, q_ids)
    return Options(checked, _check_answers(answers, checked.counts, q_ids))


def checked_scores(scores: Scores, q_ids: Names | None = None) -> Ragged:
    """Scores of two or more options per question as finite float64; MetricError as `check_options`."""
    _require_counts(_counts(scores), q_ids)
    ragged = scores if isinstance(scores, Ragged) else Ragged.of(scores, q_ids)
    checked = ragged.with_values(np.asarray(ragged.values, dtype=np.float64))
    _require_finite(checked, q_ids)
    return checked


def option_counts(scores: Scores, q_ids: Names | None = None) -> IntArray:
    """(N,) how many options each question has; MetricError where that is fewer than two."""
    counts = _counts(scores)
    _require_counts(counts, q_ids)
    return counts


def positive_counts(counts: Scores, options: IntArray, what: str, q_ids: Names | None = None) -> NumberArray:
    """Checks a positive count for each option, such as its tokens or bytes.

    Args:
        counts: one number per option, in option order.
        options: (N,) number of options of each question.
        what: name of the counts in error messages.
        q_ids: (N,) names for error messages.

    Returns:
        (sum of `options`,) all counts, question after question.
    """
    if len(counts) != len(options):
        raise MetricError(f"{what} counts of {len(counts)} questions for the scores of {len(options)}")
    ragged = counts if isinstance(counts, Ragged) else Ragged.of(counts, q_ids)
    if len(other := np.flatnonzero(ragged.counts != options)):
        i = int(other[0])
        raise MetricError(f"{question_name(i, q_ids)}: {len(ragged[i])} {what} counts for {options[i]} options")
    if len(wrong := np.flatnonzero(~(np.isfinite(ragged.values) & (ragged.values > 0)))):
        i = int(ragged.question[wrong[0]])
        raise MetricError(f"{question_name(i, q_ids)}: {what} counts {ragged[i].tolist()}, each must be positive")
    return ragged.values


def _counts(scores: Scores) -> IntArray:
    return scores.counts if isinstance(scores, Ragged) else np.array([np.size(row) for row in scores], dtype=np.int64)


def _require_counts(counts: IntArray, q_ids: Names | None) -> None:
    if len(counts) == 0:
        raise MetricError("no questions: at least one is needed")
    if q_ids is not None and len(q_ids) != len(counts):
        raise MetricError(f"{len(q_ids)} question names for {len(counts)} questions: give one name per question")
    if counts.min() < 2:
        i = int(counts.argmin())
        raise MetricError(f"{question_name(i, q_ids)}: {counts[i]} option(s), at least two are needed to discriminate")


def _require_finite(scores: Ragged, q_ids: Names | None) -> None:
    if len(bad := np.flatnonzero(~np.isfinite(scores.values))):
        place = int(bad[0])
        i = int(scores.question[place])
        raise MetricError(
            f"{question_name(i, q_ids)}, option {place - scores.offsets[i]}: score is {scores.values[place]}, "
            "a finite number is needed"
        )


def _check_answers(answers: ArrayLike, counts: IntArray, q_ids: Names | None) -> IntArray:
    indices = np.asarray(answers)
    if indices.shape != counts.shape:
        raise MetricError(f"answers of shape {indices.shape} for {len(counts)} questions: one index per question")
    if indices.dtype.kind not in "iu":
        raise MetricError(f"answers must be integer option indices, not {indices.dtype}")
    outside = np.flatnonzero((indices < 0) | (indices >= counts))
    if len(outside):
        i = int(outside[0])
        raise MetricError(f"{question_name(i, q_ids)}: answer {indices[i]} is not one of options 0 to {counts[i] - 1}")
    return indices.astype(np.int64)

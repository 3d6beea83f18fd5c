"""Ragged option scores, checked once and padded, so that every metric works on whole arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radar_metrics.errors import MetricError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Options:
    """Scores of the options of N questions, with M the largest number of options.

    Attributes:
        padded: (N, M) float64, finite for real options and -inf behind them.
        counts: (N,) number of options of each question, at least 2.
        answers: (N,) index of the right option.
    """

    padded: FloatArray
    counts: IntArray
    answers: IntArray

    @property
    def is_option(self) -> BoolArray:
        """(N, M) False where `padded` is padding."""
        return _filled(self.counts)

    @property
    def is_distractor(self) -> BoolArray:
        """(N, M) True for the real options other than the right one."""
        distractor = self.is_option
        distractor[np.arange(len(self.answers)), self.answers] = False
        return distractor

    @property
    def of_answer(self) -> FloatArray:
        """(N,) score of the right option."""
        return self.padded[np.arange(len(self.answers)), self.answers]


def check_options(scores: Sequence[ArrayLike], answers: ArrayLike, q_ids: Sequence[str] | None = None) -> Options:
    """Checks the options of N questions and pads them to one array.

    Args:
        scores: one 1-D array (M_i,) a question, higher is better, every value finite, M_i >= 2.
        answers: (N,) integer index of the right option of each question.
        q_ids: (N,) names for error messages; positions are used without them.

    Raises:
        MetricError: nothing given, lengths differ, a score is not a finite number, fewer than two options, or an
            answer outside the options. Names the question, and the option where there is one.
    """
    counts = option_counts(scores, q_ids)
    padded = np.full((len(counts), int(counts.max())), -np.inf)
    padded[_filled(counts)] = np.concatenate([_row(row, i, q_ids) for i, row in enumerate(scores)])
    _require_finite(padded, counts, q_ids)
    return Options(padded, counts, _check_answers(answers, counts, q_ids))


def option_counts(scores: Sequence[ArrayLike], q_ids: Sequence[str] | None = None) -> IntArray:
    """(N,) how many options each question has; MetricError where that is fewer than two."""
    if len(scores) == 0:
        raise MetricError("no questions: at least one is needed")
    if q_ids is not None and len(q_ids) != len(scores):
        raise MetricError(f"{len(q_ids)} question names for {len(scores)} questions: give one name a question")
    counts = np.array([np.size(row) for row in scores], dtype=np.int64)
    if counts.min() < 2:
        i = int(counts.argmin())
        raise MetricError(f"{question_name(i, q_ids)}: {counts[i]} option(s), at least two are needed to discriminate")
    return counts


def positive_counts(
    counts: Sequence[ArrayLike], options: IntArray, what: str, q_ids: Sequence[str] | None = None
) -> FloatArray:
    """Checks a positive count for each option, such as its tokens or bytes.

    Args:
        counts: one 1-D array a question, in option order.
        options: (N,) number of options of each question.
        what: name of the counts in error messages.
        q_ids: (N,) names for error messages.

    Returns:
        (sum of `options`,) all counts, question after question.
    """
    if len(counts) != len(options):
        raise MetricError(f"{what} counts of {len(counts)} questions for the scores of {len(options)}")
    rows = [_row(row, i, q_ids) for i, row in enumerate(counts)]
    for i, row in enumerate(rows):
        if len(row) != options[i]:
            raise MetricError(f"{question_name(i, q_ids)}: {len(row)} {what} counts for {options[i]} options")
        if not (np.isfinite(row) & (row > 0)).all():
            raise MetricError(f"{question_name(i, q_ids)}: {what} counts {row.tolist()}, each must be positive")
    return np.concatenate(rows)


def question_name(i: int, q_ids: Sequence[str] | None) -> str:
    """How error messages call question i: by its name, else by its position from 0."""
    return f"question {q_ids[i]!r}" if q_ids is not None else f"question at position {i}"


def _filled(counts: IntArray) -> BoolArray:
    return np.asarray(np.arange(counts.max()) < counts[:, None])


def _row(row: ArrayLike, i: int, q_ids: Sequence[str] | None) -> FloatArray:
    try:
        values = np.asarray(row, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{question_name(i, q_ids)}: scores are not numbers: {row!r}") from error
    if values.ndim != 1:
        raise MetricError(f"{question_name(i, q_ids)}: scores of shape {values.shape}, one number an option is needed")
    return values


def _require_finite(padded: FloatArray, counts: IntArray, q_ids: Sequence[str] | None) -> None:
    bad = np.argwhere(~np.isfinite(padded) & _filled(counts))
    if len(bad):
        i, option = (int(k) for k in bad[0])
        raise MetricError(
            f"{question_name(i, q_ids)}, option {option}: score is {padded[i, option]}, a finite number is needed"
        )


def _check_answers(answers: ArrayLike, counts: IntArray, q_ids: Sequence[str] | None) -> IntArray:
    indices = np.asarray(answers)
    if indices.shape != counts.shape:
        raise MetricError(f"answers of shape {indices.shape} for {len(counts)} questions: one index a question")
    if indices.dtype.kind not in "iu":
        raise MetricError(f"answers must be integer option indices, not {indices.dtype}")
    outside = np.flatnonzero((indices < 0) | (indices >= counts))
    if len(outside):
        i = int(outside[0])
        raise MetricError(f"{question_name(i, q_ids)}: answer {indices[i]} is not one of options 0 to {counts[i] - 1}")
    return indices.astype(np.int64)

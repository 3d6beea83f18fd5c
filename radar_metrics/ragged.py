"""`Ragged`: one number per option, for questions that differ in how many options they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from radar_metrics.errors import MetricError

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
NumberArray = NDArray[Any]
"""Floats of any width, or integers."""

Names: TypeAlias = Sequence[str] | NDArray[np.str_]
"""(N,) names of the questions, for error messages."""


@dataclass(frozen=True, eq=False)
class Ragged:
    """Numbers of the options of N questions in two arrays: those of question i are `values[offsets[i]:offsets[i+1]]`.

    A list of small arrays would cost a hundred bytes and a step of the interpreter for each question; these two arrays
    are worked on whole. Of several scores of the same questions, all may hold the same `offsets`.

    Attributes:
        values: (K,) numbers, question after question, in option order.
        offsets: (N+1,) where each question begins, from 0 to K, never falling.

    Raises:
        MetricError: the offsets do not fit the values.
    """

    values: NumberArray
    offsets: IntArray

    def __post_init__(self) -> None:
        offsets = self.offsets
        if offsets.ndim != 1 or len(offsets) == 0 or offsets[0] != 0 or (np.diff(offsets) < 0).any():
            raise MetricError("offsets of ragged numbers must be a list that starts at 0 and never falls")
        if self.values.ndim != 1 or offsets[-1] != len(self.values):
            raise MetricError(f"ragged numbers: offsets end at {offsets[-1]}, values are of shape {self.values.shape}")

    @classmethod
    def of(cls, rows: Sequence[ArrayLike], q_ids: Names | None = None) -> Ragged:
        """From one 1-D array a question, as float64.

        Raises:
            MetricError: a row is not numbers, or not a flat list; names the question.
        """
        flat = [_row(row, i, q_ids) for i, row in enumerate(rows)]
        offsets = np.zeros(len(flat) + 1, dtype=np.int64)
        np.cumsum([len(row) for row in flat], out=offsets[1:])
        return cls(np.concatenate(flat) if flat else np.zeros(0), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> NumberArray:
        """(M_i,) the numbers of question i, a view."""
        i = range(len(self))[i]  # negative places, and an IndexError behind the last
        return self.values[self.offsets[i] : self.offsets[i + 1]]

    def __iter__(self) -> Iterator[NumberArray]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return f"Ragged({len(self)} questions, {len(self.values)} options, {self.values.dtype})"

    @property
    def counts(self) -> IntArray:
        """(N,) number of options of each question."""
        return np.diff(self.offsets)

    @property
    def question(self) -> IntArray:
        """(K,) which question each number belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    def with_values(self, values: NumberArray) -> Ragged:
        """Other numbers (K,) of the same options."""
        return Ragged(values, self.offsets)

    def at(self, options: IntArray) -> NumberArray:
        """(N,) the number of one option of each question, such as the right one's."""
        return np.asarray(self.values[self.offsets[:-1] + options])

    def take(self, questions: Sequence[int] | IntArray) -> Ragged:
        """These questions, in this order."""
        places = np.asarray(questions, dtype=np.int64)
        counts = self.counts[places]
        offsets = np.zeros(len(places) + 1, dtype=np.int64)
        np.cumsum(counts, out=offsets[1:])
        # Number k of the result stands as far behind its question's begin as it stands there in the original.
        shift = np.repeat(self.offsets[places] - offsets[:-1], counts)
        return Ragged(self.values[np.arange(offsets[-1]) + shift], offsets)

    def sums(self) -> NumberArray:
        """(N,) sum over the options of each question, each of which has one or more."""
        return np.asarray(np.add.reduceat(self.values, self.offsets[:-1]))

    def centred(self) -> Ragged:
        """Each number less the mean of its question's, in float64."""
        values = self.values.astype(np.float64)
        return self.with_values(values - np.repeat(self.with_values(values).sums() / self.counts, self.counts))

    def softmax(self) -> Ragged:
        """exp(x_j) / sum over the question's options of exp(x_m), in float64; stable for any finite numbers."""
        values = self.values.astype(np.float64)
        # Scores near +-1e308 differ by more than a float holds: the difference is then -inf, whose exp is the right 0.
        with np.errstate(over="ignore"):
            values -= np.repeat(np.maximum.reduceat(values, self.offsets[:-1]), self.counts)
        np.exp(values, out=values)
        weights = self.with_values(values)
        return self.with_values(values / np.repeat(weights.sums(), self.counts))


Scores: TypeAlias = Ragged | Sequence[ArrayLike]
"""One number per option: `Ragged`, or one 1-D array a question."""


def question_name(i: int, q_ids: Names | None) -> str:
    """How error messages call question i: by its name, else by its position from 0."""
    return f"question {str(q_ids[i])!r}" if q_ids is not None else f"question at position {i}"


def _row(row: ArrayLike, i: int, q_ids: Names | None) -> FloatArray:
    try:
        values = np.asarray(row, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise MetricError(f"{question_name(i, q_ids)}: scores are not numbers: {row!r}") from error
    if values.ndim != 1:
        raise MetricError(f"{question_name(i, q_ids)}: scores of shape {values.shape}, one number per option is needed")
    return values

"""What differs between trainings, with the luck of the seed beside the luck of the questions.

A contrast is a weighted sum over training runs: +1/n_B for the runs of one configuration and -1/n_A for those of
another, or the weights of a slope. Two things make it uncertain: the luck of the seeds, known from runs that differ in
nothing else (a variance pooled over configurations, which are taken to scatter alike), and that of the questions, known
from a bootstrap that all runs share. Each has its own quantile, and both half-widths add up as squares:

    half^2 = (t_degrees * sigma_runs)^2 * sum_r w_r^2  +  (z * sigma_questions)^2

(the method of variance estimates recovery, Zou and Donner 2008). Satterthwaite's degrees of freedom would be narrower,
but fall short where few seeds happen to agree. What seeds and questions do together is in both parts, so that the
interval errs to the wide side. Without two runs of one configuration only the questions are known: the interval then
speaks of these runs, not of others trained alike.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import ndtri, stdtrit

from radar_metrics.curves import Band, Curve, simultaneous_band
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray, IntArray
from radar_metrics.uncertainty import Interval, tail_probability

_SMALLEST_TAIL = 1e-100


@dataclass(frozen=True)
class RunSpread:
    """How far runs of one configuration lie apart: `variance` (S,) at each step, with so many `degrees` of freedom."""

    variance: FloatArray
    degrees: int


@dataclass(frozen=True)
class Contrast:
    """A weighted sum over runs at each step.

    Attributes:
        values: (S,) the sum.
        run_errors, question_errors: (S,) its standard errors by the luck of the runs (0 where that is not known) and of
            the questions.
        degrees: of freedom of the first; None where the spread between runs is not known.
        replicates: (B, S) of the questions.
    """

    values: FloatArray
    run_errors: FloatArray
    question_errors: FloatArray
    degrees: int | None
    replicates: FloatArray

    def interval(self, step: int, level: float = 0.95) -> Interval:
        """At one step (a position)."""
        value, half = float(self.values[step]), float(self._half(tail_probability(level))[step])
        return Interval(value, value - half, value + half)

    def p_value(self, step: int) -> float:
        """Two-sided p-value of "it is 0" at one step (a position): 1 - the level at which `interval` ends at 0.

        In [2e-100, 1]: smaller ones are not told apart.
        """
        size = abs(float(self.values[step]))
        if size == 0:
            return 1.0
        if size >= float(self._half(_SMALLEST_TAIL)[step]):
            return 2.0 * _SMALLEST_TAIL
        # The logarithm of the tail, so that small ones are found as exactly as large ones.
        ends = (math.log(_SMALLEST_TAIL), math.log(0.5))
        found = brentq(lambda tail: float(self._half(math.exp(tail))[step]) - size, *ends)
        return float(2.0 * math.exp(found))

    def band(self, level: float = 0.95) -> Band:
        """Band that holds all steps at once.

        From the questions alone by the largest deviation of a replicate (`curves.simultaneous_band`). With the spread
        between runs by Bonferroni's bound over the steps: two or three runs cannot say how the luck of one step hangs
        together with that of the next.
        """
        if self.degrees is None:
            return simultaneous_band(Curve(np.arange(float(len(self.values))), self.values, self.replicates), level)
        half = self._half(tail_probability(level) / len(self.values))
        return Band(self.values - half, self.values + half)

    def _half(self, tail: float) -> FloatArray:
        """(S,) half-width of the interval with this probability outside each end."""
        t = 0.0 if self.degrees is None else float(stdtrit(self.degrees, tail))
        return np.hypot(t * self.run_errors, float(ndtri(tail)) * self.question_errors)


def numbered(configurations: Sequence[Hashable]) -> IntArray:
    """(R,) which configuration each run is of, from 0 in the order in which they first stand."""
    number = {of: k for k, of in enumerate(dict.fromkeys(configurations))}
    return np.array([number[of] for of in configurations], dtype=np.int64)


def run_spread(values: ArrayLike, configurations: Sequence[Hashable]) -> RunSpread | None:
    """Variance between runs of one configuration, pooled: sum over runs of (x - mean of its configuration)^2 / degrees.

    Args:
        values: (R, S) a number per run and step.
        configurations: (R,) runs with equal ones differ in their seed alone.

    Returns:
        None where no configuration has two runs.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or len(table) != len(configurations) or not np.isfinite(table).all():
        raise MetricError(
            f"values of shape {table.shape} for {len(configurations)} runs: finite (runs, steps) is needed"
        )
    count = len(set(configurations))
    degrees = len(configurations) - count
    if degrees == 0:
        return None
    configuration = numbered(configurations)
    squares = np.zeros(table.shape[1])
    for k in range(count):
        members = table[configuration == k]
        squares += ((members - members.mean(axis=0)) ** 2).sum(axis=0)
    return RunSpread(squares / degrees, degrees)


def contrast(weights: ArrayLike, values: ArrayLike, replicates: ArrayLike, spread: RunSpread | None) -> Contrast:
    """The weighted sum over runs at each step.

    Args:
        weights: (R,) of each run.
        values: (R, S) a number per run and step.
        replicates: (B, R, S) bootstrap replicates in which all runs and steps see the same resampled questions, B >= 2.
        spread: between runs that differ in their seed alone; None where that is not known.
    """
    w = np.asarray(weights, dtype=np.float64)
    table, resampled = np.asarray(values, dtype=np.float64), np.asarray(replicates, dtype=np.float64)
    if w.shape != table.shape[:1] or resampled.shape[1:] != table.shape or len(resampled) < 2:
        raise MetricError(f"weights {w.shape}, values {table.shape} and replicates {resampled.shape} do not fit")
    summed = np.einsum("r,brs->bs", w, resampled)
    of_questions = summed.std(axis=0, ddof=1)
    of_runs = np.zeros(len(of_questions)) if spread is None else np.sqrt(spread.variance * float((w**2).sum()))
    return Contrast(w @ table, of_runs, of_questions, spread.degrees if spread else None, summed)


def difference_weights(first: Sequence[bool]) -> FloatArray:
    """(R,) weights of "mean of the others minus mean of the first": -1/n where `first`, 1/m elsewhere."""
    side = np.asarray(first, dtype=bool)
    if side.all() or not side.any():
        raise MetricError("a difference needs at least one run on each side")
    return np.asarray(np.where(side, -1.0 / side.sum(), 1.0 / (~side).sum()))

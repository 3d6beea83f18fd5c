"""Where training is going: option log-probabilities extrapolated by saturating power laws, and what follows for SDS.

A score in [0, 1] is a bad thing to draw on: it is flat at chance, bends, and is flat at 1, and which questions are near
the bend is lost in their mean. Its causes move more evenly. For question i with answer a and distractors d,

    margin_i = log p_a - log sum_d p_d         SDS_i = 1 / (1 + exp(-margin_i))

(log p a mean over tokens, as everywhere). What is extrapolated are three numbers of a source (wrong options
apart from right ones as Schaeffer et al., arXiv 2406.04391, found needed): the mean over questions of log p_a, that of
log sum_d p_d, and the standard deviation of the margin. They are put together to SDS question by question
(`Margins.sds`): each question keeps its place among the others, so that the spread over questions, on which a mean of
probabilities depends, is carried along. Accuracy follows from SDS (`accuracy_ahead`): put together in the same way it
would hang on the few questions that are nearly even.

The law is y(x) = E + B x^-b in steps, tokens, or parameters (Kaplan et al., arXiv 2001.08361;
Hoffmann et al., arXiv 2203.15556), written about the last point that is known, x_0:

    y(x) = y(x_0) + slope * growth(x / x_0, b)     growth(r, b) = (1 - r^-b) / b, log r where b = 0

`slope` is what y gains now for a factor e of x, `b` how soon that ends; E is y(x_0) + slope / b.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray, check_options
from radar_metrics.ragged import Names, Scores

ANSWER, WRONG, SPREAD = range(3)
"""Places of the three numbers in an array of means."""


@dataclass(frozen=True)
class Margins:
    """The margins of one source at one checkpoint, by their mean and spread and each question's place in them.

    Attributes:
        means: (3,) weighted means over questions of the answer's log-probability and of that of all distractors
            together, and the standard deviation of the margins, >= 0; nats per token.
        place: (N,) each question's margin less the mean, in standard deviations.
        weights: (N,) of the questions in the source's headline, their sum is 1.
    """

    means: FloatArray
    place: FloatArray
    weights: FloatArray

    @classmethod
    def of(cls, scores: Scores, answers: ArrayLike, weights: FloatArray, q_ids: Names | None = None) -> Margins:
        """From log-probabilities of options.

        Args:
            scores: one log-probability per option, as `radar_metrics.soft_discrimination` takes them.
            answers: (N,) index of the right option.
            weights: (N,) weights of the questions, their sum is 1.
            q_ids: (N,) names for error messages.

        Raises:
            MetricError: as `radar_metrics.options.check_options`.
        """
        options = check_options(scores, answers, q_ids)
        answer = options.of_answer
        values = options.scores.values.copy()
        values[options.answer_places] = -np.inf
        together = np.logaddexp.reduceat(values, options.scores.offsets[:-1])
        margins = answer - together
        mean = float(weights @ margins)
        deviation = float(np.sqrt(weights @ (margins - mean) ** 2))
        # To rounding, margins that are all alike have no spread, and no question a place in it.
        alike = deviation <= 1e-12 * max(1.0, abs(mean))
        place = np.zeros_like(margins) if alike else (margins - mean) / deviation
        means = np.array([weights @ answer, weights @ together, 0.0 if alike else deviation])
        return cls(means, place, weights)

    def sds(self, means: ArrayLike) -> FloatArray:
        """SDS where the means are these instead and every question keeps its place; with its own, what was measured.

        Args:
            means: (..., 3) as `means`.

        Returns:
            (...) in [0, 1].
        """
        of = np.asarray(means, dtype=np.float64)
        margins = (of[..., ANSWER] - of[..., WRONG])[..., None] + of[..., SPREAD, None] * self.place
        # Weights sum to 1 to rounding only.
        return np.asarray(np.clip(expit(margins) @ self.weights, 0.0, 1.0))


NEAR = 0.03
"""Radians of arcsin(sqrt(SDS)): how near measurements must be to say what accuracy goes with an SDS."""


def accuracy_ahead(sds: ArrayLike, seen: ArrayLike, last: ArrayLike) -> FloatArray:
    """The accuracy that goes with an SDS: SDS and the gap between both where SDS was about that high before.

    The second step of a ladder (Bhagia et al., arXiv 2412.04403), without a shape given beforehand: the gap is a mean
    over what was seen, weighted by a normal kernel in arcsin(sqrt(SDS)) of width `NEAR`, in which the last gap always
    counts once. Where SDS was never so high, accuracy moves on as SDS does.

    Args:
        sds: (K,) forecasts.
        seen: (P, 2) SDS and accuracy of the same source at other checkpoints, of this run and of others.
        last: (2,) those of the last checkpoint.

    Returns:
        (K,) in [0, 1].
    """
    ahead, pairs, (soft, right) = (
        np.asarray(sds, dtype=np.float64),
        np.asarray(seen, dtype=np.float64),
        np.asarray(last),
    )
    distance = np.arcsin(np.sqrt(ahead))[:, None] - np.arcsin(np.sqrt(pairs[:, 0]))
    weights = np.exp(-((distance / NEAR) ** 2) / 2.0)
    gap = (weights @ (pairs[:, 1] - pairs[:, 0]) + (right - soft)) / (weights.sum(axis=1) + 1.0)
    return np.asarray(np.clip(ahead + gap, 0.0, 1.0))


def growth(ratio: ArrayLike, decay: float) -> FloatArray:
    """(1 - ratio^-decay) / decay: what a law with this exponent gains at `ratio` times x, for a slope of 1 at x.

    Args:
        ratio: above 0; below 1 it looks back, and the growth is negative.
        decay: the exponent; 0 is the line in log x, -1 the line in x, above 0 the law saturates.
    """
    logs = np.log(np.asarray(ratio, dtype=np.float64))
    return np.asarray(-np.expm1(-decay * logs) / decay) if decay != 0 else logs


def present_slope(x: ArrayLike, y: ArrayLike, decay: float, memory: float) -> FloatArray:
    """What y gains at its last point for a factor e of x, by weighted least squares of the law with this exponent.

    A point that lies a factor r before the last one weighs r^(-1/memory): what training does early, before an ability
    has begun to form, says little of what it does now.

    Args:
        x: (S,) increasing, above 0, S >= 2.
        y: (S, ...) one or more curves.
        decay: exponent of the law, as in `growth`.
        memory: in units of log x, above 0.
    """
    at, of = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if at.ndim != 1 or len(at) < 2 or len(of) != len(at) or (np.diff(at) <= 0).any() or at[0] <= 0:
        raise MetricError(f"a slope needs two or more increasing amounts above 0 with a value each: {at.tolist()}")
    ratio = at / at[-1]
    gains = growth(ratio, decay)
    weights = ratio ** (1.0 / memory)
    weights /= weights.sum()
    centred = gains - weights @ gains
    shares = weights * centred / (weights @ centred**2)
    return np.asarray(np.tensordot(shares, of, axes=1))


def likeness(own: ArrayLike, others: ArrayLike, width: float) -> FloatArray:
    """(R,) weights of R runs by how near their recent curve is to this one; their sum is 1.

    exp(-d^2 / 2 width^2) of the root mean square difference d, the smallest d taken off, so that the nearest run always
    counts. `width` infinite weighs all alike.

    Args:
        own: (L,) the curve at the last L checkpoints.
        others: (R, L) the others at the same amounts of training.
        width: in the unit of the curves, above 0.
    """
    square = ((np.asarray(others, dtype=np.float64) - np.asarray(own, dtype=np.float64)) ** 2).mean(axis=1)
    weights = np.exp(-(square - square.min()) / (2.0 * width**2))
    return np.asarray(weights / weights.sum())


def line_ahead(x: ArrayLike, y: ArrayLike, at: float) -> FloatArray:
    """The least-squares line in log x, read at `at`: the usual forecast to be beaten.

    Args:
        x: (S,) above 0, at least two different.
        y: (S, ...) one or more curves.
        at: above 0.
    """
    logs, of = np.log(np.asarray(x, dtype=np.float64)), np.asarray(y, dtype=np.float64)
    centred = logs - logs.mean()
    slope = np.tensordot(centred / (centred @ centred), of, axes=1)
    return np.asarray(of.mean(axis=0) + slope * (np.log(at) - logs.mean()))

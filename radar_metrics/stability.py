"""How many questions are enough: curves over checkpoints from random subsets of the questions.

The RADAR paper (arXiv 2602.12892) shows by eye that curves of fewer than 100 questions cross, 100 to 400 fluctuate and
about 2,000 are stable; here the same subsets get numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.signal import order_agreement


@dataclass(frozen=True)
class SubsetCurves:
    """Curves of one subset size.

    Attributes:
        size: questions in a subset.
        curves: (R, S) a curve for each of R random subsets.
        spread: standard deviation over subsets, mean over checkpoints, in the unit of the metric.
        agreement: mean over subsets of Kendall's tau-a between the subset's order of the checkpoints and that of all
            questions, in [-1, 1].
    """

    size: int
    curves: FloatArray
    spread: float
    agreement: float


def subset_curves(
    scores: ArrayLike, sizes: Sequence[int], rng: np.random.Generator, n_subsets: int = 100
) -> list[SubsetCurves]:
    """Curves from random subsets of the questions, drawn without replacement, for each size.

    The subsets of different sizes are nested (the first `size` of one shuffle), so that sizes are compared on the same
    luck. Near the full size subsets overlap and the spread goes to 0 by construction.

    Args:
        scores: (S, N) per-question numbers of S >= 2 checkpoints.
        sizes: subset sizes, each between 1 and N.
        rng: source of the shuffles.
        n_subsets: R >= 2 shuffles.
    """
    table = np.asarray(scores, dtype=np.float64)
    if table.ndim != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise MetricError(f"scores of shape {table.shape}: finite (checkpoints, questions), at least two checkpoints")
    n = table.shape[1]
    if n_subsets < 2 or not sizes or min(sizes) < 1 or max(sizes) > n:
        raise MetricError(
            f"sizes {list(sizes)} with {n} questions and {n_subsets} subsets: sizes 1 to {n}, two subsets"
        )
    curves = np.empty((len(sizes), n_subsets, len(table)))
    # Place of each question in each shuffle: a subset of a size holds the questions with a place below it, and the sums
    # of all subsets of that size are one product of matrices.
    places = np.stack([np.argsort(rng.permutation(n)) for _ in range(n_subsets)])
    for k, size in enumerate(sizes):
        curves[k] = (places < size).astype(np.float64) @ table.T / size
    whole = table.mean(axis=1)
    return [_summary(size, of_size, whole) for size, of_size in zip(sizes, curves, strict=True)]


def enough_questions(subsets: Sequence[SubsetCurves], agreement: float = 0.9) -> int | None:
    """Smallest size from which on the mean order agreement is at least `agreement`; None when the largest is below it.

    The agreement is with the order of all questions: where that itself is a toss-up, no subset will agree.
    """
    enough = None
    for subset in sorted(subsets, key=lambda s: -s.size):
        if subset.agreement < agreement:
            break
        enough = subset.size
    return enough


def _summary(size: int, curves: FloatArray, whole: FloatArray) -> SubsetCurves:
    agreement = float(np.mean([order_agreement(curve, whole) for curve in curves]))
    return SubsetCurves(size, curves, float(curves.std(axis=0, ddof=1).mean()), agreement)

"""Which of many "the standing-out option is the answer" are more than luck: the other options are the decoys.

Say a cue (the longest option, the one that a model prefers without the picture) points at one option of each question,
with some strength. If the cue knows nothing of the answer, it points at it in 1 of M_i questions, however strong it is.
So those where it points elsewhere say how many of the others are luck. Among the questions of strength s or more, with
H where it points at the answer (hits) and D where it does not, the share of luck among the hits is at most about

    (c + sum over D of 1 / (M_i - 1)) / H,    c = the largest 1 / (M_i - 1) of these questions,

and taking the smallest s at which this stays below a level keeps the expected share of luck among what is named below
it: knockoff+ (Barber and Candes 2015, arXiv 1404.5609) for two options, its form for several decoys (Emery et al.,
"Multiple competition-based FDR control", arXiv 1907.01458) for more. No number of the cue needs to be calibrated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.ragged import BoolArray, FloatArray

STRICT = 0.05
"""Share of luck that is allowed among what is named of all questions."""
AMONG_OUTLIERS = 0.2
"""The same among the few of which the cue is far stronger than of the rest: that there are such is itself unlikely."""
FEWEST = 3
"""Fewer hits than that are never named."""


def more_than_luck(strength: ArrayLike, hits: ArrayLike, options: ArrayLike) -> BoolArray:
    """(N,) the questions whose answer the cue gives away.

    Named are hits by the rule above at level `STRICT` over all questions, or at `AMONG_OUTLIERS` over those whose
    strength lies beyond the upper quartile by more than 1.5 times the distance of the quartiles (Tukey's fence).

    Args:
        strength: (N,) how clearly the cue points at one option; 0 or less where it points at none.
        hits: (N,) whether that option is the answer.
        options: (N,) number of options.

    Raises:
        MetricError: lengths differ, or a question has fewer than two options.
    """
    strong, hit, counts = np.asarray(strength, dtype=np.float64), np.asarray(hits, dtype=bool), np.asarray(options)
    if not len(strong) == len(hit) == len(counts):
        raise MetricError(f"{len(strong)} strengths, {len(hit)} hits and {len(counts)} numbers of options")
    if len(counts) and counts.min() < 2:
        raise MetricError("a question has fewer than two options")
    points = strong > 0
    named = _above(strong, hit, counts, points, STRICT)
    if points.any():
        low, high = np.quantile(np.where(points, strong, 0.0), [0.25, 0.75])
        named |= _above(strong, hit, counts, points & (strong > high + 1.5 * (high - low)), AMONG_OUTLIERS)
    return named


def _above(strong: FloatArray, hit: BoolArray, counts: np.ndarray, of: BoolArray, level: float) -> BoolArray:
    """Hits at or above the smallest strength at which luck stays below the level, among some of the questions."""
    named = np.zeros(len(strong), dtype=bool)
    if not of.any():
        return named
    luck = 1.0 / (counts - 1)
    places = np.flatnonzero(of)
    places = places[np.argsort(-strong[places], kind="stable")]
    found = np.cumsum(hit[places])
    decoys = np.cumsum(np.where(hit[places], 0.0, luck[places]))
    share = (np.maximum.accumulate(luck[places]) + decoys) / np.maximum(found, 1)
    # Equal strengths stand or fall together.
    last = np.append(np.diff(strong[places]) < 0, True)
    good = np.flatnonzero(last & (share <= level) & (found >= FEWEST))
    if len(good):
        kept = places[: good[-1] + 1]
        named[kept[hit[kept]]] = True
    return named

"""The laws by one of which a forecast is made. Which one it is, trials decide, see `trials`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from radar_metrics.forecast import ANSWER, SPREAD, WRONG, growth, likeness, present_slope
from radar_metrics.options import FloatArray
from radar_tasks.analysis.forecast.margin_tracks import MarginTrack


@dataclass(frozen=True)
class Law:
    """How the means of a source are continued in training.

    Attributes:
        decay, memory: of the run's own law, see `radar_metrics.forecast.present_slope`.
        others: share of the growth that is taken from other runs, in [0, 1].
        width: how alike another run must be, nats of the margin, see `radar_metrics.forecast.likeness`.
    """

    decay: float
    memory: float
    others: float
    width: float


_OWN = tuple(product((-1.0, -0.5, 0.0, 0.5, 1.0, 2.0), (0.2, 0.4)))
_WIDTHS = (0.3, 1.0, np.inf)
LAWS = (
    *(Law(*own, 0.0, np.inf) for own in _OWN),
    *(Law(*_OWN[0], 1.0, width) for width in _WIDTHS),
    *(Law(*own, 0.5, width) for own, width in product(_OWN, _WIDTHS)),
)
"""A decay of -1 goes on in a line over steps, 0 in a line over their logarithm, above that the law saturates."""

SIZE_DECAYS = (-1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 2.0)
"""Of the law in the size of the model."""

RECENT = 3
"""Checkpoints by which runs are alike or not."""


def means_ahead(track: MarginTrack, at: float, others: Sequence[MarginTrack]) -> FloatArray:
    """(K, 3) means at a later step by each of `LAWS`; NaN for those that need other runs where there are none.

    Args:
        track: as far as it is known; two or more checkpoints after step 0.
        at: a step after its last one.
        others: the same source in runs that go on to `at`.
    """
    after = track.steps > 0
    steps, means = track.steps[after], track.means[after]
    own = {law: present_slope(steps, means, *law) * growth(at / steps[-1], law[0]) for law in _OWN}
    theirs = dict.fromkeys(_WIDTHS, np.full(3, np.nan))
    if others:
        recent = steps[-RECENT:]
        gains = np.array([np.diff(other.means_at(np.array([steps[-1], at])), axis=0)[0] for other in others])
        curves = np.array([_margin(other.means_at(recent)) for other in others])
        theirs = {width: likeness(_margin(means[-RECENT:]), curves, width) @ gains for width in _WIDTHS}
    gains_by_law = [
        own[law.decay, law.memory]
        if law.others == 0
        else law.others * theirs[law.width] + (1.0 - law.others) * own[law.decay, law.memory]
        for law in LAWS
    ]
    return possible(means[-1] + np.array(gains_by_law))


def gains_of_size(sizes: FloatArray, means: FloatArray, at: float) -> FloatArray:
    """(K, 3) what the means gain from the largest of these sizes to another, by each of `SIZE_DECAYS`.

    Args:
        sizes: (M,) increasing, M >= 2.
        means: (M, 3) of a source at one step.
        at: the other size.
    """
    return np.array(
        [present_slope(sizes, means, decay, np.inf) * growth(at / sizes[-1], decay) for decay in SIZE_DECAYS]
    )


def possible(means: FloatArray) -> FloatArray:
    """(..., 3) means kept where they can be: a log-probability is not above 0, a standard deviation not below."""
    kept = means.copy()
    kept[..., ANSWER] = np.minimum(kept[..., ANSWER], 0.0)
    kept[..., SPREAD] = np.maximum(kept[..., SPREAD], 0.0)
    return kept


def _margin(means: FloatArray) -> FloatArray:
    return np.asarray(means[..., ANSWER] - means[..., WRONG])

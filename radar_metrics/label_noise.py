"""Which keys are likely wrong: calibrated scores of a model against labels of which a part is not the truth.

Let q_i(j) be a calibrated probability that option j of question i is right, a_i the key, M_i the number of options, and
let a share e of the keys be wrong, each of them any other option alike. The key that stands in the data has probability

    p(a_i) = (1 - e) q_i(a_i) + e (1 - q_i(a_i)) / (M_i - 1)

and is wrong with probability e (1 - q_i(a_i)) / (M_i - 1) / p(a_i). It is the noisy-label model of Mnih and Hinton
(2012, "Learning to Label Aerial Images from Noisy Data") with uniform noise; q comes from scores by a temperature (Guo
et al., arXiv 1706.04599), and both it and e are fitted to the keys by maximum likelihood. A model that is confidently
wrong now and then gets a flat temperature, and then nothing is named; one that is right wherever it is sure, but for a
few keys, gets a sharp one. "Confident learning" (Northcutt et al., arXiv 1911.00068) counts the same disagreements by
thresholds.

Arguments and errors as in `radar_metrics.discrimination`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar

from radar_metrics.errors import MetricError
from radar_metrics.options import check_options
from radar_metrics.ragged import FloatArray, Names, Ragged, Scores

NOISE = 0.05
"""Share of wrong keys that is allowed for while one checkpoint's temperature is found."""
SHARES = (0.0005, 0.002, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2)
"""Shares of wrong keys that are tried."""
SOUND_KEYS = 10.0
"""The prior of the share is as if so many keys had been looked at and found sound: it keeps small sources from naming
their errors."""
_LOG_SHARPNESS = np.linspace(-4.0, 4.0, 33)
"""Tried for scores of standard deviation 1. It has an end, or a checkpoint that is always right would be infinitely
sure."""
_PARAMETERS = 2.0
"""Nats of log-likelihood that a source's fit must gain before it counts as more than what a free parameter gives."""


@dataclass(frozen=True)
class KeyDoubt:
    """How much each key is to be doubted.

    Attributes:
        share: the fitted share of wrong keys, in [0, 1].
        wrong: (N,) probability that the key is wrong.
        options: calibrated probability of each option, of which the key was not a part.
    """

    share: float
    wrong: FloatArray
    options: Ragged


def pooled_scores(scores: Sequence[Scores], answers: ArrayLike, q_ids: Names | None = None) -> Ragged | None:
    """The scores of several checkpoints as one: sum_r g_r t_r s_r / sum_r g_r; None where none of them knows anything.

    s_r are a checkpoint's scores less their mean over a question, t_r the sharpness (inverse temperature) that makes
    them fit the keys best, and g_r >= 0 the log-likelihood a question that it then gains on chance, nats: a
    checkpoint that knows nothing has no say, however sure it is.

    Args:
        scores: of each checkpoint on the same questions.
        answers: (N,) the keys.
        q_ids: (N,) names for error messages.

    Raises:
        MetricError: no checkpoint, or scores of other options.
    """
    if not scores:
        raise MetricError("no scores to pool")
    total: FloatArray | None = None
    weight = 0.0
    offsets = None
    for of_one in scores:
        checked = check_options(of_one, answers, q_ids)
        ragged = checked.scores.centred()
        if offsets is not None and not np.array_equal(offsets, ragged.offsets):
            raise MetricError("scores to pool are not of the same options")
        offsets = ragged.offsets
        sharpness, gain = _sharpness(ragged, checked.answers, NOISE)
        gain = max(gain - _PARAMETERS / len(ragged), 0.0)
        if gain > 0.0:
            added = gain * sharpness * ragged.values
            total = added if total is None else total + added
            weight += gain
    return None if total is None or offsets is None else Ragged(total / weight, offsets)


def key_doubt(scores: Scores, answers: ArrayLike, q_ids: Names | None = None) -> KeyDoubt:
    """Fits temperature and share of wrong keys, and gives each key's probability of being wrong.

    The share is the most probable one of `SHARES` under a prior (1 - e)^SOUND_KEYS.
    """
    checked = check_options(scores, answers, q_ids)
    ragged, counts = checked.scores, checked.scores.counts
    fits = []
    for tried in SHARES:
        sharpness, gain = _sharpness(ragged, checked.answers, tried)
        likelihood = gain * len(ragged) + float(_log_key(1.0 / counts, tried, counts).sum())
        fits.append((likelihood + SOUND_KEYS * float(np.log1p(-tried)), tried, sharpness))
    _, share, sharpness = max(fits)
    options = ragged.with_values(ragged.values * sharpness).softmax()
    q = options.at(checked.answers)
    swapped = share * (1.0 - q) / (counts - 1)
    return KeyDoubt(share, np.asarray(swapped / ((1.0 - share) * q + swapped)), options)


def _sharpness(scores: Ragged, answers: np.ndarray, share: float) -> tuple[float, float]:
    """The inverse temperature of the greatest likelihood, and nats per question that it gains on chance."""
    counts = scores.counts
    scale = float(np.std(scores.values))
    if scale == 0.0:
        return 0.0, 0.0  # all options alike
    scores = scores.with_values(scores.values / scale)

    def loss(log_sharpness: float) -> float:
        q = scores.with_values(scores.values * np.exp(log_sharpness)).softmax().at(answers)
        return -float(_log_key(q, share, counts).sum())

    start = float(min(_LOG_SHARPNESS, key=loss))
    found = minimize_scalar(loss, bounds=(start - 0.3, start + 0.3), method="bounded", options={"xatol": 1e-3})
    level = -float(_log_key(1.0 / counts, share, counts).sum())
    return float(np.exp(found.x)) / scale, (level - float(found.fun)) / len(scores)


def _log_key(q: FloatArray, share: float, counts: np.ndarray) -> FloatArray:
    """(N,) log-probability of the keys that stand in the data."""
    return np.asarray(np.log(np.maximum((1.0 - share) * q + share * (1.0 - q) / (counts - 1), 1e-300)))

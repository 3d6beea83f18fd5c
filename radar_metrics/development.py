"""Development over checkpoints: when an ability emerges, how fast it grows, when it stops, what holds it back.

The functions take a `radar_metrics.curves.Curve`, one metric at S checkpoints with bootstrap replicates in which all
checkpoints see the same resampled questions: what they share cancels in differences between steps. Every statement
about several steps is corrected for looking at several by the largest standardised deviation over them (max-t bands,
Montiel Olea and Plagborg-Moller, 2019). The replicates know the luck of the questions, not that of the training run:
another seed of the same training can differ by more.

Higher is better throughout; negate a loss. "Never" is None, by the rule each function states; an input from which
nothing can be said raises MetricError.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from radar_metrics.curves import (
    ROUNDING,
    Band,
    Curve,
    critical_value,
    percentile_interval,
    simultaneous_band,
    standardised,
)
from radar_metrics.discrimination import chance_centred
from radar_metrics.errors import MetricError
from radar_metrics.options import BoolArray, FloatArray
from radar_metrics.uncertainty import Interval, tail_probability


@dataclass(frozen=True)
class Asymmetry:
    """How far perception runs ahead of reasoning.

    Attributes:
        curve: chance-centred perception minus chance-centred reasoning, in [-2, 2] or so, 0 for symmetric growth.
        area: mean of that curve over the steps, with its interval.
        perception_emergence, reasoning_emergence: steps, or None where an ability never emerged.
        lag: reasoning's emergence minus perception's, in steps, or None where either never emerged.
    """

    curve: Curve
    area: Interval
    perception_emergence: float | None
    reasoning_emergence: float | None
    lag: float | None


@dataclass(frozen=True)
class SourceGap:
    """How much one source holds its ability back at the last checkpoint.

    Attributes:
        source: its name.
        centred: chance-centred SDS with its interval.
        share: its part of what the ability's sources together lack to be perfect, in [0, 1] unless one is below chance.
        probability_lowest: how often it is the lowest of the sources in the bootstrap, in [0, 1].
        gain: chance-centred SDS, last checkpoint minus first, with its interval.
        visual_gain: SDS minus that of the blind twin, where known.
    """

    source: str
    centred: Interval
    share: float
    probability_lowest: float
    gain: Interval
    visual_gain: float | None


@dataclass(frozen=True)
class Fall:
    """A fall of a curve from step `start` to the later step `end`: the change, below 0, with its interval."""

    start: float
    end: float
    change: Interval


@dataclass(frozen=True)
class Changes:
    """Changes between all pairs of checkpoints.

    Attributes:
        values, errors: (S, S) change from step i (row) to step j (column) and its standard error.
        largest_gain, largest_fall: (B,) of each replicate the largest standardised deviation, up and down, over all
            pairs of an earlier and a later step; at least 0.
    """

    values: FloatArray
    errors: FloatArray
    largest_gain: FloatArray
    largest_fall: FloatArray


@dataclass(frozen=True)
class Intervention:
    """What a change of training at `parting` did.

    Attributes:
        steps: (S,) the checkpoints after the parting.
        difference: (S,) changed run minus unchanged run.
        band: simultaneous band of the difference.
        onset: first step from which the band excludes 0 up to the end, always on the same side; None if never.
    """

    parting: float
    steps: FloatArray
    difference: FloatArray
    band: Band
    onset: float | None


def emergence(curve: Curve, chance: float, level: float = 0.95) -> float | None:
    """First step from which the metric stays above chance to the end of the curve.

    Above chance means that the one-sided simultaneous lower bound, value - q * SE with q the quantile of
    max_s (replicate - value) / SE, exceeds chance: over all S steps together a metric that stays at chance is said to
    emerge with probability at most 1 - level. None when the last checkpoint is not above chance.
    """
    tail_probability(level)
    return _first_lasting(curve.steps, _above(curve, chance, level))


def changes_of(curve: Curve) -> Changes:
    """Changes between all pairs of two or more checkpoints, with what simultaneous bounds over them need."""
    # A hundred checkpoints have 4,950 pairs: their errors come from the covariances of the replicates in one step, and
    # not from as many columns of differences.
    covariance = np.cov(curve.replicates, rowvar=False)
    variance = np.diag(covariance)
    errors = np.sqrt(np.maximum(variance[:, None] + variance[None, :] - 2.0 * covariance, 0.0))
    values = curve.values[None, :] - curve.values[:, None]
    # A pair without spread beyond rounding, such as two identical checkpoints, deviates by nothing. The square root of
    # a rounding error of the variances is what "rounding" is here.
    scale = 1.0 / np.where(errors > 1e-7 * np.sqrt(variance.max()) + 1e-12, errors, np.inf)
    deviation = np.ascontiguousarray((curve.replicates - curve.values).T)
    up, down = np.zeros(deviation.shape[1]), np.zeros(deviation.shape[1])
    for i in range(len(curve.steps) - 1):
        pairs = (deviation[i + 1 :] - deviation[i]) * scale[i, i + 1 :, None]
        np.maximum(up, pairs.max(axis=0), out=up)
        np.minimum(down, pairs.min(axis=0), out=down)
    return Changes(values, errors, up, -down)


def saturation(curve: Curve, level: float = 0.95, changes: Changes | None = None) -> float | None:
    """First step after which no further gain can be told from noise.

    Gain from step i to a later step j is value_j - value_i. It is told from noise when its one-sided simultaneous lower
    bound over all pairs i < j is above 0. The first step without such a gain to any later one is returned: the first
    step of the curve when it never rises, and None when that is only the last one (still growing). It speaks of what
    these questions can show: more questions may find further gain.
    """
    tail_probability(level)
    if len(curve.steps) < 2:
        raise MetricError("saturation needs at least two checkpoints")
    changes = changes or changes_of(curve)
    told = changes.values - critical_value(changes.largest_gain[:, None], level) * changes.errors > ROUNDING
    for i in range(len(curve.steps) - 1):
        if not told[i, i + 1 :].any():
            return float(curve.steps[i])
    return None


def fall(curve: Curve, chance: float, level: float = 0.95, changes: Changes | None = None) -> Fall | None:
    """Largest fall from one checkpoint to a later one that can be told from noise; None where there is none.

    The change from step i to a later step j is value_j - value_i. It is told from noise when its one-sided simultaneous
    upper bound over all pairs i < j is below 0: the mirror image of the gains of `saturation`. Only steps i above
    chance count, by the bound of `emergence`: what was never there cannot be lost. A fall is found also where the
    curve recovers afterwards.

    Args:
        curve: a metric of which higher is better.
        chance: its value for a model that cannot tell the options apart.
        level: of the bound over all pairs together, and of the interval of the change.
        changes: `changes_of(curve)` where it is at hand, as for `saturation`: it is most of the work.

    Returns:
        None as well for a single checkpoint.
    """
    tail_probability(level)
    if len(curve.steps) < 2:
        return None
    changes = changes or changes_of(curve)
    told = changes.values + critical_value(changes.largest_fall[:, None], level) * changes.errors < -ROUNDING
    told &= np.triu(np.ones_like(told), k=1) & _above(curve, chance, level)[:, None]
    if not told.any():
        return None
    i, j = np.unravel_index(int(np.argmin(np.where(told, changes.values, 0.0))), told.shape)
    replicates = curve.replicates[:, j] - curve.replicates[:, i]
    change = percentile_interval(float(changes.values[i, j]), replicates, level)
    return Fall(float(curve.steps[i]), float(curve.steps[j]), change)


def growth_rate(curve: Curve, start: float, end: float, level: float = 0.95) -> Interval:
    """Least-squares slope of the metric over start <= step <= end, per step, with a percentile interval.

    `emergence` and `saturation` are natural ends. MetricError for fewer than two checkpoints between them.
    """
    part = curve.between(start, end)
    return _slope(part.steps, part, level)


def log_growth_rate(curve: Curve, start: float, end: float, level: float = 0.95) -> Interval:
    """As `growth_rate`, per unit of ln(step): the gain when training is e times as long (ln 2 times that: twice)."""
    part = curve.between(start, end)
    if part.steps[0] <= 0:
        raise MetricError("step 0 has no logarithm: start at a later step")
    return _slope(np.log(part.steps), part, level)


def asymmetry(
    perception: Curve, reasoning: Curve, perception_chance: float, reasoning_chance: float, level: float = 0.95
) -> Asymmetry:
    """Chance-centred perception minus reasoning over the steps, its area, and the lag between their emergence.

        a(t) = (P(t) - c_P) / (1 - c_P) - (R(t) - c_R) / (1 - c_R)
        area = integral of a(t) dt / (t_S - t_1), by trapezoids: the mean lead, whatever the length of training

    Args:
        perception, reasoning: curves over the same steps with as many replicates, of different questions drawn
            independently (one generator, one after the other).
        perception_chance, reasoning_chance: SDS at chance.
        level: of the interval of the area and of both emergences.
    """
    _require_same_steps({"perception": perception, "reasoning": reasoning})
    if len(perception.steps) < 2:
        raise MetricError("asymmetry over steps needs at least two checkpoints")
    p, r = _centred(perception, perception_chance), _centred(reasoning, reasoning_chance)
    lead = Curve(p.steps, p.values - r.values, p.replicates - r.replicates)
    span = float(lead.steps[-1] - lead.steps[0])
    mean_lead = float(_integral(lead.values, lead.steps)) / span
    area = percentile_interval(mean_lead, _integral(lead.replicates, lead.steps) / span, level)
    p_step = emergence(perception, perception_chance, level)
    r_step = emergence(reasoning, reasoning_chance, level)
    lag = None if p_step is None or r_step is None else r_step - p_step
    return Asymmetry(lead, area, p_step, r_step, lag)


def bottleneck(
    sources: Mapping[str, Curve],
    chances: Mapping[str, float],
    visual_gains: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> list[SourceGap]:
    """Which sources hold their ability back at the last checkpoint, the worst first.

    The ability is the unweighted mean of its sources. With d_s = 1 - (SDS_s - c_s) / (1 - c_s), what source s lacks to
    be perfect, its share is d_s / sum_r d_r. Chance-centring makes sources of different numbers of options comparable.

    Args:
        sources: a curve for each source over the same steps, replicates drawn independently.
        chances: SDS at chance of each source.
        visual_gains: what looking added, for the sources with a blind run.
        level: of the intervals.

    Raises:
        MetricError: fewer than two sources, other steps, a chance missing, or all sources perfect.
    """
    if len(sources) < 2 or set(sources) != set(chances):
        raise MetricError(f"at least two sources, each with its chance: {sorted(sources)} and {sorted(chances)}")
    _require_same_steps(sources)
    centred = {name: _centred(curve, chances[name]) for name, curve in sources.items()}
    lack = {name: 1.0 - float(curve.values[-1]) for name, curve in centred.items()}
    total = sum(lack.values())
    if total <= 0:
        raise MetricError("all sources are perfect at the last checkpoint: nothing holds the ability back")
    last = np.stack([curve.replicates[:, -1] for curve in centred.values()])
    # Sources that tie for the lowest place in a replicate share it.
    lowest = last == last.min(axis=0)
    probability = (lowest / lowest.sum(axis=0)).mean(axis=1)
    gaps = [
        SourceGap(
            name,
            percentile_interval(float(curve.values[-1]), curve.replicates[:, -1], level),
            lack[name] / total,
            float(probability[k]),
            percentile_interval(
                float(curve.values[-1] - curve.values[0]), curve.replicates[:, -1] - curve.replicates[:, 0], level
            ),
            (visual_gains or {}).get(name),
        )
        for k, (name, curve) in enumerate(centred.items())
    ]
    return sorted(gaps, key=lambda gap: -gap.share)


def intervention(difference: Curve, parting: float, level: float = 0.95) -> Intervention:
    """Difference of two runs after the step at which they part, with a simultaneous band.

    Args:
        difference: `curves.bootstrap_curve` of the per-question differences (S, N), changed run minus unchanged run,
            at the steps that both have: pairing by question is what makes the band narrow.
        parting: the last step that the runs share; only later checkpoints are judged.
        level: of the band over all of them together.

    Raises:
        MetricError: no checkpoint after the parting.
    """
    later = difference.between(np.nextafter(parting, np.inf), np.inf)
    band = simultaneous_band(later, level)
    onsets = [_first_lasting(later.steps, band.low > 0), _first_lasting(later.steps, band.high < 0)]
    onset = next((step for step in onsets if step is not None), None)
    return Intervention(parting, later.steps, later.values, band, onset)


def _above(curve: Curve, chance: float, level: float) -> BoolArray:
    """(S,) where the one-sided simultaneous lower bound lies above chance."""
    bound = curve.values - critical_value(standardised(curve), level) * curve.standard_errors
    # Accuracy of pairs with opposite answers is one half without any spread where a model says one thing always.
    return bound > chance + ROUNDING


def _first_lasting(steps: FloatArray, holds: BoolArray) -> float | None:
    """First step from which `holds` is true up to the end."""
    broken = np.flatnonzero(~holds)
    first = int(broken[-1]) + 1 if len(broken) else 0
    return float(steps[first]) if first < len(steps) else None


def _slope(x: FloatArray, curve: Curve, level: float) -> Interval:
    if len(x) < 2:
        raise MetricError("a slope needs at least two checkpoints")
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return percentile_interval(float(curve.values @ weights), curve.replicates @ weights, level)


def _centred(curve: Curve, chance: float) -> Curve:
    return Curve(curve.steps, chance_centred(curve.values, chance), chance_centred(curve.replicates, chance))


def _integral(values: FloatArray, steps: FloatArray) -> FloatArray:
    return np.asarray(np.trapezoid(values, steps, axis=-1))


def _require_same_steps(curves: Mapping[str, Curve]) -> None:
    first_name, first = next(iter(curves.items()))
    for name, curve in curves.items():
        if not np.array_equal(curve.steps, first.steps) or len(curve.replicates) != len(first.replicates):
            raise MetricError(f"{first_name!r} and {name!r} have other steps or another number of replicates")

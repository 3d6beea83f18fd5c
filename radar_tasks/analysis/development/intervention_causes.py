"""What lies behind a change of training: whether the prior of the text moved or sight did, and what holds back now.

The split is that of the text prior (`radar_metrics.text_prior`). Where results hold scores without the picture, SDS is
sds_blind + visual_gain; where they do not, but options repeat, it is sds_free (the prior of the options' own texts
taken away: sight) and what that leaves of SDS (the prior). Both parts of a difference add up to the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from radar_metrics.discrimination import chance_centred
from radar_metrics.options import FloatArray
from radar_metrics.run_contrasts import contrast
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.study_curves import RESAMPLES, Study, StudyCurve, ability_curve, source_curve, study_of
from radar_tasks.questions import Ability
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import available

Prior = Literal["without the picture", "of the options' texts"]


@dataclass(frozen=True)
class InterventionSplit:
    """The difference of SDS at the last shared checkpoint, split in two; bands hold all checkpoints after the parting.

    Attributes:
        ability, source: whose it is; `source` is the ability's name for its mean.
        step: the last step that both runs have.
        prior: which prior was taken away.
        whole: changed minus unchanged run.
        text, sight: its two parts.
    """

    ability: Ability
    source: str
    step: float
    prior: Prior
    whole: Interval
    text: Interval
    sight: Interval

    @property
    def of_ability(self) -> bool:
        """Whether it is an ability's mean."""
        return self.source == self.ability


@dataclass(frozen=True)
class BottleneckShift:
    """A source's part in what its ability lacks to be perfect, before the parting and at the end.

    Attributes:
        ability, source: which.
        before: at the last step that the runs share.
        unchanged, changed: at the last checkpoint of both, without and with the change.
        shift: changed minus unchanged, with its 95 % interval.
    """

    ability: Ability
    source: str
    before: float
    unchanged: float
    changed: float
    shift: Interval


def intervention_splits(
    unchanged: TrainingRun, changed: TrainingRun, parting: float, rng: np.random.Generator, resamples: int = RESAMPLES
) -> list[InterventionSplit]:
    """The split of every ability and source for which a prior can be had; none where there is none.

    Raises:
        ResultsError: as `study_of`.
    """
    study = study_of([unchanged, changed])
    later = np.flatnonzero(study.amounts > parting)
    if not len(later):
        return []
    made: list[InterventionSplit] = []
    ways: tuple[tuple[Prior, str, str], ...] = (
        ("without the picture", "sds_blind", "visual_gain"),
        ("of the options' texts", "sds", "sds_free"),
    )
    for prior, first, second in ways:
        curves = {
            source: _both(study, source, (first, second), rng, resamples) for source in _having(study, first, second)
        }
        members = {a: of for a, of in study.members.items() if all(s in curves for s in of)}
        abilities = [ability_curve(ability, [curves[s] for s in of]) for ability, of in members.items()]
        for curve in [*abilities, *curves.values()]:
            if all(curve.name != row.source for row in made):
                made.append(_split(curve, prior, later, float(study.amounts[-1])))
    return made


def bottleneck_shifts(
    unchanged: TrainingRun,
    changed: TrainingRun,
    parting: float,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> list[BottleneckShift]:
    """Of each ability with two or more sources the sources, the worst before the parting first.

    Raises:
        ResultsError: as `study_of`.
    """
    study = study_of([unchanged, changed])
    before = np.flatnonzero(study.amounts <= parting)
    if not len(before) or before[-1] == len(study.amounts) - 1:
        return []
    curves = {curve.name: curve for curve in study.curves(rng, "sds", resamples).sources}
    made = []
    for ability, sources in study.members.items():
        if len(sources) > 1:
            rows = _shifts(ability, [curves[s] for s in sources], int(before[-1]))
            made += sorted(rows, key=lambda row: -row.before)
    return made


def _having(study: Study, *metrics: str) -> Iterator[str]:
    results = [result for run in study.runs for result in run.results]
    for source in study.sources:
        if all(available(result.sources[source], metric) for result in results for metric in metrics):
            yield source


def _both(study: Study, source: str, metrics: tuple[str, str], rng: np.random.Generator, resamples: int) -> StudyCurve:
    """Both metrics of both runs as four rows, so that all see the same resampled questions."""
    scores = [study.scores(source, metric) for metric in metrics]
    return source_curve(replace(scores[0], values=np.concatenate([of.values for of in scores])), "sds", rng, resamples)


def _split(curve: StudyCurve, prior: Prior, later: np.ndarray, step: float) -> InterventionSplit:
    # Rows: the first metric of the unchanged and the changed run, then the second metric of both.
    first, second = np.array([-1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, -1.0, 1.0])
    whole, text = (first + second, first) if prior == "without the picture" else (first, first - second)

    def at_the_end(weights: FloatArray) -> Interval:
        made = contrast(weights, curve.values[:, later], curve.replicates[:, :, later], None)
        band = made.band()
        return Interval(float(made.values[-1]), float(band.low[-1]), float(band.high[-1]))

    return InterventionSplit(
        curve.ability, curve.name, step, prior, at_the_end(whole), at_the_end(text), at_the_end(second)
    )


def _shifts(ability: Ability, curves: Sequence[StudyCurve], before: int) -> Iterator[BottleneckShift]:
    def shares(tables: Sequence[FloatArray]) -> FloatArray:
        lack = 1.0 - np.stack([chance_centred(t, c.chance or 0.0) for t, c in zip(tables, curves, strict=True)])
        return np.asarray(lack / lack.sum(axis=0))

    values = shares([curve.values for curve in curves])  # (sources, 2, S)
    replicates = shares([curve.replicates for curve in curves])  # (sources, B, 2, S)
    for k, curve in enumerate(curves):
        difference = contrast([-1.0, 1.0], values[k][:, -1:], replicates[k][:, :, -1:], None).interval(0)
        without, with_change = map(float, values[k, :, -1])
        yield BottleneckShift(ability, curve.name, float(values[k, 0, before]), without, with_change, difference)

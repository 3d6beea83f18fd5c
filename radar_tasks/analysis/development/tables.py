"""All tables of some training runs at once: what `radar analyze` prints and writes, and what the page and charts show.

What the words mean (emergence, saturation, asymmetry, bottleneck, ...) is defined with formulas in
`radar_metrics.development`, `.signal`, `.scaling` and `.stability`. None in a row is a "never" by the rule of its
definition, or a number that so few checkpoints cannot give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from radar_tasks.analysis.compare_trainings import TrainingComparison, TrainingSide, each_against_first
from radar_tasks.analysis.decisions import DecisionStudy, decisions
from radar_tasks.analysis.development.asymmetry import Lead, LeadPoint, asymmetry_of, lead_of, lead_points
from radar_tasks.analysis.development.bottleneck import Bottleneck, bottlenecks
from radar_tasks.analysis.development.curve_points import CurvePoint, curve_points
from radar_tasks.analysis.development.curves import TrainingCurves
from radar_tasks.analysis.development.factor_effects import FactorEffect, FactorLevel, factor_effects
from radar_tasks.analysis.development.growth import Growth, growth_of
from radar_tasks.analysis.development.intervention import InterventionEffect, InterventionPoint, interventions
from radar_tasks.analysis.development.intervention_causes import (
    BottleneckShift,
    InterventionSplit,
    bottleneck_shifts,
    intervention_splits,
)
from radar_tasks.analysis.development.onsets import (
    OnsetDetection,
    OnsetQuality,
    emerging_metrics,
    onset_detections,
    onset_qualities,
)
from radar_tasks.analysis.development.prior_split import FallCause, PriorSplitPoint, fall_causes, prior_split
from radar_tasks.analysis.development.scaling import ScalingLine, ScalingPoint, SlopeComparison, scaling_of
from radar_tasks.analysis.development.stability import (
    SubsetAgreement,
    SubsetPoint,
    subset_agreements,
    subset_points,
    subsets_of,
)
from radar_tasks.analysis.leaderboard import AbilityAverage, ability_averages, last_of_each
from radar_tasks.analysis.metric_quality import MetricQuality, quality_of_curve
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.run_factors import Configuration, configurations
from radar_tasks.errors import ResultsError
from radar_tasks.results import CheckpointResult, TrainingRun
from radar_tasks.results.metrics import available_everywhere

COMPARED_METRICS = ("sds", "sds_logit", "acc", "acc_logit", "margin", "brier", "nll")
DECIDING_METRICS = ("sds", "sds_pmi", "acc", "margin", "nll")
"""A kind each: discrimination, the same without the text's prior, what a user sees, and two that see less and more."""
_DECIDED_BETWEEN = 3
"""Configurations: of two there is one pair, and a share of one pair says nothing."""
FEW_RUNS = 3
"""Training runs that are told one by one; of more, what they say together comes first."""


@dataclass(frozen=True)
class Development:
    """All tables of some training runs. A table that so few checkpoints or runs cannot give is empty.

    Attributes:
        metric: what the curves show.
        configurations: which training runs differ in their seed alone, as the descriptions say.
        abilities, sources: points of the curves.
        growth: abilities first, then sources, of each training run.
        prior: what the text alone gives and what the picture adds, at each checkpoint; needs results with `prior=…`.
        falls: why SDS fell on the way, where that can be told.
        asymmetry, asymmetry_summary: the lead at each checkpoint, and of each training run.
        bottleneck: sources at the last checkpoint, the worst first.
        comparisons: each further configuration against the first, at the steps that their runs share.
        decisions: how early metrics order the configurations as the end does; None with fewer than three.
        metrics: how well each metric tells the checkpoints of a training run apart, by ability.
        stability, stability_summary: random subsets of the questions, as curves and by size.
        scaling, scaling_lines, scaling_tests: against amounts that describe the runs.
        factor_levels, factor_effects: perception's lead at each level of what differs between runs, and whether it
            depends on it.
        intervention, intervention_summary: what a change of training did.
        intervention_splits: its last difference, split in the text's prior and sight.
        onsets, onset_summary: what each metric says of sources with a known onset, one by one and together.
        bottleneck_shifts: what held an ability back before the change, and does at the end with it and without.
        leaderboard: averages by raw logits, of last checkpoints beside the published models.
        notes: what was left out and why.
    """

    metric: str
    configurations: list[Configuration] = field(default_factory=list)
    abilities: list[CurvePoint] = field(default_factory=list)
    sources: list[CurvePoint] = field(default_factory=list)
    growth: list[Growth] = field(default_factory=list)
    prior: list[PriorSplitPoint] = field(default_factory=list)
    falls: list[FallCause] = field(default_factory=list)
    asymmetry: list[LeadPoint] = field(default_factory=list)
    asymmetry_summary: list[Lead] = field(default_factory=list)
    bottleneck: list[Bottleneck] = field(default_factory=list)
    comparisons: list[TrainingComparison] = field(default_factory=list)
    decisions: DecisionStudy | None = None
    metrics: list[MetricQuality] = field(default_factory=list)
    stability: list[SubsetPoint] = field(default_factory=list)
    stability_summary: list[SubsetAgreement] = field(default_factory=list)
    scaling: list[ScalingPoint] = field(default_factory=list)
    scaling_lines: list[ScalingLine] = field(default_factory=list)
    scaling_tests: list[SlopeComparison] = field(default_factory=list)
    factor_levels: list[FactorLevel] = field(default_factory=list)
    factor_effects: list[FactorEffect] = field(default_factory=list)
    intervention: list[InterventionPoint] = field(default_factory=list)
    intervention_summary: list[InterventionEffect] = field(default_factory=list)
    intervention_splits: list[InterventionSplit] = field(default_factory=list)
    bottleneck_shifts: list[BottleneckShift] = field(default_factory=list)
    onsets: list[OnsetDetection] = field(default_factory=list)
    onset_summary: list[OnsetQuality] = field(default_factory=list)
    leaderboard: list[AbilityAverage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @cached_property
    def has_many_runs(self) -> bool:
        """Whether there are more training runs than are told one by one."""
        return len({point.run for point in self.abilities}) > FEW_RUNS


def development(
    trainings: Sequence[TrainingCurves],
    runs: Sequence[CheckpointResult],
    rng: np.random.Generator,
    *,
    descriptions: Sequence[RunDescription] = (),
    parting: int | None = None,
    onsets: Mapping[str, Mapping[str, float | None]] | None = None,
    notes: Sequence[str] = (),
) -> Development:
    """Every table that these training runs allow.

    Args:
        trainings: from `training_curves`, perhaps none.
        runs: all results, those without a step as well.
        rng: source of the resamples and subsets.
        descriptions: amounts of the runs, for scaling.
        parting: the last step that two training runs share: the second is the changed run.
        onsets: by training run and source the step until which nothing taught it, None where nothing ever did.
        notes: further notes to carry along.

    Raises:
        ResultsError: a parting step without two training runs, or no checkpoint after it.
    """
    leads = {training.name: lead for training in trainings if (lead := asymmetry_of(training)) is not None}
    subsets = [(t, ability, subsets_of(t, ability, rng)) for t in trainings for ability in t.abilities]
    scaling = scaling_of(trainings, descriptions)
    changes = interventions(trainings, parting, rng) if parting is not None else ([], [])
    configured = configurations(_runs(trainings), descriptions)
    compared, not_compared = _against_first(trainings, configured, rng)
    decided, not_decided = _decisions(trainings, descriptions, rng)
    levels, effects, no_effects = _factors(trainings, descriptions, rng)
    splits, shifts = _causes(trainings, parting, rng)
    detections = _detections(trainings, onsets or {})
    alone = [training.name for training in trainings if len(training.steps) == 1]
    metric = trainings[0].metric if trainings else "sds"
    growth = [row for t in trainings for row in growth_of(t)]
    of_sds = metric == "sds" and bool(trainings)  # the split and the causes are about SDS
    return Development(
        metric=metric,
        configurations=configured,
        abilities=[point for t in trainings for point in curve_points(t, t.abilities.values())],
        sources=[point for t in trainings for point in curve_points(t, t.sources.values())],
        growth=growth,
        prior=prior_split(runs, rng) if of_sds else [],
        falls=fall_causes(growth, runs, rng) if of_sds else [],
        asymmetry=[point for name, lead in leads.items() for point in lead_points(name, lead)],
        asymmetry_summary=[lead_of(name, lead) for name, lead in leads.items()],
        bottleneck=[row for t in trainings for row in bottlenecks(t)],
        comparisons=compared,
        decisions=decided,
        metrics=[row for t in trainings for row in _metrics(t)],
        stability=[point for t, ability, of in subsets for point in subset_points(t, ability, of)],
        stability_summary=[row for t, ability, of in subsets for row in subset_agreements(t.name, ability, of)],
        scaling=scaling.points,
        scaling_lines=scaling.lines,
        scaling_tests=scaling.tests,
        factor_levels=levels,
        factor_effects=effects,
        intervention=changes[0],
        intervention_summary=changes[1],
        intervention_splits=splits,
        bottleneck_shifts=shifts,
        onsets=detections,
        onset_summary=onset_qualities(detections),
        leaderboard=ability_averages(last_of_each(runs)),
        notes=[
            *notes,
            *(note for training in trainings for note in training.notes),
            *(f"{name}: one checkpoint only, nothing can be said about its development." for name in alone),
            *scaling.notes,
            *not_compared,
            *not_decided,
            *no_effects,
        ],
    )


def _against_first(
    trainings: Sequence[TrainingCurves], configured: Sequence[Configuration], rng: np.random.Generator
) -> tuple[list[TrainingComparison], list[str]]:
    if not trainings:
        return [], []
    named = {run.name: run for run in _runs(trainings)}
    sides = [TrainingSide(of.name, tuple(named[run] for run in of.runs)) for of in configured]
    return each_against_first(sides, rng, trainings[0].metric, _resamples(trainings))


def _decisions(
    trainings: Sequence[TrainingCurves], descriptions: Sequence[RunDescription], rng: np.random.Generator
) -> tuple[DecisionStudy | None, list[str]]:
    """Of the runs with all the checkpoints of the first: with the others too few steps would be left to decide at."""
    steps = set(trainings[0].steps) if trainings else set()
    whole = [run for run in _runs(trainings) if steps <= {result.step or 0 for result in run.results}]
    if len(configurations(whole, descriptions)) < _DECIDED_BETWEEN:
        return None, []
    try:
        made = decisions(whole, rng, descriptions=descriptions, metrics=_held(whole))
    except ResultsError as problem:
        return None, [f"no decisions between runs: {problem}"]
    missing = [training.name for training in trainings if training.name not in {run.name for run in whole}]
    other = [f"decisions are without {', '.join(missing)}: other checkpoints than {trainings[0].name}"]
    return made, (other if missing else []) + list(made.notes)


def _held(runs: Sequence[TrainingRun]) -> list[str]:
    """The deciding metrics whose scores all runs hold."""
    return available_everywhere(
        DECIDING_METRICS, (result.sources[source] for run in runs for result in run.results for source in run.sources)
    )


def _factors(
    trainings: Sequence[TrainingCurves], descriptions: Sequence[RunDescription], rng: np.random.Generator
) -> tuple[list[FactorLevel], list[FactorEffect], list[str]]:
    if not trainings:
        return [], [], []
    return factor_effects(_runs(trainings), descriptions, rng, trainings[0].metric, _resamples(trainings))


def _causes(
    trainings: Sequence[TrainingCurves], parting: int | None, rng: np.random.Generator
) -> tuple[list[InterventionSplit], list[BottleneckShift]]:
    """Of two trainings that part, as `interventions` has made sure; both are about SDS."""
    if parting is None or trainings[0].metric != "sds":
        return [], []
    unchanged, changed = _runs(trainings)
    resamples = _resamples(trainings)
    return (
        intervention_splits(unchanged, changed, parting, rng, resamples),
        bottleneck_shifts(unchanged, changed, parting, rng, resamples),
    )


def _detections(
    trainings: Sequence[TrainingCurves], onsets: Mapping[str, Mapping[str, float | None]]
) -> list[OnsetDetection]:
    """With resamples of their own, so that a file of onsets changes no other number."""
    runs = [run for run in _runs(trainings) if run.name in onsets]
    return onset_detections(runs, onsets, emerging_metrics(runs), np.random.default_rng(0))


def _runs(trainings: Sequence[TrainingCurves]) -> list[TrainingRun]:
    return [TrainingRun(training.name, training.results, tuple(training.sources)) for training in trainings]


def _resamples(trainings: Sequence[TrainingCurves]) -> int:
    return len(next(iter(trainings[0].sources.values())).curve.replicates)


def _metrics(training: TrainingCurves) -> list[MetricQuality]:
    """Each metric on each ability; needs three or more checkpoints, or there is no noise between neighbours."""
    if len(training.steps) < 3:
        return []
    return [
        quality_of_curve(metric, ability, training.steps, values, run=training.name)
        for ability in training.abilities
        for metric in COMPARED_METRICS
        if (values := training.values(ability, metric)) is not None
    ]

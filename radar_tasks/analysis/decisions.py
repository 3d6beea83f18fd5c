"""How early, and on how few questions, a metric decides between configurations as the end of training does.

A configuration is what a user chooses between (a data mix, a size): one training run, or several seeds of it. Every
metric on every source and ability is asked at every step that all runs have, on all questions and on random parts of
them. What it is held against is the end: of the metric itself, of accuracy, or a column from outside such as accuracy
after fine-tuning. Definitions: `radar_metrics.decisions`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from radar_metrics.decisions import Target, decision_accuracies, signal_to_seed_noise, target_of
from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.signal import signal_to_noise
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.metric_quality import LAST_CHECKPOINTS, SIZES
from radar_tasks.analysis.outside_column import Outside
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.run_factors import configurations_of
from radar_tasks.analysis.study_curves import Study, StudyCurve, StudyScores, ability_curve, source_curve, study_of
from radar_tasks.analysis.training_amount import IN_STEPS, TrainingAmount
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import METRICS, available, question_weights, require_mean_over_questions

ITSELF = "its own end"
"""The target that every metric has: its own value at the last matched step."""

ACCURACY = "acc at the end"
"""What a user sees of a model in the end."""

DEFAULT_METRICS = ("sds", "sds_free", "sds_pmi", "acc", "margin", "brier", "nll")
_RESAMPLES = 1_000
_PARTS = 50
"""Random parts of the questions of one size."""


@dataclass(frozen=True)
class DecisionAccuracy:
    """One metric at one step on so many questions.

    Attributes:
        at: steps, or another amount of training.
        questions: how many; the number there is, or a part of them drawn at random (the mean over draws).
        accuracy: share of the pairs that are told apart at the end which it orders as the end does, with its 95 %
            interval over runs; a half is what guessing gives.
    """

    at: float
    questions: int
    accuracy: Interval


@dataclass(frozen=True)
class Decisions:
    """One metric on one source or ability against one target.

    Attributes:
        metric: a name of `METRICS`.
        name, ability: the source, or the ability for its mean.
        target: `its own end`, `acc at the end`, or the column from outside.
        pairs, not_told: pairs of configurations that the target tells apart, which are asked, and that it does not.
        signal_to_noise: between runs by their last checkpoints, as Signal and Noise defines it.
        signal_to_seed_noise: range between configurations at the end in standard deviations between seeds.
        by_step: on all questions.
        by_questions: at the step asked for, fewest questions first.
    """

    metric: str
    name: str
    ability: Ability
    target: str
    pairs: int
    not_told: int
    signal_to_noise: float | None
    signal_to_seed_noise: float | None
    by_step: tuple[DecisionAccuracy, ...]
    by_questions: tuple[DecisionAccuracy, ...]

    @property
    def of_ability(self) -> bool:
        """Whether it is an ability's mean."""
        return self.name == self.ability


@dataclass(frozen=True)
class DecisionStudy:
    """How early configurations are told apart as at the end.

    Attributes:
        configurations: what is decided between, with the names of their runs.
        measured_by: `step`, or what `amounts` are of.
        amounts: those that all runs have; the last is the end.
        at: the one that parts of the questions are tried at.
        rows: by target, metric, and source or ability.
        notes: what else must be known.
    """

    configurations: Mapping[str, tuple[str, ...]]
    measured_by: str
    amounts: tuple[float, ...]
    at: float
    rows: tuple[Decisions, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Measured:
    """One metric on one source or ability in all runs, negated where lower is better.

    Attributes:
        metric: a name of `METRICS`.
        curve: at all matched amounts.
        asked: the position of the one that parts of the questions are tried at.
        parts: by number of questions (M, R), the means of M random parts of that size there.
    """

    metric: str
    curve: StudyCurve
    asked: int
    parts: Mapping[int, FloatArray]

    @property
    def end(self) -> FloatArray:
        """(R,) at the last matched amount."""
        return self.curve.values[:, -1]

    def order_at_the_end(self, configurations: Sequence[str]) -> Target:
        """Which configurations the last matched amount tells apart."""
        return target_of(self.end, configurations, self.curve.replicates[:, :, -1])


def decisions(
    runs: Sequence[TrainingRun],
    rng: np.random.Generator,
    *,
    descriptions: Sequence[RunDescription] = (),
    metrics: Sequence[str] = (),
    outside: Outside | None = None,
    amount: TrainingAmount = IN_STEPS,
    at: float | None = None,
) -> DecisionStudy:
    """Asks every metric on everything that all runs have.

    Args:
        runs: training runs of two or more configurations.
        rng: source of resamples and of parts of the questions.
        descriptions: which runs are seeds of one configuration, by `factor` and `level`; without them each run is one.
        metrics: means over questions; `DEFAULT_METRICS` as far as the runs hold their scores, without them.
        outside: columns to decide as, such as accuracy after fine-tuning; of each run the number of its last checkpoint
            that has one.
        amount: what training is measured by.
        at: where parts of the questions are tried; about half-way without it.

    Raises:
        ResultsError: one configuration only, an unknown metric or one without values of single questions, no such step,
            or as `study_of`.
    """
    configurations = configurations_of(runs, descriptions)
    if len(set(configurations)) < 2:
        raise ResultsError(
            f"one configuration only ({configurations[0]}): decisions are between two or more. Give results of several "
            "training runs; runs at the same levels in the file of --runs are seeds of one configuration."
        )
    study = study_of(runs, amount)
    asked = _asked_at(study, at)
    chosen = _held(study, metrics)
    measured = {metric: _measured(study, metric, asked, rng) for metric in dict.fromkeys([*chosen, "acc"])}
    rows: dict[str, list[Decisions]] = {}
    for metric, name in product(chosen, measured["acc"]):
        of = measured[metric][name]
        targets = {ITSELF: _Against(of.order_at_the_end(configurations), list(range(len(runs))))}
        if metric != "acc":
            targets[ACCURACY] = replace(targets[ITSELF], target=measured["acc"][name].order_at_the_end(configurations))
        for column in outside.columns if outside else ():
            if outside and (found := _as_outside(outside, column, study, of.curve, configurations)):
                targets[column] = found
        plain = Decisions(
            metric=metric,
            name=name,
            ability=of.curve.ability,
            target="",
            pairs=0,
            not_told=0,
            signal_to_noise=_signal_to_noise(of.curve.values),
            signal_to_seed_noise=signal_to_seed_noise(of.end, configurations),
            by_step=(),
            by_questions=(),
        )
        for label, against in targets.items():
            rows.setdefault(label, []).append(_asked(replace(plain, target=label), of, against, study.amounts, rng))
    return DecisionStudy(
        configurations={
            name: tuple(run.name for run, of in zip(runs, configurations, strict=True) if of == name)
            for name in dict.fromkeys(configurations)
        },
        measured_by=amount.name,
        amounts=tuple(study.amounts.tolist()),
        at=float(study.amounts[asked]),
        rows=tuple(row for of in rows.values() for row in of),
        notes=tuple(_notes(study, configurations, outside)),
    )


@dataclass(frozen=True)
class _Against:
    """A target, and which of the study's runs it is of (an outside column may not know all)."""

    target: Target
    runs: list[int]


def _asked(
    plain: Decisions, of: _Measured, against: _Against, amounts: FloatArray, rng: np.random.Generator
) -> Decisions:
    """The row with its decisions; without any where the target tells nothing apart."""
    target = against.target
    counted = replace(plain, pairs=target.told, not_told=target.not_told)
    if not target.told:
        return counted
    scores = of.curve.values[against.runs].T[:, None, :]
    by_step = decision_accuracies(scores, target, rng, n_resamples=_RESAMPLES)
    every = of.curve.questions
    by_questions = [
        DecisionAccuracy(
            float(amounts[of.asked]),
            size,
            decision_accuracies(parts[None][:, :, against.runs], target, rng, n_resamples=_RESAMPLES)[0],
        )
        for size, parts in of.parts.items()
    ]
    steps = [DecisionAccuracy(float(at), every, found) for at, found in zip(amounts, by_step, strict=True)]
    return replace(counted, by_step=tuple(steps), by_questions=(*by_questions, steps[of.asked]))


def _measured(study: Study, metric: str, asked: int, rng: np.random.Generator) -> dict[str, _Measured]:
    """Abilities first, then sources."""
    sign = 1.0 if METRICS[metric].higher_is_better else -1.0
    sources: dict[str, tuple[StudyCurve, StudyScores]] = {}
    for source in study.sources:
        scores = study.scores(source, metric)
        scores = replace(scores, values=sign * scores.values)
        sources[source] = (source_curve(scores, metric, rng, _RESAMPLES), scores)
    made = {}
    for ability, members in study.members.items():
        curve = ability_curve(ability, [sources[s][0] for s in members])
        made[ability] = _Measured(metric, curve, asked, _parts([sources[s][1] for s in members], asked, rng))
    return made | {
        name: _Measured(metric, curve, asked, _parts([of], asked, rng)) for name, (curve, of) in sources.items()
    }


def _parts(sources: Sequence[StudyScores], asked: int, rng: np.random.Generator) -> dict[int, FloatArray]:
    """Random parts of the questions; of an ability, as many of each of its sources."""
    shares = {size: size // len(sources) for size in SIZES}
    fewest = min(len(of.asked) for of in sources)
    made = {size: np.zeros((_PARTS, len(sources[0].values))) for size, share in shares.items() if 0 < share < fewest}
    for of in sources:
        weights = question_weights(of.asked)
        # The place of each question in each shuffle: a part of a size holds those with a place below it, so that parts
        # of different sizes are nested and compared on the same luck.
        places = np.stack([np.argsort(rng.permutation(len(weights))) for _ in range(_PARTS)])
        for size in made:
            drawn = (places < shares[size]) * weights
            made[size] += (drawn / drawn.sum(axis=1, keepdims=True)) @ of.values[:, asked].T / len(sources)
    return made


def _as_outside(
    outside: Outside, column: str, study: Study, curve: StudyCurve, configurations: Sequence[str]
) -> _Against | None:
    """A column's order of the configurations that it knows; None where it knows fewer than two."""
    numbers = {
        k: number
        for k, run in enumerate(study.runs)
        if (number := _number(outside, column, run, curve.name)) is not None
    }
    known = [configurations[k] for k in numbers]
    if len(set(known)) < 2:
        return None
    return _Against(target_of(list(numbers.values()), known), list(numbers))


def _number(outside: Outside, column: str, run: TrainingRun, name: str) -> float | None:
    """Of the last checkpoint that has one."""
    numbers = (outside.of(result, name, column) for result in reversed(run.results))
    return next((number for number in numbers if number is not None), None)


def _signal_to_noise(values: FloatArray) -> float | None:
    try:
        return signal_to_noise(values[:, -LAST_CHECKPOINTS:])
    except MetricError:  # one matched step only
        return None


def _held(study: Study, metrics: Sequence[str]) -> list[str]:
    """The metrics asked for, or those of the default ones that all runs hold."""
    for metric in metrics:
        require_mean_over_questions(metric)
    if metrics:
        return list(dict.fromkeys(metrics))
    parts = [result.sources[source] for run in study.runs for result in run.results for source in study.sources]
    return [metric for metric in DEFAULT_METRICS if all(available(samples, metric) for samples in parts)]


def _asked_at(study: Study, at: float | None) -> int:
    """The position of the amount that parts of the questions are tried at."""
    if at is None:
        return (
            int(np.searchsorted(study.amounts, study.amounts[-1] / 2, side="right")) - 1
            if len(study.amounts) > 1
            else 0
        )
    found = np.flatnonzero(study.amounts == at)
    if not len(found):
        there = ", ".join(f"{amount:,g}" for amount in study.amounts)
        raise ResultsError(
            f"not all of these runs have a checkpoint at {study.measured_by} {at:,g}; they share {there}."
        )
    return int(found[0])


def _notes(study: Study, configurations: Sequence[str], outside: Outside | None) -> Iterator[str]:
    end = study.amounts[-1]
    for run in study.runs:
        if study.measured_by == "step" and run.steps[-1] > end:
            yield (
                f"{run.name} goes on to step {run.steps[-1]:,.0f}: the end is the last step that all runs have, "
                f"{end:,.0f}."
            )
    if len(set(configurations)) == len(configurations):
        yield (
            "No two runs are declared as seeds of one configuration: pairs are told apart by chance in the questions "
            "alone, and how another seed would have turned out is not known."
        )
    for name in outside.unknown if outside else ():
        yield f"no results of {name!r}, left out"

"""How early, and on how few questions, a metric decides between configurations as the end of training does.

A configuration is what a user chooses between (a data mix, a size): one training run, or several seeds of it. Every
metric on every source and ability is asked at every step that all runs have, on all questions and on random parts of
them. What it is held against is the end: of the metric itself, of accuracy, or a column from outside such as accuracy
after fine-tuning. With a factor for the size of the model, models of every size are asked for what the largest say at
their end. Definitions: `radar_metrics.decisions`.
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
from radar_tasks.analysis.paired_questions import refuse_unless_comparable
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.run_factors import configurations_of, factors_of
from radar_tasks.analysis.study_curves import Study, StudyCurve, StudyScores, ability_curve, source_curve, study_of
from radar_tasks.analysis.training_amount import IN_STEPS, TrainingAmount
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.questions import Ability
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import METRICS, available_everywhere, question_weights, require_mean_over_questions

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
        size: the size of the models that are asked, where the target is the end of the largest; else "".
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
    size: str = ""

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
        amounts: those that all runs (of the largest size) have; the last is the end.
        at: the one that parts of the questions are tried at (by the largest size).
        rows: by size, target, metric, and source or ability.
        notes: what else must be known.
        size_factor, sizes: the factor whose levels are sizes, and those that are asked, the largest last; "" and none
            where size is not asked about.
    """

    configurations: Mapping[str, tuple[str, ...]]
    measured_by: str
    amounts: tuple[float, ...]
    at: float
    rows: tuple[Decisions, ...]
    notes: tuple[str, ...]
    size_factor: str = ""
    sizes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Group:
    """Runs that are asked together: all of them, or those of one size.

    Attributes:
        size: the level of the factor of the sizes, or "".
        study: the runs where they can be compared.
        configurations: (R,) of each run.
        asked: the position of the amount that parts of the questions are tried at.
    """

    size: str
    study: Study
    configurations: list[str]
    asked: int


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
    size: str | None = None,
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
        size: a factor of the descriptions whose levels are sizes. Models of each size are asked for what the largest
            say at their end, of the configurations that there are at both sizes: runs at the same levels of all other
            factors.

    Raises:
        ResultsError: one configuration only, an unknown metric or one without values of single questions, no such step,
            sizes that share no two configurations, or as `study_of`.
    """
    groups = _by_size(runs, descriptions, size, amount, at) if size else [_all(runs, descriptions, amount, at)]
    *_, largest = groups
    chosen = _held([run for group in groups for run in group.study.runs], largest.study.sources, metrics)
    asked = list(dict.fromkeys([*chosen, "acc"]))
    by_group = {group.size: {m: _measured(group.study, m, group.asked, rng) for m in asked} for group in groups}
    ends = by_group[largest.size]
    rows: list[Decisions] = []
    for group in groups:
        made = list(_rows(group, by_group[group.size], largest, ends, metrics=chosen, outside=outside, rng=rng))
        rows += [row for target in dict.fromkeys(row.target for row in made) for row in made if row.target == target]
    every = [run.name for group in groups for run in group.study.runs]
    of_run = [name for group in groups for name in group.configurations]
    return DecisionStudy(
        configurations={
            name: tuple(run for run, of in zip(every, of_run, strict=True) if of == name)
            for name in dict.fromkeys(of_run)
        },
        measured_by=amount.name,
        amounts=tuple(largest.study.amounts.tolist()),
        at=float(largest.study.amounts[largest.asked]),
        rows=tuple(rows),
        size_factor=size or "",
        sizes=tuple(group.size for group in groups) if size else (),
        notes=tuple(_notes(groups, outside)),
    )


def _rows(
    group: _Group,
    measured: Mapping[str, Mapping[str, _Measured]],
    largest: _Group,
    ends: Mapping[str, Mapping[str, _Measured]],
    *,
    metrics: Sequence[str],
    outside: Outside | None,
    rng: np.random.Generator,
) -> Iterator[Decisions]:
    """What a group's runs say, by metric and source or ability, of every target that the largest models have."""
    everyone = list(range(len(largest.configurations)))
    for metric, name in product(metrics, measured["acc"]):
        of, end = measured[metric][name], ends[metric][name]
        targets = {ITSELF: _Against(end.order_at_the_end(largest.configurations), everyone)}
        if metric != "acc":
            targets[ACCURACY] = _Against(ends["acc"][name].order_at_the_end(largest.configurations), everyone)
        for column in outside.columns if outside else ():
            if outside and (found := _as_outside(outside, column, largest.study, end.curve, largest.configurations)):
                targets[column] = found
        plain = Decisions(
            metric=metric,
            name=name,
            ability=of.curve.ability,
            target="",
            pairs=0,
            not_told=0,
            signal_to_noise=_signal_to_noise(of.curve.values),
            signal_to_seed_noise=signal_to_seed_noise(of.end, group.configurations),
            by_step=(),
            by_questions=(),
            size=group.size,
        )
        for label, against in targets.items():
            mine = against if group is largest else _of_other_runs(against, largest, group)
            if mine is not None:
                yield _asked(replace(plain, target=label), of, mine, group.study.amounts, rng)


def _all(
    runs: Sequence[TrainingRun], descriptions: Sequence[RunDescription], amount: TrainingAmount, at: float | None
) -> _Group:
    configurations = configurations_of(runs, descriptions)
    if len(set(configurations)) < 2:
        raise ResultsError(
            f"one configuration only ({configurations[0]}): decisions are between two or more. Give results of several "
            "training runs; runs at the same levels in the file of --runs are seeds of one configuration."
        )
    study = study_of(runs, amount)
    return _Group("", study, configurations, _asked_at(study, at))


def _by_size(
    runs: Sequence[TrainingRun],
    descriptions: Sequence[RunDescription],
    size: str,
    amount: TrainingAmount,
    at: float | None,
) -> list[_Group]:
    """The runs of each size, the largest last; sizes that share fewer than two configurations with it are left out."""
    factors = factors_of(runs, descriptions)
    factor = next((factor for factor in factors if factor.name == size), None)
    if factor is None:
        known = [factor.name for factor in factors]
        raise ResultsError(
            f"the file of --runs gives these runs no two levels of a factor {size!r}; there is "
            f"{', '.join(known) or 'none'}.{did_you_mean(size, known)}"
        )
    if factor.amounts is None:
        raise ResultsError(
            f"{size} is no size: its levels are {', '.join(level.name for level in factor.levels)}, and sizes are "
            "numbers above 0."
        )
    others = [row for row in descriptions if row.factor != size]
    of_run = dict(zip([run.name for run in factor.runs], configurations_of(factor.runs, others), strict=True))
    *smaller, largest = [(level, [of_run[run.name] for run in level.runs]) for level in factor.levels]
    shared = [(level, names) for level, names in smaller if len(set(names) & set(largest[1])) > 1]
    if not shared:
        raise ResultsError(
            f"no two configurations are there at {size} {largest[0].name} and at a smaller one: models of one size can "
            "be asked for the decisions of another where the same ones were trained at both. Runs at the same levels "
            f"of all factors but {size} are one configuration."
        )
    made = []
    for level, names in [*shared, largest]:
        study = study_of(level.runs, amount)
        made.append(_Group(level.name, study, names, _asked_at(study, at)))
    for group in made[:-1]:
        # One size can speak of another only about the same questions, put alike.
        first, other = (of.study.runs[0].results[0] for of in (made[-1], group))
        refuse_unless_comparable(first, other, allow_different=False)
        if missing := set(made[-1].study.sources) ^ set(group.study.sources):
            raise ResultsError(
                f"not all runs at {size} {group.size} and {largest[0].name} answered {sorted(missing)[0]}."
            )
    return made


@dataclass(frozen=True)
class _Against:
    """A target, and which of the study's runs it is of (an outside column may not know all)."""

    target: Target
    runs: list[int]


def _of_other_runs(against: _Against, of: _Group, group: _Group) -> _Against | None:
    """The same order asked of another group's runs, of the configurations that both have; None with fewer than two."""
    known = list(dict.fromkeys(of.configurations[k] for k in against.runs))  # as the target numbers them
    both = [name for name in known if name in group.configurations]
    if len(both) < 2:
        return None
    places = [known.index(name) for name in both]
    runs = [k for k, name in enumerate(group.configurations) if name in both]
    numbers = np.array([both.index(group.configurations[k]) for k in runs], dtype=np.int64)
    return _Against(Target(numbers, against.target.signs[np.ix_(places, places)]), runs)


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


def _held(runs: Sequence[TrainingRun], sources: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """The metrics asked for, or those of the default ones that all runs hold."""
    for metric in metrics:
        require_mean_over_questions(metric)
    if metrics:
        return list(dict.fromkeys(metrics))
    return available_everywhere(
        DEFAULT_METRICS, (result.sources[source] for run in runs for result in run.results for source in sources)
    )


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


def _notes(groups: Sequence[_Group], outside: Outside | None) -> Iterator[str]:
    for group in groups:
        end = group.study.amounts[-1]
        for run in group.study.runs:
            if group.study.measured_by == "step" and run.steps[-1] > end:
                yield (
                    f"{run.name} goes on to step {run.steps[-1]:,.0f}: the end is the last step that all runs have, "
                    f"{end:,.0f}."
                )
    if all(len(set(group.configurations)) == len(group.configurations) for group in groups):
        yield (
            "No two runs are declared as seeds of one configuration: pairs are told apart by chance in the questions "
            "alone, and how another seed would have turned out is not known."
        )
    for name in outside.unknown if outside else ():
        yield f"no results of {name!r}, left out"

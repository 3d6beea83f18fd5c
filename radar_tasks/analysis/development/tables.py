"""Tables of development: rows (dictionaries of plain values) for the terminal, JSON, charts and the page.

What the words mean (emergence, saturation, asymmetry, bottleneck, ...) is defined with formulas in
`radar_metrics.development`, `.signal`, `.scaling` and `.stability`; here they are applied to the runs of experiments.
None in a row is a "never" by the rule of its definition, or a number that so few checkpoints cannot give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from radar_metrics.curves import Curve, bootstrap_curve, pointwise_band
from radar_metrics.development import (
    asymmetry,
    bottleneck,
    emergence,
    growth_rate,
    intervention,
    log_growth_rate,
    saturation,
)
from radar_metrics.errors import MetricError
from radar_metrics.scaling import equal_slopes, fit_line
from radar_metrics.signal import curve_signal_to_noise, monotonicity
from radar_metrics.stability import enough_questions, subset_curves
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.curves import Part, Trajectory, chance_level
from radar_tasks.analysis.leaderboard import leaderboard
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.training_runs import short_names
from radar_tasks.errors import ResultsError
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import METRICS

Row = dict[str, Any]

COMPARED_METRICS = ("sds", "sds_logit", "acc", "acc_logit", "margin", "brier", "nll")
SUBSET_SIZES = (50, 100, 200, 400, 800, 1600, 3200)
_SUBSETS = 50
_SUBSETS_DRAWN = 12


@dataclass(frozen=True)
class Development:
    """All tables of some experiments. A table that so few checkpoints or runs cannot give is empty.

    Attributes:
        metric: what the curves show.
        abilities, sources: `run`, `ability`, `source`, `step`, `value`, `low`, `high`, `chance`, `questions`.
        growth: a row an ability and source with its emergence, saturation and rates.
        asymmetry: `run`, `step`, `value`, `low`, `high`; `asymmetry_summary` has area and lag of each run.
        bottleneck: `run`, `ability`, `source`, chance-centred `value`, `low`, `high`, `share`, `gain`, ...
        metrics: `run`, `ability`, `metric`, `signal_to_noise`, `monotonicity`.
        stability: `run`, `ability`, `size`, `subset`, `step`, `value`, `whole`; `stability_summary` a row a size.
        scaling: `column`, `ability`, `group`, `run`, `x`, `value`; `scaling_lines` the fits, `scaling_tests` the tests.
        intervention: `ability`, `step`, `value`, `low`, `high`; `intervention_summary` a row an ability.
        leaderboard: `model`, `ability`, `value`, `published`: averages by raw logits, of last checkpoints.
        notes: what was left out and why.
    """

    metric: str
    abilities: list[Row] = field(default_factory=list)
    sources: list[Row] = field(default_factory=list)
    growth: list[Row] = field(default_factory=list)
    asymmetry: list[Row] = field(default_factory=list)
    asymmetry_summary: list[Row] = field(default_factory=list)
    bottleneck: list[Row] = field(default_factory=list)
    metrics: list[Row] = field(default_factory=list)
    stability: list[Row] = field(default_factory=list)
    stability_summary: list[Row] = field(default_factory=list)
    scaling: list[Row] = field(default_factory=list)
    scaling_lines: list[Row] = field(default_factory=list)
    scaling_tests: list[Row] = field(default_factory=list)
    intervention: list[Row] = field(default_factory=list)
    intervention_summary: list[Row] = field(default_factory=list)
    leaderboard: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def development(
    experiments: Sequence[Trajectory],
    runs: Sequence[CheckpointResult],
    rng: np.random.Generator,
    *,
    descriptions: Sequence[RunDescription] = (),
    parting: int | None = None,
    notes: Sequence[str] = (),
) -> Development:
    """Every table that these experiments allow.

    Args:
        experiments: from `radar_tasks.analysis.development.curves`, perhaps none.
        runs: all runs, those without a step as well.
        rng: source of the resamples and subsets.
        descriptions: amounts of the runs, for scaling.
        parting: the last step that two experiments share: the second is the changed run.
        notes: further notes to carry along.

    Raises:
        ResultsError: a parting step without two experiments, or no checkpoint after it.
    """
    metric = experiments[0].metric if experiments else "sds"
    made = Development(metric, notes=[*notes, *(note for e in experiments for note in e.notes)])
    made.leaderboard.extend(leaderboard_rows(last_of_each(runs)))
    for experiment in experiments:
        made.abilities.extend(curve_rows(experiment, list(experiment.abilities.values())))
        made.sources.extend(curve_rows(experiment, list(experiment.sources.values())))
        made.growth.extend(growth_rows(experiment))
        made.bottleneck.extend(bottleneck_rows(experiment))
        made.metrics.extend(metric_rows(experiment))
        _add_asymmetry(made, experiment)
        _add_stability(made, experiment, rng)
        if len(experiment.steps) == 1:
            made.notes.append(f"{experiment.name}: one checkpoint only, nothing can be said about its development.")
    _add_scaling(made, experiments, descriptions)
    if parting is not None:
        _add_intervention(made, experiments, parting, rng)
    return made


def last_of_each(runs: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    """The last checkpoint of each experiment that saw its images, called by its experiment where names repeat."""
    last: dict[str, CheckpointResult] = {}
    for run in sorted(runs, key=lambda run: run.step or 0):
        if not run.withheld:
            last[run.experiment] = run
    names = [run.name for run in last.values()]
    short = short_names(list(last))
    return [
        replace(run, name=f"{short[run.experiment]}/{run.name}") if names.count(run.name) > 1 else run
        for run in last.values()
    ]


def leaderboard_rows(runs: Sequence[CheckpointResult]) -> list[Row]:
    """Averages of the leaderboard's tables; empty where no run has a complete ability with raw logits."""
    try:
        boards = leaderboard(runs)
    except ResultsError:
        return []
    return [
        {
            "model": entry.name,
            "ability": board.title.removeprefix("mini "),
            "value": entry.cells["average"][1],
            "published": entry.published,
            "chance": _chance_of(board.columns, runs),
        }
        for board in boards
        if any("average" in entry.cells and not entry.published for entry in board.entries)
        for entry in board.entries
        if "average" in entry.cells
    ]


def _chance_of(sources: Sequence[str], runs: Sequence[CheckpointResult]) -> float | None:
    levels = {s: chance_level(run.sources[s], "sds") for run in runs for s in sources if s in run.sources}
    known = [level for level in levels.values() if level is not None]
    return round(float(np.mean(known)), 6) if known else None


def curve_rows(experiment: Trajectory, parts: Sequence[Part]) -> list[Row]:
    """One row a part and checkpoint, with its pointwise 95% interval."""
    rows = []
    for part in parts:
        band = pointwise_band(part.curve)
        for k, step in enumerate(experiment.steps):
            rows.append(
                {
                    "run": experiment.name,
                    "ability": part.ability,
                    "source": part.name,
                    "step": step,
                    "value": float(part.curve.values[k]),
                    "low": float(band.low[k]),
                    "high": float(band.high[k]),
                    "chance": part.chance,
                    "questions": part.questions,
                }
            )
    return rows


def growth_rows(experiment: Trajectory) -> list[Row]:
    """Emergence, saturation and rate of growth, abilities first; needs a metric with a chance level."""
    parts = [*experiment.abilities.values(), *experiment.sources.values()]
    return [_growth_row(experiment.name, part, part.chance) for part in parts if part.chance is not None]


def _growth_row(run: str, part: Part, chance: float) -> Row:
    curve = part.curve
    risen = emergence(curve, chance)
    full = _if_possible(lambda: saturation(curve))
    start = curve.steps[0] if risen is None else risen
    end = curve.steps[-1] if full is None else full
    rate = _if_possible(lambda: growth_rate(curve, start, end))
    log_rate = _if_possible(lambda: log_growth_rate(curve, start, end))
    return {
        "run": run,
        "ability": part.ability,
        "source": part.name,
        "first": float(curve.values[0]),
        "last": float(curve.values[-1]),
        "chance": chance,
        "emergence": risen,
        "saturation": full,
        "rate_per_1000_steps": _scaled(rate, 1000.0),
        "rate_per_doubling": _scaled(log_rate, float(np.log(2.0))),
        "questions": part.questions,
    }


def bottleneck_rows(experiment: Trajectory) -> list[Row]:
    """The sources of each ability at the last checkpoint, the worst first; needs two or more sources with a chance."""
    rows = []
    for ability, part in experiment.abilities.items():
        members = {name: experiment.sources[name] for name in part.sources}
        chances = {name: member.chance for name, member in members.items() if member.chance is not None}
        if len(members) < 2 or len(chances) < len(members):
            continue
        curves = {name: member.curve for name, member in members.items()}
        gaps = _if_possible(lambda c=curves, k=chances: bottleneck(c, k, experiment.visual_gain))  # type: ignore[misc]
        for gap in gaps or []:
            rows.append(
                {
                    "run": experiment.name,
                    "ability": ability,
                    "source": gap.source,
                    "value": gap.centred.estimate,
                    "low": gap.centred.low,
                    "high": gap.centred.high,
                    "share": gap.share,
                    "probability_lowest": gap.probability_lowest,
                    "gain": _interval(gap.gain),
                    "visual_gain": gap.visual_gain,
                }
            )
    return rows


def metric_rows(experiment: Trajectory) -> list[Row]:
    """How well each metric tells checkpoints apart; needs three or more checkpoints. Losses count negated."""
    rows = []
    for ability in experiment.abilities:
        for metric in COMPARED_METRICS:
            values = experiment.values(ability, metric)
            if values is None or len(values) < 3:
                continue
            better = values if METRICS[metric].higher_is_better else -values
            rows.append(
                {
                    "run": experiment.name,
                    "ability": ability,
                    "metric": metric,
                    "signal_to_noise": curve_signal_to_noise(experiment.steps, better),
                    "monotonicity": monotonicity(better),
                }
            )
    return rows


def _add_asymmetry(made: Development, experiment: Trajectory) -> None:
    parts = [experiment.abilities.get(ability) for ability in ABILITIES]
    if len(experiment.steps) < 2 or any(part is None or part.chance is None for part in parts):
        return
    perception, reasoning = (part for part in parts if part is not None)
    found = asymmetry(perception.curve, reasoning.curve, perception.chance or 0.0, reasoning.chance or 0.0)
    band = pointwise_band(found.curve)
    made.asymmetry.extend(
        {"run": experiment.name, "step": step, "value": float(value), "low": float(low), "high": float(high)}
        for step, value, low, high in zip(experiment.steps, found.curve.values, band.low, band.high, strict=True)
    )
    made.asymmetry_summary.append(
        {
            "run": experiment.name,
            "area": _interval(found.area),
            "perception_emergence": found.perception_emergence,
            "reasoning_emergence": found.reasoning_emergence,
            "lag": found.lag,
        }
    )


def _add_stability(made: Development, experiment: Trajectory, rng: np.random.Generator) -> None:
    if len(experiment.steps) < 2:
        return
    for ability in experiment.abilities:
        scores = experiment.scores(ability, experiment.metric)
        sizes = [size for size in SUBSET_SIZES if size <= scores.shape[1] / 2] + [scores.shape[1]]
        subsets = subset_curves(scores, sizes, rng, _SUBSETS)
        names = {"run": experiment.name, "ability": ability}
        enough = enough_questions(subsets)
        whole = scores.mean(axis=1)
        for subset in subsets:
            agree = {"spread": subset.spread, "agreement": subset.agreement, "enough": enough}
            made.stability_summary.append({**names, "size": subset.size, **agree})
        for subset in subsets[:-1]:
            made.stability.extend(
                {**names, "size": subset.size, "subset": s, "step": step, "value": float(v), "whole": float(whole[k])}
                for s, curve in enumerate(subset.curves[:_SUBSETS_DRAWN])
                for k, (step, v) in enumerate(zip(experiment.steps, curve, strict=True))
            )


def _add_scaling(made: Development, experiments: Sequence[Trajectory], rows: Sequence[RunDescription]) -> None:
    about = {
        e.name: [row for row in rows if row.is_about(e.name) or row.is_about(e.runs[0].experiment)] for e in experiments
    }
    if rows and not any(row.amounts for of in about.values() for row in of):
        names = ", ".join(about)
        made.notes.append(f"no row of the file gives an amount for an experiment ({names}): nothing to draw against.")
    columns = dict.fromkeys(column for of in about.values() for row in of for column in row.amounts)
    for column in columns:
        for experiment in experiments:
            described = next((row for row in about[experiment.name] if column in row.amounts), None)
            if described is None:
                continue
            made.scaling.extend(
                {
                    "column": column,
                    "ability": ability,
                    "group": described.group or "",
                    "run": experiment.name,
                    "x": described.amounts[column],
                    "value": float(part.curve.values[-1]),
                }
                for ability, part in experiment.abilities.items()
            )
        _add_lines(made, column)


def _add_lines(made: Development, column: str) -> None:
    """A line for each ability and group, and the test of equal slopes between groups, else between abilities."""
    points: dict[tuple[str, str], list[Row]] = {}
    for row in made.scaling:
        if row["column"] == column:
            points.setdefault((row["ability"], row["group"]), []).append(row)
    fitted: dict[tuple[str, str], tuple[list[float], list[float]]] = {}
    for (ability, group), rows in points.items():
        x, y = [row["x"] for row in rows], [row["value"] for row in rows]
        try:
            line = fit_line(x, y)
        except MetricError as problem:
            made.notes.append(f"{column}, {' '.join((ability, group)).strip()}: no line, {problem}.")
            continue
        fitted[ability, group] = (x, y)
        ends = [(end, line.intercept + line.slope.estimate * float(np.log10(end))) for end in (min(x), max(x))]
        names = {"column": column, "ability": ability, "group": group}
        fit = {"slope": _interval(line.slope), "r_squared": line.r_squared, "n": line.n}
        made.scaling_lines.extend({**names, "x": at, "value": value, **fit} for at, value in ends)
    made.scaling_tests.extend(_slope_tests(column, fitted))


def _slope_tests(column: str, fitted: Mapping[tuple[str, str], tuple[list[float], list[float]]]) -> list[Row]:
    between: dict[str, dict[str, tuple[list[float], list[float]]]] = {}
    groups = {group for _, group in fitted}
    for (ability, group), line in fitted.items():
        if len(groups) > 1:
            between.setdefault(f"groups, {ability}", {})[group] = line
        else:
            between.setdefault("abilities", {})[ability] = line
    tests = []
    for what, lines in between.items():
        test = _if_possible(lambda lines=lines: equal_slopes(lines))  # type: ignore[misc]
        if test is not None:
            tests.append(
                {"column": column, "between": what, "f": test.f, "p": test.p_value, "slope": test.common_slope}
            )
    return tests


def _add_intervention(
    made: Development, experiments: Sequence[Trajectory], parting: int, rng: np.random.Generator
) -> None:
    if len(experiments) != 2:
        names = ", ".join(e.name for e in experiments)
        raise ResultsError(f"a parting step needs two experiments, the unchanged one first; here: {names}.")
    unchanged, changed = experiments
    for ability in ABILITIES:
        if ability not in unchanged.abilities or ability not in changed.abilities:
            continue
        difference = _difference(unchanged, changed, ability, rng)
        try:
            found = intervention(difference, parting)
        except MetricError as problem:
            raise ResultsError(f"{unchanged.name} and {changed.name}: {problem}") from None
        made.intervention.extend(
            {"ability": ability, "step": int(step), "value": float(v), "low": float(low), "high": float(high)}
            for step, v, low, high in zip(found.steps, found.difference, found.band.low, found.band.high, strict=True)
        )
        made.intervention_summary.append(
            {
                "ability": ability,
                "unchanged": unchanged.name,
                "changed": changed.name,
                "parting": parting,
                "last_difference": float(found.difference[-1]),
                "low": float(found.band.low[-1]),
                "high": float(found.band.high[-1]),
                "onset": found.onset,
            }
        )


def _difference(unchanged: Trajectory, changed: Trajectory, ability: Ability, rng: np.random.Generator) -> Curve:
    """Mean over the ability's sources of the per-question differences, at the steps that both have."""
    steps = [step for step in unchanged.steps if step in changed.steps]
    if not steps:
        raise ResultsError(f"{unchanged.name} and {changed.name} have no step in common.")
    sources = [s for s in unchanged.abilities[ability].sources if s in changed.sources]
    if not sources:
        raise ResultsError(f"{unchanged.name} and {changed.name} have no {ability} source in common.")
    curves = [_source_difference(unchanged, changed, source, steps, rng) for source in sources]
    return Curve(
        curves[0].steps,
        np.mean([c.values for c in curves], axis=0),
        np.mean([c.replicates for c in curves], axis=0),
    )


def _source_difference(
    unchanged: Trajectory, changed: Trajectory, source: str, steps: Sequence[int], rng: np.random.Generator
) -> Curve:
    first = unchanged.question_table(source, steps)
    second = changed.question_table(source, steps)
    common, rows, others = np.intersect1d(first.q_id, second.q_id, return_indices=True)
    if len(common) == 0:
        raise ResultsError(f"{source}: {unchanged.name} and {changed.name} have no question in common.")
    weights = first.weights[rows] / first.weights[rows].mean()
    table = (second.values[:, others] - first.values[:, rows]) * weights
    return bootstrap_curve(steps, table, first.image_id[rows], rng, n_resamples=len(_replicates(unchanged)))


def _replicates(experiment: Trajectory) -> np.ndarray:
    return next(iter(experiment.sources.values())).curve.replicates


def _if_possible(make: Callable[[], Any]) -> Any:
    """What is made, or None where so few checkpoints or questions cannot give it."""
    try:
        return make()
    except MetricError:
        return None


def _interval(interval: Interval) -> Row:
    return {"estimate": interval.estimate, "low": interval.low, "high": interval.high}


def _scaled(interval: Interval | None, by: float) -> Row | None:
    if interval is None:
        return None
    return {"estimate": interval.estimate * by, "low": interval.low * by, "high": interval.high * by}

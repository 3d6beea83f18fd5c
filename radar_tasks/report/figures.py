"""Which figures can be drawn from some runs, by name: what `radar plot --chart` and the page offer."""

from __future__ import annotations

from collections.abc import Callable

from radar_tasks.analysis.development.tables import Development
from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.report.charts.abilities import abilities_over_steps, sources_over_steps
from radar_tasks.report.charts.asymmetry import asymmetry
from radar_tasks.report.charts.bottleneck import bottleneck
from radar_tasks.report.charts.comparison import comparison
from radar_tasks.report.charts.decision_accuracy import decision_chart
from radar_tasks.report.charts.factors import factor_curves
from radar_tasks.report.charts.figure import Figure
from radar_tasks.report.charts.intervention import intervention
from radar_tasks.report.charts.leaderboard import leaderboard
from radar_tasks.report.charts.metric_quality import metric_comparison
from radar_tasks.report.charts.phase import phase_plane
from radar_tasks.report.charts.prior_split import prior_split
from radar_tasks.report.charts.scaling import scaling
from radar_tasks.report.charts.stability import stability
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis


def figures(made: Development) -> list[Figure]:
    """Every figure that the tables allow, in reading order."""
    drawn = [make(made, STEPS) for make in CHARTS.values()]
    return [figure for figure in drawn if figure is not None]


def figure(name: str, made: Development, axis: TrainingAxis = STEPS) -> Figure:
    """One figure.

    Raises:
        ResultsError: there is no chart of this name, or the runs do not allow it; says what it needs.
    """
    require_chart(name)
    drawn = CHARTS[name](made, axis)
    if drawn is None:
        raise ResultsError(f"these results give no {name} chart: {NEEDS[name]}.")
    return drawn


def require_chart(name: str) -> None:
    """Raises `ResultsError` for a name that is no chart's."""
    if name not in CHARTS:
        raise ResultsError(f"there is no chart {name!r}; there are {', '.join(CHARTS)}.{did_you_mean(name, CHARTS)}")


def _abilities(made: Development, axis: TrainingAxis) -> Figure | None:
    return abilities_over_steps(made.abilities, made.metric, axis, made.configurations) if made.abilities else None


def _phase(made: Development, _: TrainingAxis) -> Figure | None:
    return phase_plane(made.abilities, made.configurations) if made.asymmetry else None


def _factors(made: Development, axis: TrainingAxis) -> Figure | None:
    if not made.factor_levels:
        return None
    return factor_curves(made.abilities, made.factor_levels, made.metric, axis)


def _decisions(made: Development, axis: TrainingAxis) -> Figure | None:
    return decision_chart(made.decisions, TrainingAxis(log=axis.log)) if made.decisions else None


def _prior(made: Development, axis: TrainingAxis) -> Figure | None:
    return prior_split(made.prior, axis, made.configurations) if made.prior else None


def _sources(made: Development, axis: TrainingAxis) -> Figure | None:
    return sources_over_steps(made.sources, made.metric, axis, made.configurations) if made.sources else None


def _asymmetry(made: Development, axis: TrainingAxis) -> Figure | None:
    return asymmetry(made.asymmetry, axis, made.configurations) if made.asymmetry else None


def _bottleneck(made: Development, _: TrainingAxis) -> Figure | None:
    return bottleneck(made.bottleneck, made.configurations) if made.bottleneck else None


def _comparison(made: Development, axis: TrainingAxis) -> Figure | None:
    return comparison(made.comparisons, axis.log, made.configurations) if made.comparisons else None


def _metrics(made: Development, _: TrainingAxis) -> Figure | None:
    rows = [row for row in made.metrics if row.growth_to_noise is not None]
    return metric_comparison(rows) if rows else None


def _stability(made: Development, axis: TrainingAxis) -> Figure | None:
    """Of the first training run, as its title says: further ones look alike and are in the table."""
    first = [point for point in made.stability if point.run == made.stability[0].run]
    return stability(first, made.metric, axis) if first else None


def _scaling(made: Development, _: TrainingAxis) -> Figure | None:
    return scaling(made.scaling, made.scaling_lines, made.metric) if made.scaling else None


def _intervention(made: Development, axis: TrainingAxis) -> Figure | None:
    if not made.intervention:
        return None
    effect = made.intervention_summary[0]
    return intervention(made.intervention, effect.changed, effect.unchanged, made.metric, axis)


def _leaderboard(made: Development, _: TrainingAxis) -> Figure | None:
    return leaderboard(made.leaderboard) if made.leaderboard else None


CHARTS: dict[str, Callable[[Development, TrainingAxis], Figure | None]] = {
    "abilities": _abilities,
    "factors": _factors,
    "decisions": _decisions,
    "prior": _prior,
    "sources": _sources,
    "comparison": _comparison,
    "asymmetry": _asymmetry,
    "phase": _phase,
    "bottleneck": _bottleneck,
    "metrics": _metrics,
    "stability": _stability,
    "scaling": _scaling,
    "intervention": _intervention,
    "leaderboard": _leaderboard,
}

NEEDS = {
    "abilities": "it needs a run with steps",
    "factors": "it needs --runs FILE with levels of a factor",
    "decisions": "it needs three or more configurations with the checkpoints of the first",
    "prior": "it needs results that were made with --model_args prior=blind",
    "sources": "it needs a run with steps",
    "comparison": "it needs two or more training runs with steps in common",
    "asymmetry": "it needs both abilities at two or more checkpoints",
    "phase": "it needs both abilities at two or more checkpoints, and a metric with a chance level",
    "bottleneck": "it needs two or more sources of an ability",
    "metrics": "it needs three or more checkpoints with different scores",
    "stability": "it needs two or more checkpoints and a hundred or more questions",
    "scaling": "it needs --runs FILE with an amount for a run or its checkpoints",
    "intervention": "it needs two experiments and --parting STEP",
    "leaderboard": "it needs raw logits on every source of an ability",
}

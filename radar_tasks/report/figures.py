"""Which figures can be drawn from some runs, by name: what `radar plot --chart` and the page offer."""

from __future__ import annotations

from collections.abc import Callable

from radar_tasks.analysis.development.tables import Development
from radar_tasks.errors import ResultsError
from radar_tasks.report import charts
from radar_tasks.report.charts import Figure


def figures(made: Development) -> list[Figure]:
    """Every figure that the tables allow, in reading order."""
    return [figure for maker in CHARTS.values() for figure in maker(made)]


def figure(name: str, made: Development) -> Figure:
    """One figure.

    Raises:
        ResultsError: the runs do not allow it; says what it needs.
    """
    drawn = CHARTS[name](made)
    if not drawn:
        raise ResultsError(f"these results give no {name} chart: {NEEDS[name]}.")
    return drawn[0]


def _abilities(made: Development) -> list[Figure]:
    return [charts.abilities_over_steps(made.abilities, made.metric)] if made.abilities else []


def _sources(made: Development) -> list[Figure]:
    return [charts.sources_grid(made.sources, made.metric)] if made.sources else []


def _asymmetry(made: Development) -> list[Figure]:
    return [charts.asymmetry(made.asymmetry)] if made.asymmetry else []


def _bottleneck(made: Development) -> list[Figure]:
    return [charts.bottleneck(made.bottleneck)] if made.bottleneck else []


def _metrics(made: Development) -> list[Figure]:
    rows = [row for row in made.metrics if row["signal_to_noise"] is not None]
    return [charts.metric_comparison(rows)] if rows else []


def _stability(made: Development) -> list[Figure]:
    """Of the first experiment and its first ability: further ones look alike and are in the tables."""
    first = [row for row in made.stability if all(row[k] == made.stability[0][k] for k in ("run", "ability"))]
    return [charts.stability(first)] if first else []


def _scaling(made: Development) -> list[Figure]:
    columns = dict.fromkeys(row["column"] for row in made.scaling)
    return [
        charts.scaling(
            [row for row in made.scaling if row["column"] == column],
            [row for row in made.scaling_lines if row["column"] == column],
            column,
            made.metric,
        )
        for column in columns
    ]


def _intervention(made: Development) -> list[Figure]:
    if not made.intervention:
        return []
    summary = made.intervention_summary[0]
    return [charts.intervention(made.intervention, summary["changed"], summary["unchanged"])]


def _leaderboard(made: Development) -> list[Figure]:
    return [charts.leaderboard(made.leaderboard, "sds_logit")] if made.leaderboard else []


CHARTS: dict[str, Callable[[Development], list[Figure]]] = {
    "abilities": _abilities,
    "sources": _sources,
    "asymmetry": _asymmetry,
    "bottleneck": _bottleneck,
    "metrics": _metrics,
    "stability": _stability,
    "scaling": _scaling,
    "intervention": _intervention,
    "leaderboard": _leaderboard,
}

NEEDS = {
    "abilities": "it needs a run with steps",
    "sources": "it needs a run with steps",
    "asymmetry": "it needs both abilities at two or more checkpoints",
    "bottleneck": "it needs two or more sources of an ability",
    "metrics": "it needs three or more checkpoints",
    "stability": "it needs two or more checkpoints and a hundred or more questions",
    "scaling": "it needs --runs FILE with an amount for each experiment",
    "intervention": "it needs two experiments and --parting STEP",
    "leaderboard": "it needs raw logits on every source of an ability",
}

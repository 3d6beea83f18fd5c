"""Comparisons with the paper's numbers, of which there are no single questions."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.compare import Comparison, Difference
from radar_tasks.errors import ResultsError
from radar_tasks.published import PublishedModel
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import metric_table
from radar_tasks.sources.catalogue import PUBLISHED


def compare_published(
    first: CheckpointResult | PublishedModel, second: CheckpointResult | PublishedModel, metrics: Sequence[str] = ()
) -> Comparison:
    """Compares with published numbers, of which there are no single questions: differences without intervals.

    Raises:
        ResultsError: a metric that is not published, or nothing in common.
    """
    chosen = tuple(metrics) or ("sds_logit", "acc_logit")
    if unknown := [metric for metric in chosen if metric not in ("sds_logit", "acc_logit")]:
        raise ResultsError(f"{', '.join(unknown)} is not published; only sds_logit and acc_logit are.")
    rows = []
    for metric in chosen:
        a, b = _columns_of(first, metric), _columns_of(second, metric)
        rows += [
            Difference(name, ability, is_average, metric, a[name][0], value, 0, note="published: no pairs, no interval")
            for name, (value, ability, is_average) in b.items()
            if name in a
        ]
    if not rows:
        raise ResultsError(
            f"{first.label} and {second.label} have no source and metric in common; published are the nine sources of "
            "M3-Bench, by raw logits."
        )
    return Comparison(first.label, second.label, False, tuple(rows))


def _columns_of(side: CheckpointResult | PublishedModel, metric: str) -> dict[str, tuple[float, Ability, bool]]:
    """Value, ability and whether it is an average, by source or average."""
    if isinstance(side, CheckpointResult):
        rows = [row for row in metric_table(side) if metric in row.values]
        return {row.name: (row.values[metric], row.ability, row.is_average) for row in rows}
    columns: dict[str, tuple[float, Ability, bool]] = {}
    for name, number in side.values[metric].items():
        average = name not in PUBLISHED
        columns[name] = (number, name if average else PUBLISHED[name].ability, average)  # type: ignore[assignment]
    return columns

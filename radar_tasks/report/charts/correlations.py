"""What goes with a number from outside, such as accuracy after fine-tuning: metrics, and rivals that know no model."""

from __future__ import annotations

from collections.abc import Sequence

from radar_metrics.panel_correlation import Kind
from radar_tasks.analysis.outside_correlations import OutsideCorrelation
from radar_tasks.report.charts.dot_panel import DotAxes, dot_panel
from radar_tasks.report.charts.figure import Datum, Figure
from radar_tasks.report.correlation_table import HEADERS


def correlation_chart(rows: Sequence[OutsideCorrelation]) -> Figure:
    """A panel a kind of correlation, metrics and rivals below one another; colours are outside columns.

    Losses stand with their sign turned, so that further right is better for every metric.
    """
    columns = list(dict.fromkeys(row.column for row in rows))
    metrics = list(dict.fromkeys([*(row.metric for row in rows if row.is_rival), *(row.metric for row in rows)]))
    turned = {row.metric for row in rows if not row.is_rival and not row.higher_is_better}
    names = {metric: f"−{metric}" if metric in turned else metric for metric in metrics}
    axes = DotAxes("metric", "value", "r, with its 95 % interval", domain=(-1.0, 1.0), chances=(0.0,))
    panels = []
    for kind in Kind:
        of_kind = [row for row in rows if row.correlation.kind is kind]
        data = [_dot(row, names[row.metric], -1.0 if row.metric in turned else 1.0) for row in of_kind]
        if data:
            shown = [names[metric] for metric in metrics if any(datum["metric"] == names[metric] for datum in data)]
            panels.append(dot_panel(HEADERS[kind].capitalize(), data, shown, axes, columns))
    most = max(rows, key=lambda row: row.correlation.n).correlation
    subtitle = (
        f"{most.n:,} points of {most.runs} training runs and {most.sources} sources; intervals over both. Open: rivals "
        "that know nothing of the model."
    )
    legend = tuple(columns) if len(columns) > 1 else ()
    return Figure("correlations", f"Correlation with {', '.join(columns)}", subtitle, panels, 3, legend)


def _dot(row: OutsideCorrelation, name: str, sign: float) -> Datum:
    r = row.correlation.r
    ends = sorted((sign * r.low, sign * r.high))
    return {
        "metric": name,
        "series": row.column,
        "value": sign * r.estimate,
        "low": ends[0],
        "high": ends[1],
        "is_open": row.is_rival,
    }

"""Forecasts: what was measured, and from its last point on what is expected, with the interval at the end."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from radar_tasks.analysis.forecast.forecast_tables import ForecastTables, MeasuredPoint
from radar_tasks.analysis.forecast.forecasts import LEVEL, Forecast
from radar_tasks.errors import ResultsError
from radar_tasks.report.charts.figure import Datum, Figure, Panel, color, inline, metric_title, padded, shape


def forecast_chart(made: ForecastTables, metric: str = "sds") -> Figure:
    """A panel for each ability, over steps and over the size of the model where both are forecast.

    Args:
        made: forecasts and what was measured.
        metric: `sds` or `acc`.

    Raises:
        ResultsError: nothing was forecast.
    """
    rows = [row for row in made.forecasts if row.metric == metric and row.of_ability]
    if not rows:
        raise ResultsError(f"there is no forecast to draw: {' '.join(made.notes)}")
    points = [point for point in made.measured if point.metric == metric]
    series = list(dict.fromkeys([*(point.run for point in points), *(row.run for row in rows)]))
    panels = [
        _panel(
            [row for row in rows if (row.ability, row.along) == (ability, along)],
            [point for point in points if (point.ability, point.along) == (ability, along)],
            series,
            metric,
        )
        for ability, along in dict.fromkeys((row.ability, row.along) for row in rows)
    ]
    subtitle = (
        f"Lines: measured. Dashed: forecast, with its {LEVEL:.0%} interval; grey where it is not predictable, the last "
        "value repeated."
    )
    return Figure("forecast", f"Forecast of {metric_title(metric)}", subtitle, panels, 2, tuple(series))


def _panel(rows: Sequence[Forecast], points: Sequence[MeasuredPoint], series: Sequence[str], metric: str) -> Panel:
    along = rows[0].along
    measured: list[Datum] = [
        {"series": point.run, "run": point.run, "ability": point.ability, "x": point.at, "value": point.value}
        for point in points
    ]
    ends: list[Datum] = [
        {
            "series": row.run,
            "run": row.run,
            "ability": row.ability,
            "x": row.at,
            "value": row.value,
            "low": row.value if row.low is None else row.low,
            "high": row.value if row.high is None else row.high,
            "predictable": row.predictable,
        }
        for row in rows
    ]
    lines = [
        {"series": row.run, "x": x, "value": value, "predictable": row.predictable}
        for row in rows
        for x, value in ((row.start, row.last), (row.at, row.value))
    ]
    values = [datum["value"] for datum in [*measured, *lines]]
    values += [end[side] for end in ends for side in ("low", "high")]
    y_scale = alt.Scale(domain=list(padded(min(values), max(values))), nice=False, zero=False)
    y = alt.Y("value:Q", title=metric_title(metric), scale=y_scale)
    if along == "step":
        x = alt.X("x:Q", title="Training step", scale=alt.Scale(nice=False, padding=14))
    else:
        scale = alt.Scale(type="log", nice=False, padding=24)
        x = alt.X("x:Q", title=f"{along} (log scale)", scale=scale, axis=alt.Axis(format="~s", tickCount=5))
    colors, shapes = color(series), shape(series)
    said = alt.condition(alt.datum.predictable, alt.value(1.0), alt.value(0.35))
    tooltip = [alt.Tooltip("run:N"), *(alt.Tooltip(f"{field}:Q", format=".4f") for field in ("value", "low", "high"))]
    curves = alt.Chart(inline(measured)).encode(x=x, y=y, color=colors)
    expected = alt.Chart(inline(ends)).encode(x=x, color=colors, opacity=said)
    layers = [
        *([curves.mark_line()] if along == "step" else []),  # sizes are of different runs: nothing lies between them
        curves.mark_point().encode(shape=shapes),
        alt.Chart(inline(lines)).mark_line(strokeDash=[5, 4]).encode(x=x, y=y, color=colors, opacity=said),
        expected.mark_rule(style="whisker").encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q"),
        expected.mark_point(size=95).encode(y=y, shape=shapes, tooltip=tooltip),
    ]
    title = rows[0].ability.capitalize() + ("" if along == "step" else f", by {along}")
    return Panel(title, alt.layer(*layers), [*measured, *ends])

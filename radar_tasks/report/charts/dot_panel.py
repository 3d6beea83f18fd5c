"""A panel of dots: one for each name and series on one axis, with its interval where there is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from radar_tasks.report.charts.figure import ABILITY_NAMES, Datum, Panel, color, distinct, inline, shape


@dataclass(frozen=True)
class DotAxes:
    """What the dots stand for.

    Attributes:
        names: field of the vertical axis.
        value: field of the horizontal axis.
        x_title: of the horizontal axis.
        domain: its ends; from the data without them.
        chances: where dashed lines stand.
    """

    names: str
    value: str
    x_title: str
    domain: tuple[float, float] | None = None
    chances: tuple[float, ...] = ()


def dot_panel(
    title: str,
    data: Sequence[Datum],
    order: Sequence[str],
    axes: DotAxes,
    series: Sequence[str] = tuple(ABILITY_NAMES),
) -> Panel:
    """Data hold `series`, both fields of the axes, and perhaps `low`, `high` and `is_open`: drawn as a ring."""
    several = len(distinct(data, "series")) > 1
    offset = alt.YOffset("series:N", sort=list(series)) if several else alt.Undefined
    scale = alt.Scale(domain=list(axes.domain)) if axes.domain else alt.Scale(zero=False, padding=18)
    axis = alt.Axis(labelFontSize=13, domain=False, ticks=False, grid=True)
    base = alt.Chart(inline(data)).encode(
        y=alt.Y(f"{axes.names}:N", sort=list(order), title=None, axis=axis), yOffset=offset, color=color(series)
    )
    layers: list[Any] = []
    if axes.chances:
        line = alt.Chart(inline([{"at": at} for at in axes.chances])).mark_rule(style="chance")
        layers.append(line.encode(x=alt.X("at:Q", scale=scale, title=axes.x_title)))
    if any(datum.get("low") is not None for datum in data):
        whiskers = base.transform_filter("isValid(datum.low)").mark_rule(style="whisker")
        layers.append(whiskers.encode(x=alt.X("low:Q", scale=scale, title=axes.x_title), x2="high:Q"))
    fields = [f for f in (axes.names, "run", "series", "published") if f in data[0]]
    tooltip = [alt.Tooltip(f"{f}:N") for f in fields] + [alt.Tooltip(f"{axes.value}:Q", format=".4f")]
    x = alt.X(f"{axes.value}:Q", title=axes.x_title, scale=scale)
    points = base.encode(x=x, shape=shape(series), tooltip=tooltip)
    if any(datum.get("is_open") for datum in data):
        layers.append(points.transform_filter("datum.is_open").mark_point(size=90, strokeWidth=2.25, filled=False))
        points = points.transform_filter("!datum.is_open")
    layers.append(points.mark_point(size=95))
    # A run is a line of 34 pixels, more where several runs share one: dots of neighbours must not touch.
    line_height = max(34, 16 * len(distinct(data, "series")))
    return Panel(title, alt.layer(*layers), list(data), max(line_height * len(order), 80))

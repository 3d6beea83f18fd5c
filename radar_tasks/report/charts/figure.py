"""A figure: one subject in one or more panels, for the page and for picture files.

The page lays panels out by itself (each as wide as its place); `Figure.chart` puts them into one picture. What Vega
draws are plain data (`Datum`); everything that hands rows to charts has types of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt
from altair.utils.schemapi import debug_mode

from radar_tasks.questions import ABILITIES

Datum = dict[str, Any]
"""One point as Vega reads it: field and value."""

METRIC_TITLES = {
    "sds": "Soft Discrimination Score",
    "sds_logit": "Soft Discrimination Score, raw logits",
    "acc": "Accuracy",
    "acc_logit": "Accuracy, raw logits",
    "nll": "Answer loss (nats per token)",
}

PANEL_HEIGHT = 320
SMALL_HEIGHT = 170
ABILITY_NAMES = [ability.capitalize() for ability in ABILITIES]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
"""By position, as the theme's colours."""


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        title: "" where the figure's title says it all.
        chart: marks and axes, without width, height and title.
        data: what is drawn, for the table beside it.
        height: of the axes in pixels.
    """

    title: str
    chart: alt.LayerChart | alt.FacetChart
    data: list[Datum]
    height: int = PANEL_HEIGHT


@dataclass(frozen=True)
class Figure:
    """Panels on one subject with its title and how to read it.

    Attributes:
        name: what `radar plot --chart` calls it.
        title, subtitle: above the panels; the subtitle says what bands and lines mean.
        panels: in reading order.
        columns: of panels in one picture.
        legend: names of the colours and shapes, by position; none where the curves carry their names.
    """

    name: str
    title: str
    subtitle: str
    panels: list[Panel]
    columns: int = 1
    legend: tuple[str, ...] = ()

    def chart(self, *, width: int | None = None, height: int | None = None, title: bool = True) -> alt.TopLevelMixin:
        """The panels as one picture.

        Args:
            width, height: of each panel's axes in pixels; by their number, and as they are made, without them.
            title: whether title and subtitle stand above it.
        """
        columns = min(self.columns, len(self.panels))
        wide = width or {1: 620, 2: 400}.get(columns, 250)
        parts = [
            panel.chart.properties(width=wide, height=height or panel.height, title=_panel_title(panel.title))
            for panel in self.panels
        ]
        panels = alt.concat(*parts, columns=self.columns, spacing={"column": 24, "row": 34})
        # What a colour stands for may differ from panel to panel.
        panels = panels.resolve_scale(color="independent", shape="independent")
        picture = (
            alt.vconcat(_legend(self.legend, (wide + 60) * columns), panels, spacing=12) if self.legend else panels
        )
        if not title:
            return picture
        whole = (wide + 60) * columns
        # 8.6 pixels: a letter of the title at its size, measured on Liberation Sans.
        lines = wrap(self.title, whole, 8.6)
        return picture.properties(title=alt.TitleParams(lines, subtitle=wrap(self.subtitle, whole)))


def wrap(text: str, pixels: int, letter: float = 6.3) -> list[str]:
    """A text in lines that fit so many pixels, at so many pixels a letter (the subtitle's by default)."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) > pixels / letter:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def metric_title(metric: str) -> str:
    """A metric in words."""
    return METRIC_TITLES.get(metric, metric)


def color(series: Sequence[str], field: str = "series") -> alt.Color:
    """The theme's colours by position in `series`."""
    return alt.Color(f"{field}:N", scale=alt.Scale(domain=list(series)), legend=None)


def shape(series: Sequence[str], field: str = "series") -> alt.Shape:
    """Shapes by position in `series`."""
    shapes = [SHAPES[k % len(SHAPES)] for k in range(len(series))]
    return alt.Shape(f"{field}:N", scale=alt.Scale(domain=list(series), range=shapes), legend=None)


def distinct(data: Iterable[Datum], field: str) -> list[Any]:
    """Values of a field in order of appearance."""
    return list(dict.fromkeys(datum[field] for datum in data))


def inline(data: Sequence[Datum]) -> alt.InlineData:
    """Data that the chart carries with it. They are our own: Altair's look at each of a thousand points, several times
    over, took most of the time of a page."""
    with debug_mode(False):
        return alt.InlineData(values=[dict(datum) for datum in data])


def padded(low: float, high: float) -> tuple[float, float]:
    """An axis' ends a little beyond the data."""
    pad = max((high - low) * 0.08, 0.01)
    return low - pad, high + pad


def chances(data: Sequence[Datum]) -> list[float]:
    """The different chance levels among these."""
    return [float(at) for at in distinct(data, "chance") if at is not None]


def _legend(names: Sequence[str], pixels: int) -> alt.LayerChart | alt.FacetChart:
    """Names side by side, in lines of so many pixels."""
    data: list[Datum] = []
    x, line = 6.0, 0
    for name in names:
        width = 8.0 * len(name) + 40  # a letter of a label, measured on Liberation Sans, and its mark
        if x > 6 and x + width > pixels:
            x, line = 6.0, line + 1
        data.append({"series": name, "line": line, "x": x})
        x += width
    place = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, pixels], nice=False))
    base = alt.Chart(inline(data)).encode(x=place, y=alt.Y("line:O", axis=None), color=color(names))
    points = base.mark_point(size=95).encode(shape=shape(names))
    words = base.mark_text(style="label").encode(text="series:N")
    return alt.layer(points, words).properties(height=20 * (line + 1), width=pixels)


def _panel_title(title: str) -> alt.TitleParams:
    return alt.TitleParams(title, fontSize=14, offset=8 if title else 0)

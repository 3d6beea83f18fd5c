"""A panel of curves over training: bands, points, a line at chance, and a name or a number at the end of each curve."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from radar_tasks.errors import ResultsError
from radar_tasks.report.charts.figure import (
    PANEL_HEIGHT,
    Datum,
    Panel,
    chances,
    color,
    distinct,
    inline,
    padded,
    shape,
)
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis
from radar_tasks.report.theme import CATEGORY

LABEL_PIXELS = 19
"""Least distance between two labels at the ends of curves."""
LONGEST_LABEL = 16
"""Letters of a label beside a curve; longer names go into a legend, or they would take the room of the plot."""
MOST_LABELS = len(CATEGORY["light"])
"""Labels beside the curves of a panel: as many as there are colours."""


@dataclass(frozen=True)
class CurveStyle:
    """How a panel of curves is drawn.

    Attributes:
        y_title: of the vertical axis.
        domain: its ends; from the data without them.
        height: of the axes in pixels.
        reference: what the dashed line is called.
        signed: whether numbers carry their sign.
        named: whether curves carry their names at the end, beside the number.
        names_alone: names of any length without the number, where no legend can say them.
    """

    y_title: str
    domain: tuple[float, float] | None = None
    height: int = PANEL_HEIGHT
    reference: str = "chance"
    signed: bool = False
    named: bool = True
    names_alone: bool = False


def fit_as_labels(names: Sequence[str]) -> bool:
    """Whether names are few and short enough to stand beside their curves."""
    return len(names) <= MOST_LABELS and all(len(name) <= LONGEST_LABEL - 5 for name in names)


def domain_of(data: Sequence[Datum]) -> tuple[float, float]:
    """Ends of the vertical axis that hold values, intervals and chance."""
    values = [value for datum in data for value in (datum["low"], datum["high"], datum["value"])] + chances(data)
    return padded(min(values), max(values))


def curve_panel(
    title: str, data: Sequence[Datum], series: Sequence[str], style: CurveStyle, axis: TrainingAxis = STEPS
) -> Panel:
    """Data hold `series`, `step`, `value`, `low`, `high`, `chance` (or None), and names for table and tooltip.

    Raises:
        ResultsError: none of them has a place on the axis.
    """
    drawn = axis.placed(data)
    if not drawn:
        raise ResultsError(f"{title}: all its checkpoints are at 0, which has no place on a logarithmic axis.")
    low, high = style.domain or domain_of(drawn)
    colors = color(series)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    number = ("+" if style.signed else "") + (".2f" if high - low > 0.08 else ".3f")
    y = alt.Y("value:Q", title=style.y_title, scale=scale, axis=alt.Axis(format=number))
    base = alt.Chart(inline(drawn)).encode(x=axis.encoding(drawn, small=style.height < PANEL_HEIGHT), color=colors)
    single = len(distinct(drawn, "x")) == 1
    band = base.mark_rule(style="whisker") if single else base.mark_area(style="band")
    ends = end_labels(drawn, "x", series, number=number, named=style.named)
    if style.names_alone:
        ends = [{**end, "label": end["series"]} for end in ends]
    if not style.named and not style.names_alone and len(ends) * LABEL_PIXELS > style.height / 2:
        ends = []  # numbers that stand far from the ends of their curves say nothing
    last = max(datum["x"] for datum in drawn)
    ends += [{"series": None, "x": last, "value": at, "label": label} for at, label in _references(drawn, style)]
    push_apart(ends, "value", LABEL_PIXELS / style.height * (high - low))
    layers: list[Any] = [
        chance_marks(drawn),
        band.encode(y=alt.Y("low:Q", scale=scale, title=style.y_title), y2="high:Q"),
        base.mark_line().encode(y=y),
        base.mark_point().encode(y=y, shape=shape(series), tooltip=tooltip(drawn)),
        *label_marks(ends, colors),
    ]
    return Panel(title, alt.layer(*layers), drawn, style.height)


def _references(data: Sequence[Datum], style: CurveStyle) -> list[tuple[float, str]]:
    """Reference levels with their labels, which say whose they are where there are several and there is room."""
    levels = chances(data)
    if len(levels) == 1:
        return [(levels[0], style.reference)]
    whose = {at: distinct([datum for datum in data if datum["chance"] == at], "series") for at in levels}
    if not all(fit_as_labels(names) for names in whose.values()):
        return [(at, style.reference) for at in levels]
    return [(at, f"{style.reference}, {' and '.join(whose[at]).lower()}") for at in levels]


def end_labels(
    data: Sequence[Datum], x: str, series: Sequence[str], *, number: str = ".2f", named: bool = True
) -> list[Datum]:
    """The last point of each series with its label: the name and the value, or the value alone."""
    last = [max((d for d in data if d["series"] == name), key=lambda d: d[x], default=None) for name in series]
    return [
        {
            "series": end["series"],
            "x": end[x],
            "value": end["value"],
            "label": f"{end['series']} " * named + format(end["value"], number),
        }
        for end in last
        if end is not None
    ]


def label_marks(ends: Sequence[Datum], colors: alt.Color) -> list[alt.Chart]:
    """Labels to the right of the curves' ends, in the colour of the curve; those of reference lines are plain."""
    named, plain = ([end for end in ends if bool(end["series"]) == whose] for whose in (True, False))
    place = {"x": "x:Q", "y": "value:Q", "text": "label:N"}
    marks = []
    if named:  # Vega warns of axes without data
        marks.append(alt.Chart(inline(named)).mark_text(style="label").encode(color=colors, **place))
    if plain:
        marks.append(alt.Chart(inline(plain)).mark_text(style="chance-label").encode(**place))
    return marks


def push_apart(labels: list[Datum], y: str, gap: float) -> None:
    """Moves neighbours away from each other, half the lack each, until none is closer than `gap`."""
    labels.sort(key=lambda label: label[y])
    for _ in range(50):
        for below, above in itertools.pairwise(labels):
            lack = gap - (above[y] - below[y])
            if lack > 1e-9:
                below[y] -= lack / 2
                above[y] += lack / 2


def chance_marks(data: Sequence[Datum]) -> alt.Chart:
    """Dashed lines at the chance levels."""
    levels = alt.Chart(inline([{"chance": at} for at in chances(data)]))
    marks: alt.Chart = levels.mark_rule(style="chance").encode(y="chance:Q")
    return marks


def tooltip(data: Sequence[Datum]) -> list[alt.Tooltip]:
    """Whose point it is, where, and its numbers."""
    names = [alt.Tooltip(f"{field}:N") for field in ("run", "ability", "source") if field in data[0]]
    numbers = [alt.Tooltip(f"{field}:Q", format=".4f") for field in ("value", "low", "high")]
    return [*names, alt.Tooltip("step:Q", format=","), *numbers]

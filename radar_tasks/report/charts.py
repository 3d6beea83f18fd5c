"""Charts as Altair objects, made from rows (lists of dictionaries) and nothing else.

A `Figure` is one subject in one or more panels. The page lays its panels out by itself (each as wide as its place);
`Figure.chart` puts them into one picture for PNG, SVG and PDF.

Rows of curves hold `step`, `value`, `low`, `high` (ends of the interval) and the names they belong to: `run`,
`ability`, `source`. `radar_tasks.analysis.development.tables` makes them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

Row = dict[str, Any]

METRIC_TITLES = {
    "sds": "Soft Discrimination Score",
    "sds_logit": "Soft Discrimination Score, raw logits",
    "acc": "Accuracy",
    "acc_logit": "Accuracy, raw logits",
    "nll": "Answer loss (nats per token)",
}

PANEL_HEIGHT = 320
SMALL_HEIGHT = 170
_LABEL_PIXELS = 19
"""Least distance between two labels at the ends of curves."""

_LOG_AXIS = alt.Axis(format="~s", tickCount=5)
_ABILITIES = ["Perception", "Reasoning"]
ALL = "all questions"
_SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        title: "" where the figure's title says it all.
        chart: marks and axes, without width, height and title.
        rows: what is drawn, for the table beside it.
        right: pixels that labels need beyond the axes.
        height: of the axes in pixels.
    """

    title: str
    chart: alt.LayerChart | alt.FacetChart
    rows: list[Row]
    right: int
    height: int = PANEL_HEIGHT


@dataclass(frozen=True)
class Figure:
    """Panels on one subject with its title and how to read it.

    Attributes:
        name: what `radar plot --chart` calls it.
        title, subtitle: above the panels; the subtitle says what bands and lines mean.
        panels: in reading order.
        columns: of panels in one picture.
    """

    name: str
    title: str
    subtitle: str
    panels: list[Panel]
    columns: int = 1

    def chart(self) -> alt.ConcatChart:
        """The panels as one picture."""
        width = {1: 620, 2: 400}.get(min(self.columns, len(self.panels)), 250)
        parts = [
            panel.chart.properties(width=width, height=panel.height, title=_panel_title(panel.title))
            for panel in self.panels
        ]
        title = alt.TitleParams(self.title, subtitle=wrap(self.subtitle, (width + 60) * min(self.columns, len(parts))))
        return alt.concat(*parts, columns=self.columns, title=title, spacing={"column": 24, "row": 34})


def abilities_over_steps(rows: Sequence[Row], metric: str = "sds") -> Figure:
    """Perception and reasoning over training steps with their intervals and chance.

    Args:
        rows: `run`, `ability`, `step`, `value`, `low`, `high`, `chance`. One run: both abilities in one panel; several:
            a panel an ability, a colour a run.
        metric: what `value` is.
    """
    runs = _distinct(rows, "run")
    if len(runs) == 1:
        named = [{**row, "series": row["ability"].capitalize()} for row in rows]
        panels = [_curves("", named, _ABILITIES, _metric_title(metric))]
    else:
        panels = [
            _curves(ability.capitalize(), [{**row, "series": row["run"]} for row in part], runs, _metric_title(metric))
            for ability, part in _groups(rows, "ability")
        ]
    which = f" of {runs[0]}" if len(runs) == 1 else ""
    return Figure("abilities", f"Abilities{which} over training", _how_to_read(rows), panels, columns=len(panels))


def sources_grid(rows: Sequence[Row], metric: str = "sds") -> Figure:
    """One small panel a source, on common axes. Rows as `abilities_over_steps`, with `source`."""
    runs = _distinct(rows, "run")
    low, high = _domain(rows)
    panels = []
    for source, part in _groups(rows, "source"):
        if len(runs) == 1:
            named = [{**row, "series": row["ability"].capitalize()} for row in part]
            series = _ABILITIES
        else:
            named, series = [{**row, "series": row["run"]} for row in part], runs
        panel = _curves(
            source, named, series, metric.upper(), domain=(low, high), height=SMALL_HEIGHT, named_labels=len(runs) > 1
        )
        panels.append(panel)
    legend = "" if len(runs) > 1 else " Blue circles: perception; orange squares: reasoning."
    return Figure("sources", "Every source over training", _how_to_read(rows) + legend, panels, columns=3)


def asymmetry(rows: Sequence[Row]) -> Figure:
    """Perception's lead over reasoning, chance-centred. Rows: `run`, `step`, `value`, `low`, `high`."""
    named = [{**row, "series": row["run"], "chance": 0.0} for row in rows]
    title = "Perception minus reasoning, chance-centred"
    panel = _curves("", named, _distinct(rows, "run"), title, reference="no lead", signed=True)
    subtitle = "0 is symmetric growth; 1 would be perfect perception with reasoning at chance. Bands: 95 % intervals."
    return Figure("asymmetry", "How far perception runs ahead", subtitle, [panel])


def intervention(rows: Sequence[Row], changed: str, unchanged: str) -> Figure:
    """Difference of two runs after they part, a panel an ability. Rows: `ability`, `step`, `value`, `low`, `high`."""
    panels = [
        _curves(
            ability.capitalize(),
            [{**row, "series": ability.capitalize(), "chance": 0.0} for row in part],
            _ABILITIES,
            "Difference in SDS",
            reference="no difference",
            signed=True,
        )
        for ability, part in _groups(rows, "ability")
    ]
    subtitle = "Bands hold the whole curve at 95 % (simultaneous): where one leaves 0, the change did something."
    return Figure("intervention", f"What changed: {changed} minus {unchanged}", subtitle, panels, columns=2)


def metric_comparison(rows: Sequence[Row]) -> Figure:
    """Which metric tells checkpoints apart. Rows: `run`, `ability`, `metric`, `signal_to_noise`, `monotonicity`."""
    metrics = _distinct(rows, "metric")
    named = [{**row, "series": row["ability"].capitalize()} for row in rows]
    panels = [
        _dots("Signal to noise", named, metrics, "signal_to_noise", "Range over training ÷ noise between neighbours"),
        _dots(
            "Order of training",
            named,
            metrics,
            "monotonicity",
            "Kendall's τ with the training step",
            domain=(-1.0, 1.0),
        ),
    ]
    subtitle = "Further right is better. Noise: scatter about the line between neighbouring checkpoints."
    return Figure("metrics", "Which metric tells checkpoints apart", subtitle, panels, columns=2)


def leaderboard(rows: Sequence[Row], metric: str) -> Figure:
    """Models beside the published ones. Rows: `model`, `ability`, `value`, `published`, `chance`."""
    models = _distinct(sorted(rows, key=lambda row: -_mean_of(rows, row["model"])), "model")
    named = [{**row, "series": row["ability"].capitalize()} for row in rows]
    panel = _dots("", named, models, "value", _metric_title(metric), y="model", chances=_chances(rows))
    if not any(row["published"] for row in rows):
        return Figure("leaderboard", "Models side by side", "Last checkpoints. Dashed: chance.", [panel])
    subtitle = "Filled: measured here; hollow: from the RADAR paper (its averages, no intervals). Dashed: chance."
    return Figure("leaderboard", "Beside the published models", subtitle, [panel])


def bottleneck(rows: Sequence[Row]) -> Figure:
    """What each source still lacks. Rows: `run`, `ability`, `source`, `value`, `low`, `high` (chance-centred)."""
    panels = []
    runs = _distinct(rows, "run")
    series = runs if len(runs) > 1 else _ABILITIES
    for ability, part in _groups(rows, "ability"):
        named = [{**row, "series": row["run"] if len(runs) > 1 else ability.capitalize()} for row in part]
        order = [row["source"] for row in sorted(part, key=lambda row: row["value"])]
        x = "SDS, chance-centred (0: chance, 1: perfect)"
        panels.append(
            _dots(
                ability.capitalize(),
                named,
                list(dict.fromkeys(order)),
                "value",
                x,
                y="source",
                chances=[0.0],
                series=series,
            )
        )
    subtitle = "Sources at the last checkpoint, the lowest first: what holds its ability back. Lines: 95 % intervals."
    return Figure("bottleneck", "Bottlenecks", subtitle, panels, columns=2)


def scaling(rows: Sequence[Row], lines: Sequence[Row], column: str, metric: str = "sds") -> Figure:
    """Points against a column that describes the runs, with fitted lines on a log axis.

    Args:
        rows: `ability`, `group`, `run`, `x`, `value`.
        lines: `ability`, `group`, `x`, `value`, two points a line.
        column: what `x` is.
        metric: what `value` is.
    """
    groups = _distinct(rows, "group")
    if len(groups) == 1:
        panels = [_scaling_panel("", _by_ability(rows), _by_ability(lines), _ABILITIES, column=column, metric=metric)]
    else:
        panels = [
            _scaling_panel(
                ability.capitalize(),
                [{**row, "series": row["group"]} for row in part],
                [{**row, "series": row["group"]} for row in lines if row["ability"] == ability],
                groups,
                column=column,
                metric=metric,
            )
            for ability, part in _groups(rows, "ability")
        ]
    subtitle = "Each point is a run at its last checkpoint; lines: least squares on the logarithmic axis."
    return Figure("scaling", f"Abilities against {column}", subtitle, panels, columns=2)


def _by_ability(rows: Sequence[Row]) -> list[Row]:
    return [{**row, "series": row["ability"].capitalize()} for row in rows]


def _scaling_panel(
    title: str, points: list[Row], ends: list[Row], series: list[str], *, column: str, metric: str
) -> Panel:
    color, shape = _color(series), _shape(series)
    x = alt.X("x:Q", title=f"{column} (log scale)", scale=alt.Scale(type="log", nice=False, padding=24), axis=_LOG_AXIS)
    y = alt.Y("value:Q", title=_metric_title(metric), scale=alt.Scale(zero=False, padding=14))
    tooltip = [alt.Tooltip("run:N"), alt.Tooltip("x:Q", title=column), alt.Tooltip("value:Q", format=".4f")]
    measured = alt.Chart(_data(points)).mark_point(size=95).encode(x=x, y=y, color=color, shape=shape, tooltip=tooltip)
    fitted = alt.Chart(_data(ends)).mark_line().encode(x=x, y=y, color=color)
    labels = _ends(ends or points, "x", "value", series)
    _push_apart(labels, "value", _LABEL_PIXELS / PANEL_HEIGHT * _span(points, "value"))
    layers: list[Any] = [fitted, measured, *_end_labels(labels, "x", "value", color)]
    return Panel(title, alt.layer(*layers), points, _right(labels))


def stability(rows: Sequence[Row]) -> Figure:
    """Curves from random subsets of the questions, a panel a size. Rows: `size`, `subset`, `step`, `value`, `whole`."""
    low, high = _padded(min(r["value"] for r in rows), max(r["value"] for r in rows))
    scale = alt.Scale(domain=[low, high], nice=False)
    panels = []
    for size, part in _groups(rows, "size"):
        base = alt.Chart(_data([{**row, "series": ALL} for row in part])).encode(x=_steps_axis(part, small=True))
        y = alt.Y("value:Q", title="SDS", scale=scale)
        subsets = base.mark_line(style="faint-line").encode(y=y, detail="subset:N")
        whole = base.transform_filter("datum.subset === 0").mark_line().encode(y="whole:Q", color=_color([ALL]))
        panels.append(Panel(f"{size:,} questions", alt.layer(subsets, whole), part, 12, SMALL_HEIGHT))
    subtitle = "Grey: random subsets of the questions; blue: all of them. Where grey lines cross, fewer do not suffice."
    return Figure("stability", "How many questions are enough", subtitle, panels, columns=3)


def wrap(text: str, pixels: int) -> list[str]:
    """A subtitle in lines that fit so many pixels at its font size."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) > pixels / 6.3:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _curves(
    title: str,
    rows: list[Row],
    series: list[str],
    y_title: str,
    *,
    domain: tuple[float, float] | None = None,
    height: int = PANEL_HEIGHT,
    reference: str = "chance",
    signed: bool = False,
    named_labels: bool = True,
) -> Panel:
    """Curves with bands, a line at `chance`, and the name of each at its end."""
    low, high = domain or _domain(rows)
    color, shape = _color(series), _shape(series)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    number = ("+" if signed else "") + (".2f" if high - low > 0.08 else ".3f")
    y = alt.Y("value:Q", title=y_title, scale=scale, axis=alt.Axis(format=number))
    base = alt.Chart(_data(rows)).encode(x=_steps_axis(rows, small=height < PANEL_HEIGHT), color=color)
    single = len(_distinct(rows, "step")) == 1
    band = base.mark_rule(style="whisker") if single else base.mark_area(style="band")
    ends = _ends(rows, "step", "value", series, number=number, named=named_labels)
    ends += [
        {"series": None, "step": max(row["step"] for row in rows), "value": at, "label": label}
        for at, label in _references(rows, reference)
    ]
    _push_apart(ends, "value", _LABEL_PIXELS / height * (high - low))
    layers: list[Any] = [
        alt.Chart(_data([{"chance": at} for at in _chances(rows)])).mark_rule(style="chance").encode(y="chance:Q"),
        band.encode(y=alt.Y("low:Q", scale=scale, title=y_title), y2="high:Q"),
        base.mark_line().encode(y=y),
        base.mark_point().encode(y=y, shape=shape, tooltip=_tooltip(rows)),
        *_end_labels(ends, "step", "value", color),
    ]
    return Panel(title, alt.layer(*layers), rows, _right(ends), height)


def _references(rows: Sequence[Row], name: str) -> list[tuple[float, str]]:
    """Reference levels with their labels, which say whose they are where there are several."""
    levels = _chances(rows)
    if len(levels) == 1:
        return [(levels[0], name)]
    whose = {at: _distinct([row for row in rows if row["chance"] == at], "series") for at in levels}
    return [(at, f"{name}, {' and '.join(whose[at]).lower()}") for at in levels]


def _chances(rows: Sequence[Row]) -> list[float]:
    return [float(at) for at in _distinct(rows, "chance") if at is not None]


def _dots(
    title: str,
    rows: list[Row],
    order: list[str],
    value: str,
    x_title: str,
    *,
    domain: tuple[float, float] | None = None,
    y: str = "metric",
    chances: Sequence[float] = (),
    series: list[str] = _ABILITIES,
) -> Panel:
    """A dot for each name and series on one axis, with its interval where there is one."""
    legend = len(_distinct(rows, "series")) > 1
    offset = alt.YOffset("series:N", sort=series) if legend else alt.Undefined
    scale = alt.Scale(domain=list(domain)) if domain else alt.Scale(zero=False, padding=18)
    axis = alt.Axis(labelLimit=210, labelFontSize=13, domain=False, ticks=False, grid=True)
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y(f"{y}:N", sort=order, title=None, axis=axis), yOffset=offset, color=_color(series, legend=legend)
    )
    x = alt.X(f"{value}:Q", title=x_title, scale=scale)
    layers: list[Any] = []
    if chances:
        line = alt.Chart(_data([{"at": at} for at in chances])).mark_rule(style="chance")
        layers.append(line.encode(x=alt.X("at:Q", scale=scale, title=x_title)))
    if "low" in rows[0]:
        layers.append(base.mark_rule(style="whisker").encode(x=alt.X("low:Q", scale=scale, title=x_title), x2="high:Q"))
    fields = [f for f in (y, "run", "series", "published") if f in rows[0]]
    tooltip = [alt.Tooltip(f"{f}:N") for f in fields] + [alt.Tooltip(f"{value}:Q", format=".4f")]
    points = base.encode(x=x, shape=_shape(series, legend=legend), tooltip=tooltip)
    if any(row.get("published") for row in rows):
        layers.append(points.transform_filter("datum.published").mark_point(size=90, strokeWidth=2.25, filled=False))
        points = points.transform_filter("!datum.published")
    points = points.mark_point(size=95)
    layers.append(points)
    return Panel(title, alt.layer(*layers), rows, 24, max(34 * len(order), 80))


def _ends(
    rows: Sequence[Row], x: str, y: str, series: Sequence[str], *, number: str = ".2f", named: bool = True
) -> list[Row]:
    """The last point of each series with its label: the name and the value, or the value alone."""
    last = [max((r for r in rows if r["series"] == name), key=lambda r: r[x], default=None) for name in series]
    return [
        {"series": end["series"], x: end[x], y: end[y], "label": f"{end['series']} " * named + format(end[y], number)}
        for end in last
        if end is not None
    ]


def _end_labels(ends: list[Row], x: str, y: str, color: alt.Color) -> list[alt.Chart]:
    """Labels to the right of the curves' ends, in the colour of the curve; those of reference lines are plain."""
    named = alt.Chart(_data([end for end in ends if end["series"]])).mark_text(style="label")
    plain = alt.Chart(_data([end for end in ends if not end["series"]])).mark_text(style="chance-label")
    place = {"x": f"{x}:Q", "y": f"{y}:Q", "text": "label:N"}
    return [named.encode(color=color, **place), plain.encode(**place)]


def _push_apart(labels: list[Row], y: str, gap: float) -> None:
    """Moves neighbours away from each other, half the lack each, until none is closer than `gap`."""
    labels.sort(key=lambda row: row[y])
    for _ in range(50):
        for below, above in itertools.pairwise(labels):
            lack = gap - (above[y] - below[y])
            if lack > 1e-9:
                below[y] -= lack / 2
                above[y] += lack / 2


def _right(labels: Iterable[Row]) -> int:
    return 20 + round(7.4 * max((len(row["label"]) for row in labels), default=0))


def _tooltip(rows: list[Row]) -> list[alt.Tooltip]:
    names = [alt.Tooltip(f"{field}:N") for field in ("run", "ability", "source") if field in rows[0]]
    numbers = [alt.Tooltip(f"{field}:Q", format=".4f") for field in ("value", "low", "high")]
    return [*names, alt.Tooltip("step:Q", format=","), *numbers]


def _steps_axis(rows: Sequence[Row], small: bool = False) -> alt.X:
    steps = sorted(_distinct(rows, "step"))
    form = "~s" if steps[-1] >= 10_000 else ",d"
    few = len(steps) < (5 if small else 8)
    ticks: dict[str, Any] = {"values": steps} if few else {"tickCount": 4 if small else 7}
    axis = alt.Axis(format=form, labelOverlap="greedy", labelSeparation=6, **ticks)
    pad = (steps[-1] - steps[0]) * 0.012 or 1
    scale = alt.Scale(domain=[steps[0] - pad, steps[-1] + pad], nice=False)
    return alt.X("step:Q", title="Training step", scale=scale, axis=axis)


def _color(series: list[str], legend: bool = False) -> alt.Color:
    shown = alt.Legend(title=None) if legend else None
    return alt.Color("series:N", scale=alt.Scale(domain=series), legend=shown)


def _shape(series: list[str], legend: bool = False) -> alt.Shape:
    shapes = [_SHAPES[k % len(_SHAPES)] for k in range(len(series))]
    shown = alt.Legend(title=None) if legend else None
    return alt.Shape("series:N", scale=alt.Scale(domain=series, range=shapes), legend=shown)


def _domain(rows: Sequence[Row]) -> tuple[float, float]:
    values = [value for row in rows for value in (row["low"], row["high"], row["value"])] + _chances(rows)
    return _padded(min(values), max(values))


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = max((high - low) * 0.08, 0.01)
    return low - pad, high + pad


def _span(rows: Sequence[Row], field: str) -> float:
    values = [row[field] for row in rows]
    return float(max(values) - min(values)) or 1.0


def _mean_of(rows: Sequence[Row], model: str) -> float:
    values = [row["value"] for row in rows if row["model"] == model]
    return float(sum(values) / len(values))


def _how_to_read(rows: Sequence[Row]) -> str:
    """What the bands are and how many questions they rest on."""
    questions = max((row.get("questions", 0) for row in rows), default=0)
    count = f" up to {questions:,} questions a curve." if questions else ""
    return f"Shaded: 95 % cluster-bootstrap intervals;{count} Dashed: a model that cannot tell the options apart."


def _metric_title(metric: str) -> str:
    return METRIC_TITLES.get(metric, metric)


def _panel_title(title: str) -> Any:
    return alt.TitleParams(title, fontSize=14, offset=8 if title else 0)


def _groups(rows: Sequence[Row], field: str) -> list[tuple[Any, list[Row]]]:
    return [(name, [row for row in rows if row[field] == name]) for name in _distinct(rows, field)]


def _distinct(rows: Iterable[Row], field: str) -> list[Any]:
    return list(dict.fromkeys(row[field] for row in rows))


def _data(rows: Sequence[Row]) -> alt.InlineData:
    return alt.InlineData(values=[dict(row) for row in rows])

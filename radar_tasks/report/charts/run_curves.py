"""Panels with a curve a training run: seeds of a configuration as one, colours by what varies where runs are many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import altair as alt
import numpy as np

from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.errors import ResultsError
from radar_tasks.report.charts.curve_panel import (
    MOST_LABELS,
    CurveStyle,
    chance_marks,
    curve_panel,
    end_labels,
    fit_as_labels,
    push_apart,
    tooltip,
)
from radar_tasks.report.charts.figure import PANEL_HEIGHT, Datum, Panel, color, inline, padded, shape
from radar_tasks.report.charts.training_axis import STEPS, TrainingAxis

OTHER = "other runs"
MEAN_OF_SEEDS = " Seeds of one configuration are one curve, their mean."
_SEEDS = " Seeds of one configuration are one curve: their mean, shaded from the lowest to the highest."
CROWD = " Colours say what a run varies."
_SAID_ABOVE = {"ability", "source", "questions"}
_LABEL_PIXELS = 13
"""Least distance between two labels of a crowd, which are smaller than those of few curves."""


@dataclass(frozen=True)
class RunPanels:
    """Panels, and what their figure says of them: `legend` as `Figure` has it, `reading`: how to read the curves."""

    panels: list[Panel]
    legend: tuple[str, ...]
    reading: str


def run_panels(
    data: Mapping[str, Sequence[Datum]],
    style: CurveStyle,
    axis: TrainingAxis = STEPS,
    configurations: Sequence[Configuration] = (),
) -> RunPanels:
    """A panel for each title, a curve for each configuration, or run without any.

    Up to as many curves as there are colours have one each; of more, the first has its own and the others that of
    what they vary.

    Args:
        data: by panel title, with `run`, `step`, `value`, `low`, `high`, `chance`.
        style: of the panels.
        axis: of training.
        configurations: which runs are seeds of one.

    Raises:
        ResultsError: no point of any panel has a place on the axis.
    """
    merged = {title: by_configuration(axis.placed(points), configurations) for title, points in data.items()}
    # A panel's title says what it is of: said again at each point it would be a third of a page of many runs.
    merged = {
        title: [{name: value for name, value in point.items() if name not in _SAID_ABOVE} for point in points]
        for title, points in merged.items()
        if points
    }
    if not merged:
        raise ResultsError("all checkpoints are at 0, which has no place on a logarithmic axis.")
    names = list(dict.fromkeys(datum["series"] for points in merged.values() for datum in points))
    seeds = _SEEDS if are_joined(names, configurations) else ""
    groups = curve_groups(names, configurations)
    if len(set(groups.values())) == len(names):
        named = style.named and fit_as_labels(names)
        style = replace(style, named=named)
        panels = [curve_panel(title, points, names, style, axis) for title, points in merged.items()]
        return RunPanels(panels, () if named else tuple(names), seeds)
    panels = [_crowd_panel(title, points, groups, style, axis) for title, points in merged.items()]
    return RunPanels(panels, tuple(dict.fromkeys(groups.values())), seeds + CROWD)


def by_configuration(data: Sequence[Datum], configurations: Sequence[Configuration]) -> list[Datum]:
    """Curves of runs as curves of configurations, whose names become `series` and `run`.

    Args:
        data: with `run`, `x`, `value`, `low` and `high`.
        configurations: a run that is in none of them stays as it is.

    Returns:
        Of several runs the mean, with the lowest and the highest as `low` and `high`, where all of them have a
        checkpoint. Runs of a configuration that have none in common stay as they are.
    """
    of_run = {run: of for of in configurations for run in of.runs}
    places: dict[str, dict[float, list[Datum]]] = {}
    for datum in data:
        of = of_run.get(datum["run"])
        name = datum["run"] if of is None else of.name
        places.setdefault(name, {}).setdefault(datum["x"], []).append(datum)
    seeds = {of.name: len(of.runs) for of in configurations}
    made: list[Datum] = []
    for name, at in places.items():
        shared = [members for members in at.values() if len(members) == seeds.get(name, 1)]
        if not shared:
            made += [{**datum, "series": datum["run"]} for members in at.values() for datum in members]
        for members in shared:
            joined = {**members[0], "run": name, "series": name}
            if len(members) > 1:
                values = [datum["value"] for datum in members]
                joined |= {"value": float(np.mean(values)), "low": min(values), "high": max(values)}
            made.append(joined)
    return made


def are_joined(names: Sequence[str], configurations: Sequence[Configuration]) -> bool:
    """Whether any of these curves is of several seeds."""
    return any(len(of.runs) > 1 and of.name in names for of in configurations)


def curve_groups(names: Sequence[str], configurations: Sequence[Configuration]) -> dict[str, str]:
    """What colours stand for, by curve: itself, or where there are more than colours, what it varies.

    The configuration that the others are compared with, or the first curve where none are given, stands for itself.
    Keys are in the order of the groups.
    """
    if len(names) <= MOST_LABELS:
        return {name: name for name in names}
    first = configurations[0].name if configurations else names[0]
    varies = {name: of.varies for of in configurations for name in (of.name, *of.runs)}
    # The first is among them even where it is not drawn (what is compared with it), so that colours mean the same.
    groups = {first: first} | {name: varies.get(name, "") or OTHER for name in names if name != first}
    if len(set(groups.values())) > MOST_LABELS:
        groups = {name: name if name == first else OTHER for name in groups}
    order = list(dict.fromkeys([first, *(of.varies for of in configurations if of.varies), *groups.values()]))
    order = [group for group in order if group != OTHER] + [OTHER]
    return dict(sorted(groups.items(), key=lambda item: order.index(item[1])))


def under_pointer(panel: str) -> alt.Parameter:
    """The curve of the point that is nearest to the pointer, in a panel of this title."""
    name = f"hovered_{hashlib.sha256(panel.encode()).hexdigest()[:12]}"  # one in a figure, and a name that Vega takes
    return alt.selection_point(name, fields=["series"], on="pointerover", nearest=True, empty=False, clear="pointerout")


def crowd_lines(base: alt.Chart, hovered: alt.Parameter) -> alt.Chart:
    """Thin lines, of which the one under the pointer stands out."""
    lines: alt.Chart = base.mark_line(style="crowd-line").encode(
        strokeWidth=alt.condition(hovered, alt.value(4), alt.value(1.6)),
        opacity=alt.condition(hovered, alt.value(1.0), alt.value(0.8)),
    )
    return lines


def _crowd_panel(
    title: str, data: Sequence[Datum], groups: Mapping[str, str], style: CurveStyle, axis: TrainingAxis
) -> Panel:
    """More curves than colours. The one under the pointer stands out, with its band; bands of all would hide them."""
    drawn = [{**datum, "group": groups[datum["series"]]} for datum in data]
    kinds = list(dict.fromkeys(groups.values()))
    values = [datum["value"] for datum in drawn] + [datum["chance"] for datum in drawn if datum["chance"] is not None]
    low, high = style.domain or padded(min(values), max(values))
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    number = ("+" if style.signed else "") + (".2f" if high - low > 0.08 else ".3f")
    y = alt.Y("value:Q", title=style.y_title, scale=scale, axis=alt.Axis(format=number))
    small = style.height < PANEL_HEIGHT
    height = style.height if small else max(style.height, _LABEL_PIXELS * (len(groups) + 2))
    hovered = under_pointer(title)
    colors = color(kinds, "group")
    base = alt.Chart(inline(drawn)).encode(x=axis.encoding(drawn, small=small), color=colors, detail="series:N")
    ends = [] if small else end_labels(drawn, "x", list(groups), number=number)
    ends = [{**end, "label": end["series"], "group": groups[end["series"]]} for end in ends]
    push_apart(ends, "value", _LABEL_PIXELS / height * (high - low))
    layers: list[Any] = [
        chance_marks(drawn),
        base.mark_area(style="band", clip=True).encode(
            y=alt.Y("low:Q", scale=scale, title=style.y_title),
            y2="high:Q",
            opacity=alt.condition(hovered, alt.value(0.25), alt.value(0.0)),
        ),
        crowd_lines(base.encode(y=y), hovered),
        base.mark_point(style="crowd-point")
        .encode(y=y, shape=shape(kinds, "group"), tooltip=tooltip(drawn))
        .add_params(hovered),
    ]
    if ends:
        words = alt.Chart(inline(ends)).mark_text(style="crowd-label")
        layers.append(words.encode(x="x:Q", y="value:Q", text="label:N", color=colors))
    return Panel(title, alt.layer(*layers), drawn, height)

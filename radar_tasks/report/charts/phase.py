"""Perception against reasoning: the way of each training in the plane of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from radar_metrics.discrimination import chance_centred
from radar_tasks.analysis.development.curve_points import CurvePoint
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.figure import Datum, Figure, Panel, color, distinct, inline, padded, shape
from radar_tasks.report.charts.run_curves import (
    CROWD,
    MEAN_OF_SEEDS,
    are_joined,
    by_configuration,
    crowd_lines,
    curve_groups,
    under_pointer,
)

_SIDE = 380


def phase_plane(points: Sequence[CurvePoint], configurations: Sequence[Configuration] = ()) -> Figure | None:
    """Both abilities chance-centred, a line a configuration, a point a checkpoint; None where a run has not both."""
    data = _both(points, configurations)
    if not data:
        return None
    curves = distinct(data, "series")
    groups = curve_groups(curves, configurations)
    names = tuple(dict.fromkeys(groups.values()))
    reading = MEAN_OF_SEEDS if are_joined(curves, configurations) else ""
    subtitle = (
        "0 is chance, 1 perfect; a point is a checkpoint, training goes upwards and to the right. On the dashed line "
        f"both grow alike; below it perception is ahead.{reading}{CROWD if len(groups) > len(names) else ''}"
    )
    return Figure("phase", "Perception against reasoning", subtitle, [_panel(data, groups)], legend=names)


def _both(points: Sequence[CurvePoint], configurations: Sequence[Configuration]) -> list[Datum]:
    """Configurations at the steps that have both abilities, seeds by their mean."""
    sides: dict[str, list[Datum]] = {}
    for point in points:
        if point.chance is not None:
            value, low, high = (chance_centred(n, point.chance) for n in (point.value, point.low, point.high))
            datum = {"run": point.run, "step": point.step, "x": point.step, "value": value, "low": low, "high": high}
            sides.setdefault(point.ability, []).append(datum)
    merged = {
        ability: {(d["series"], d["step"]): d["value"] for d in by_configuration(of, configurations)}
        for ability, of in sides.items()
    }
    reasoning = merged.get("reasoning", {})
    return [
        {"run": name, "series": name, "step": step, "perception": value, "reasoning": reasoning[name, step]}
        for (name, step), value in merged.get("perception", {}).items()
        if (name, step) in reasoning
    ]


def _panel(data: Sequence[Datum], groups: Mapping[str, str]) -> Panel:
    drawn = [{**datum, "group": groups[datum["series"]]} for datum in data]
    kinds = list(dict.fromkeys(groups.values()))
    values = [datum[side] for datum in drawn for side in ("perception", "reasoning")] + [0.0]
    low, high = padded(min(values), max(values))
    scale = alt.Scale(domain=[low, high], nice=False)
    hovered = under_pointer("")
    base = alt.Chart(inline(drawn)).encode(
        x=alt.X("perception:Q", title="Perception, chance-centred", scale=scale, axis=alt.Axis(format=".1f")),
        y=alt.Y("reasoning:Q", title="Reasoning, chance-centred", scale=scale, axis=alt.Axis(format=".1f")),
        order=alt.Order("step:Q"),
        detail="series:N",
        color=color(kinds, "group"),
    )
    numbers = [alt.Tooltip(f"{side}:Q", format=".4f") for side in ("perception", "reasoning")]
    diagonal = alt.Chart(inline([{"low": low, "high": high}])).mark_rule(style="chance")
    layers: list[Any] = [
        diagonal.encode(x="low:Q", x2="high:Q", y="low:Q", y2="high:Q"),
        crowd_lines(base, hovered),
        base.mark_point(style="phase-point")
        .encode(
            shape=shape(kinds, "group"), tooltip=[alt.Tooltip("run:N"), alt.Tooltip("step:Q", format=","), *numbers]
        )
        .add_params(hovered),
    ]
    return Panel("", alt.layer(*layers), drawn, _SIDE)

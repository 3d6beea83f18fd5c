"""What each source still lacks at the last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

import altair as alt

from radar_tasks.analysis.development.bottleneck import Bottleneck
from radar_tasks.analysis.development.tables import FEW_RUNS
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.dot_panel import DotAxes, dot_panel
from radar_tasks.report.charts.figure import ABILITY_NAMES, Datum, Figure, Panel, inline

_CELL = 24
_FULL = 0.6
"""From here on a cell is so dark that its number is written in the other colour."""


def bottleneck(rows: Sequence[Bottleneck], configurations: Sequence[Configuration] = ()) -> Figure:
    """A panel an ability, the lowest source first; colours are runs where there are several, columns where many."""
    runs = list(dict.fromkeys(row.run for row in rows))
    if len(runs) > FEW_RUNS:
        return _cells(rows, configurations)
    single = len(runs) == 1
    axes = DotAxes("source", "value", "SDS, chance-centred (0: chance, 1: perfect)", chances=(0.0,))
    panels = []
    for ability in dict.fromkeys(row.ability for row in rows):
        members = sorted((row for row in rows if row.ability == ability), key=lambda row: row.value)
        data = [
            {
                "run": row.run,
                "source": row.source,
                "series": ability.capitalize() if single else row.run,
                "value": row.value,
                "low": row.low,
                "high": row.high,
            }
            for row in members
        ]
        order = list(dict.fromkeys(row.source for row in members))
        panels.append(dot_panel(ability.capitalize(), data, order, axes, ABILITY_NAMES if single else runs))
    which = f" of {runs[0]}" if single else ""
    subtitle = (
        f"Sources{which} at the last checkpoint, the lowest first: what holds its ability back. Lines: 95 % intervals."
    )
    return Figure("bottleneck", "Bottlenecks", subtitle, panels, columns=2, legend=() if single else tuple(runs))


def _cells(rows: Sequence[Bottleneck], configurations: Sequence[Configuration]) -> Figure:
    """Sources by configurations, darker where more of the way from chance to perfect is done."""
    of_run = {run: of.name for of in configurations for run in of.runs}
    shown = {of_run.get(row.run, row.run) for row in rows}
    order = list(dict.fromkeys([*(of.name for of in configurations if of.name in shown), *sorted(shown)]))
    panels = []
    for ability in dict.fromkeys(row.ability for row in rows):
        values: dict[tuple[str, str], list[float]] = {}
        for row in rows:
            if row.ability == ability:
                values.setdefault((row.source, of_run.get(row.run, row.run)), []).append(row.value)
        data: list[Datum] = [
            {"source": source, "run": run, "value": sum(of) / len(of)} for (source, run), of in values.items()
        ]
        mean = {s: [d["value"] for d in data if d["source"] == s] for s in dict.fromkeys(d["source"] for d in data)}
        sources = sorted(mean, key=lambda source: sum(mean[source]) / len(mean[source]))
        panels.append(_cell_panel(ability.capitalize(), data, sources, order))
    subtitle = (
        "At each run's last checkpoint, chance-centred: 0 is chance, 1 perfect; the sources that hold their ability "
        "back most stand first. Of several seeds their mean."
    )
    return Figure("bottleneck", "What each can do at its end", subtitle, panels)


def _cell_panel(title: str, data: Sequence[Datum], sources: Sequence[str], runs: Sequence[str]) -> Panel:
    axis = alt.Axis(domain=False, ticks=False, labelFontSize=12)
    base = alt.Chart(inline(data)).encode(
        y=alt.Y("source:N", sort=list(sources), title=None, axis=axis),
        x=alt.X("run:N", sort=list(runs), title=None, axis=alt.Axis(domain=False, ticks=False, labelAngle=-40)),
    )
    tooltip = [alt.Tooltip("source:N"), alt.Tooltip("run:N"), alt.Tooltip("value:Q", format=".3f")]
    scale = alt.Scale(domain=[0, 1], clamp=True, interpolate="rgb")
    number = alt.Text("value:Q", format=".2f")
    chart = alt.layer(
        base.mark_rect().encode(color=alt.Color("value:Q", scale=scale, legend=None), tooltip=tooltip),
        base.transform_filter(f"datum.value < {_FULL}").mark_text(style="cell-label").encode(text=number),
        base.transform_filter(f"datum.value >= {_FULL}").mark_text(style="cell-label-full").encode(text=number),
    )
    return Panel(title, chart, list(data), _CELL * len(sources))

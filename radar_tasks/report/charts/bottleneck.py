"""What each source still lacks at the last checkpoint."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.bottleneck import Bottleneck
from radar_tasks.report.charts.dot_panel import DotAxes, dot_panel
from radar_tasks.report.charts.figure import ABILITY_NAMES, Figure


def bottleneck(rows: Sequence[Bottleneck]) -> Figure:
    """A panel an ability, the lowest source first; colours are runs where there are several."""
    runs = list(dict.fromkeys(row.run for row in rows))
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

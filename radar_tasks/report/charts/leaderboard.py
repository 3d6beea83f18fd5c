"""Models side by side, with the published ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from radar_tasks.analysis.leaderboard import SDS_LOGIT, AbilityAverage
from radar_tasks.report.charts.dot_panel import DotAxes, dot_panel
from radar_tasks.report.charts.figure import ABILITY_NAMES, Figure, metric_title


def leaderboard(rows: Sequence[AbilityAverage]) -> Figure:
    """Averages by raw logits, the best model first."""
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.model, []).append(row.value)
    models = sorted(values, key=lambda model: -sum(values[model]) / len(values[model]))
    data = [{**asdict(row), "series": row.ability.capitalize(), "is_open": row.published} for row in rows]
    levels = tuple(dict.fromkeys(row.chance for row in rows if row.chance is not None))
    panel = dot_panel("", data, models, DotAxes("model", "value", metric_title(SDS_LOGIT), chances=levels))
    own = "last checkpoints, with 95 % intervals"
    if not any(row.published for row in rows):
        title, subtitle = "Models side by side", f"Averages of {own}. Dashed: chance."
    else:
        title = "Beside the published models"
        subtitle = f"Filled: measured here, {own}; hollow: from the RADAR paper (no intervals). Dashed: chance."
    return Figure("leaderboard", title, subtitle, [panel], legend=tuple(ABILITY_NAMES))

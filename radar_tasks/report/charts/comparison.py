"""Training against training: how far runs are ahead of the first one, over the steps that both have."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.compare_trainings import TrainingComparison
from radar_tasks.report.charts.curve_panel import CurveStyle, curve_panel, fit_as_labels
from radar_tasks.report.charts.figure import Datum, Figure
from radar_tasks.report.charts.training_axis import TrainingAxis
from radar_tasks.report.theme import CATEGORY

_DRAWN = len(CATEGORY["light"])
"""How many runs are drawn: as many as there are colours. All of them stand in the table."""


def comparison(made: Sequence[TrainingComparison], log: bool = False) -> Figure:
    """Differences of the abilities from the first run, a panel an ability, a colour a run; matched by step."""
    drawn = list(made[:_DRAWN])
    names = [one.second for one in drawn]
    named = fit_as_labels(names)
    style = CurveStyle(f"Difference in {made[0].metric}", reference="equal", signed=True, named=named)
    data: dict[str, list[Datum]] = {}
    for one in drawn:
        for row in one.rows:
            if row.of_ability:
                data.setdefault(row.ability, []).extend(
                    {
                        "run": one.second,
                        "ability": row.ability,
                        "step": point.at,
                        "value": point.value,
                        "low": point.low,
                        "high": point.high,
                        "series": one.second,
                        "chance": 0.0,
                    }
                    for point in row.points
                )
    axis = TrainingAxis(log=log)
    panels = [curve_panel(ability.capitalize(), points, names, style, axis) for ability, points in data.items()]
    seeds = "Runs of one seed each: bands know the questions' luck, not the seed's."
    subtitle = "Bands hold the whole curve at 95 %: where one leaves 0, these two runs differ."
    more = f" Drawn are the first {len(drawn)} of {len(made)}." if len(made) > len(drawn) else ""
    title = f"Training against training: each run minus {made[0].first}"
    legend = () if named else tuple(names)
    return Figure("comparison", title, f"{subtitle} {seeds}{more}", panels, columns=2, legend=legend)

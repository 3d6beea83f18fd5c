"""Training against training: how far others are ahead of the first one, over the steps that both have."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.compare_trainings import TrainingComparison
from radar_tasks.analysis.run_factors import Configuration
from radar_tasks.report.charts.curve_panel import CurveStyle
from radar_tasks.report.charts.figure import Datum, Figure
from radar_tasks.report.charts.run_curves import run_panels
from radar_tasks.report.charts.training_axis import TrainingAxis


def comparison(
    made: Sequence[TrainingComparison], log: bool = False, configurations: Sequence[Configuration] = ()
) -> Figure:
    """Differences of the abilities from the first configuration, a panel an ability, a curve a configuration.

    Args:
        made: matched by step.
        log: whether steps stand on a logarithmic axis.
        configurations: what varies in each, where they are too many for a colour each.
    """
    data: dict[str, list[Datum]] = {}
    for one in made:
        for row in one.rows:
            if row.of_ability:
                data.setdefault(row.ability.capitalize(), []).extend(
                    {
                        "run": one.second,
                        "ability": row.ability,
                        "step": point.at,
                        "value": point.value,
                        "low": point.low,
                        "high": point.high,
                        "chance": 0.0,
                    }
                    for point in row.points
                )
    # What is compared are configurations already: a name each, and nothing to put together.
    named = [Configuration(of.name, (of.name,), of.varies) for of in configurations]
    style = CurveStyle(f"Difference in {made[0].metric}", reference="equal", signed=True)
    drawn = run_panels(data, style, TrainingAxis(log=log), named)
    alone = sum(not one.over_seeds for one in made)
    seeds = "Runs of one seed each: bands know the questions' luck, not the seed's."
    if not alone:
        seeds = "The spread between seeds is in the bands."
    elif alone < len(made):
        seeds = "The spread between seeds is in the bands, but for one seed against one: there questions alone."
    subtitle = f"Bands hold the whole curve at 95 %: where one leaves 0, the two differ. {seeds}{drawn.reading}"
    title = f"Training against training: each minus {made[0].first}"
    return Figure("comparison", title, subtitle, drawn.panels, columns=2, legend=drawn.legend)

"""The table of a run's growth: a row per checkpoint, a column per ability or source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from radar_tasks.questions import ABILITIES, SAMPLE_PREFIX, Ability

if TYPE_CHECKING:
    from radar_tasks.analysis.development.curve_points import CurvePoint
    from radar_tasks.analysis.development.tables import Development
    from radar_tasks.results import CheckpointResult


def growth_tables(made: Development, runs: Sequence[CheckpointResult]) -> list[Table]:
    """One table per ability: SDS with half its 95% interval, accuracy below it; the average first, then the sources."""
    accuracies = {run.step: _accuracies(run) for run in runs}
    return [table for ability in ABILITIES if (table := _table(ability, made, accuracies)) is not None]


def _table(ability: Ability, made: Development, accuracies: Mapping[int | None, Mapping[str, float]]) -> Table | None:
    rows = [row for row in [*made.abilities, *made.sources] if row.ability == ability]
    if not rows:
        return None
    names = list(dict.fromkeys(row.source for row in rows))
    chances = {_short(row.source): row.chance for row in rows if row.chance is not None}
    table = Table(
        title=f"{ability.capitalize()}: SDS ± half a 95% interval, accuracy below",
        caption="chance: " + ", ".join(f"{name} {level:.2f}" for name, level in chances.items()),
        title_justify="left",
        caption_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=0,
        pad_edge=False,
        show_edge=False,
    )
    table.add_column("step", justify="right")
    for name in names:
        table.add_column("average" if name == ability else _short(name), justify="right", no_wrap=True)
    for step in dict.fromkeys(row.step for row in rows):
        at_step = {row.source: row for row in rows if row.step == step}
        table.add_row(f"{step:,}", *(_cell(at_step[name], accuracies[step][name]) for name in names))
    return table


def _cell(row: CurvePoint, accuracy: float) -> Text:
    """Bold where the whole interval lies above chance."""
    style = "bold" if row.chance is not None and row.low > row.chance else "dim"
    half = f"{(row.high - row.low) / 2:.3f}".removeprefix("0")
    return Text(f"{row.value:.3f} ±{half}", style).append(f"\n{accuracy:.3f}      ", "dim")


def _accuracies(run: CheckpointResult) -> dict[str, float]:
    from radar_tasks.results.metrics import metric_table

    return {row.ability if row.is_average else row.name: row.values["acc"] for row in metric_table(run)}


def _short(name: str) -> str:
    return name.removeprefix(SAMPLE_PREFIX)

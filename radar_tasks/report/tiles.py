"""The numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from radar_tasks.analysis.development.curve_points import CurvePoint, last_points
from radar_tasks.analysis.development.tables import Development
from radar_tasks.questions import Ability
from radar_tasks.results import CheckpointResult


@dataclass(frozen=True)
class Tile:
    """A number: what it is and whose, the number, and a line below."""

    name: str
    number: str
    below: str


def tiles(made: Development, runs: Sequence[CheckpointResult]) -> list[Tile]:
    """Both abilities of each training run at its last checkpoint (of many, their range), then what was run."""
    last = last_points(made.abilities)
    shown: list[Tile] = []
    if made.has_many_runs:
        shown += _ranges(made.metric, last)
    else:
        several = len({training for training, _ in last}) > 1
        for (training, ability), point in last.items():
            whose = f" · {training}" if several else ""
            below = f"{made.metric.upper()} at step {point.step:,}, 95 % {point.low:.3f} to {point.high:.3f}"
            shown.append(Tile(f"{ability.capitalize()}{whose}", f"{point.value:.3f}", below))
    experiments = len(dict.fromkeys(run.experiment for run in runs))
    what = "training run" if experiments == 1 else "training runs"
    if any(len(of.runs) > 1 for of in made.configurations):
        what += f", {len(made.configurations)} configurations"
    shown.append(Tile("Checkpoints", f"{len(runs):,}", f"of {experiments} {what}"))
    questions: dict[str, int] = {}
    for run in runs:
        for name, samples in run.sources.items():
            questions[name] = max(questions.get(name, 0), len(samples))
    sources = f"{len(questions)} source" + ("" if len(questions) == 1 else "s")
    shown.append(Tile("Questions", f"{sum(questions.values()):,}", f"from {sources}, each asked once per checkpoint"))
    return shown


def _ranges(metric: str, last: Mapping[tuple[str, Ability], CurvePoint]) -> Iterator[Tile]:
    """From the lowest to the highest end of each ability."""
    for ability in dict.fromkeys(ability for _, ability in last):
        ends = [point.value for point in last.values() if point.ability == ability]
        below = f"{metric.upper()} at the last step, lowest to highest of {len(ends)} runs"
        yield Tile(ability.capitalize(), f"{min(ends):.2f} – {max(ends):.2f}", below)

"""The numbers at the top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radar_tasks.analysis.development.tables import Development
from radar_tasks.results import CheckpointResult

_TRAININGS = 3
"""How many training runs have tiles of their own; of more, the chart below says it better."""


@dataclass(frozen=True)
class Tile:
    """A number: what it is and whose, the number, and a line below."""

    name: str
    number: str
    below: str


def tiles(made: Development, runs: Sequence[CheckpointResult]) -> list[Tile]:
    """Both abilities of each of the first training runs at its last checkpoint, then what was run."""
    trainings = list(dict.fromkeys(point.run for point in made.abilities))
    shown = []
    for training in trainings[:_TRAININGS]:
        whose = f" · {training}" if len(trainings) > 1 else ""
        last = {point.ability: point for point in made.abilities if point.run == training}
        for ability, point in last.items():
            below = f"{made.metric.upper()} at step {point.step:,}, 95 % {point.low:.3f} to {point.high:.3f}"
            shown.append(Tile(f"{ability.capitalize()}{whose}", f"{point.value:.3f}", below))
    experiments = len(dict.fromkeys(run.experiment for run in runs))
    what = "training run" if experiments == 1 else "training runs"
    shown.append(Tile("Checkpoints", f"{len(runs):,}", f"of {experiments} {what}"))
    questions: dict[str, int] = {}
    for run in runs:
        for name, samples in run.sources.items():
            questions[name] = max(questions.get(name, 0), len(samples))
    sources = f"{len(questions)} source" + ("" if len(questions) == 1 else "s")
    shown.append(Tile("Questions", f"{sum(questions.values()):,}", f"from {sources}, each asked once per checkpoint"))
    return shown

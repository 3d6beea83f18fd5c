"""`radar guard`: did an ability fall in this training, since when, and why."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from radar_tasks.cli._options import Results
from radar_tasks.cli._runs import runs_of
from radar_tasks.errors import ALARMED

if TYPE_CHECKING:
    from radar_tasks.analysis.guardian import Alarm, Guardian


def command(results: Results) -> None:
    """Name abilities and sources that fell by more than noise, one line of JSON each; exit status 4 if any did."""
    from radar_tasks.analysis.guardian import Guardian
    from radar_tasks.analysis.training_runs import training_runs

    trainings, notes = training_runs(runs_of(results))
    for note in notes:
        print(note, file=sys.stderr)
    alarmed = False
    for training in trainings:
        guardian = Guardian.of(training.results)
        alarmed = alarmed or bool(guardian.alarms)
        tell(guardian.alarms, training.name)
        if not guardian.alarms:
            print(f"{training.name}: {_without_alarm(guardian, len(training.results))}", file=sys.stderr)
    if alarmed:
        raise typer.Exit(ALARMED)


def _without_alarm(guardian: Guardian, measurements: int) -> str:
    """Why there is none: a fall that is seen in the curve is not passed over in silence."""
    from radar_tasks.analysis.guardian import LEAST, LEAST_OF_SOURCE

    if (dip := guardian.nearest) is None:
        return f"nothing fell beyond noise in {measurements} measurements"
    return (
        f"no alarm in {measurements} measurements; nearest to one came {dip.name}, which fell by {dip.fell_by:.3f} SDS "
        f"(standard error {dip.error:.3f}) from step {dip.before} to step {dip.step}: an alarm needs {LEAST} "
        f"(a source: {LEAST_OF_SOURCE}) beyond noise"
    )


def tell(alarms: Iterable[Alarm], training: str) -> None:
    """One line of JSON an alarm."""
    for alarm in alarms:
        print(json.dumps({"training": training, **asdict(alarm)}, ensure_ascii=False), flush=True)

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
    from radar_tasks.analysis.guardian import Alarm


def command(results: Results) -> None:
    """Name abilities and sources that fell by more than noise, one line of JSON each; exit status 4 if any did."""
    from radar_tasks.analysis.guardian import alarms_of
    from radar_tasks.analysis.training_runs import training_runs

    trainings, notes = training_runs(runs_of(results))
    for note in notes:
        print(note, file=sys.stderr)
    alarmed = False
    for training in trainings:
        alarms = alarms_of(training.results)
        alarmed = alarmed or bool(alarms)
        tell(alarms, training.name)
        if not alarms:
            print(f"{training.name}: nothing fell in {len(training.results)} measurements", file=sys.stderr)
    if alarmed:
        raise typer.Exit(ALARMED)


def tell(alarms: Iterable[Alarm], training: str) -> None:
    """One line of JSON an alarm."""
    for alarm in alarms:
        print(json.dumps({"training": training, **asdict(alarm)}, ensure_ascii=False), flush=True)

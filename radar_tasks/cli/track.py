"""`radar track`: follow a training run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from radar_tasks.cli import report as report_command
from radar_tasks.cli._options import ModelArgs, Project
from radar_tasks.cli.guard import tell as tell_alarms
from radar_tasks.errors import ALARMED, QUESTIONS_LEFT_OUT, RadarError

if TYPE_CHECKING:
    from radar_tasks.analysis.guardian import Alarm
    from radar_tasks.results import CheckpointResult


RENEWED = 30
"""Seconds after which an open page reads itself again while `--watch` runs."""


class Log(str, Enum):
    """Trackers that scores can be logged to."""

    wandb = "wandb"
    tensorboard = "tensorboard"
    trackio = "trackio"


def command(
    checkpoints: Annotated[
        list[str], typer.Argument(help="Checkpoint folders, or a quoted pattern: 'runs/exp1/checkpoint-*'.")
    ],
    *,
    output: Annotated[Path, typer.Option(help="The folder for results, one subfolder per checkpoint.")],
    tasks: Annotated[str, typer.Option(help="Tasks or groups, separated by commas.")] = "radar",
    model_args: ModelArgs = "",
    every: Annotated[int, typer.Option(min=1, help="Score only checkpoints whose step is a multiple of this.")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="Number of questions per source, a stratified part.")] = None,
    until: Annotated[
        float | None,
        typer.Option(help="Stop asking once each ability is seen to rise, fall, or change by at most this SDS."),
    ] = None,
    batch_size: Annotated[str, typer.Option(help="Questions per batch, or auto.")] = "auto",
    share_features: Annotated[
        bool, typer.Option(help="Keep the features of a vision tower that checkpoints share; at most 20 GB.")
    ] = True,
    prior: Annotated[
        Literal["blind", "blank"] | None,
        typer.Option(help="Also score every question without its picture: left out (blind) or grey (blank)."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep waiting for new checkpoints until interrupted.")] = False,
    report: Annotated[Path | None, typer.Option(help="A report page to update after each checkpoint.")] = None,
    guard: Annotated[
        bool, typer.Option("--guard", help="Name abilities that fell, one line of JSON each; exit status 4 if any did.")
    ] = False,
    log: Annotated[Log | None, typer.Option(help="A tracker to log each checkpoint's scores to.")] = None,
    project: Project = "radar",
) -> None:
    """Score every checkpoint that has no finished result yet; run it again to continue where it stopped."""
    from radar_tasks.follow.discovery import find_checkpoints

    if not watch:
        find_checkpoints(checkpoints, every)  # before anything slow is imported: a pattern is easily mistyped

    from radar_tasks.follow.track import Tracker
    from radar_tasks.harness.ranks import failing_together, ranks
    from radar_tasks.paths import data_home
    from radar_tasks.run_arguments import model_arguments

    left_out = False
    guarding: _Guarding | None = None
    try:
        with ExitStack() as open_trackers:
            tell: Callable[[CheckpointResult], None] | None = None
            with failing_together():
                if ranks().is_main_process:
                    tell = _telling(log, project, output, report, open_trackers, live=RENEWED if watch else 0)
                    guarding = _Guarding(output, tell) if guard else None
            tracker = Tracker(
                patterns=checkpoints,
                tasks=[task.strip() for task in tasks.split(",") if task.strip()],
                output=output,
                model_args=model_arguments(model_args) | ({"prior": prior} if prior else {}),
                every=every,
                limit=limit,
                until=until,
                batch_size=batch_size,
                feature_store=data_home() / "features" if share_features else None,
                on_result=guarding or tell or (lambda _: None),
            )
            if guarding is not None:
                guarding.look_at_former()
            if watch:
                tracker.watch()
            failed = bool(tracker.once())
            left_out = bool(tracker.left_out)
    except RadarError as error:  # every rank has met it
        if ranks().is_main_process:
            print(f"radar: {error}", file=sys.stderr, flush=True)
        failed = True
    ranks().wait_for_everyone()  # a launcher ends all ranks when the first one leaves with a failure
    if failed:
        raise typer.Exit(1)
    if guarding is not None and guarding.alarmed:
        raise typer.Exit(ALARMED)
    if left_out:
        raise typer.Exit(QUESTIONS_LEFT_OUT)


class _Guarding:
    """What happens with each result where the run is guarded: alarms of the whole training that were not told yet.

    Args:
        output: the folder of all results.
        then: what else happens with a result.
    """

    def __init__(self, output: Path, then: Callable[[CheckpointResult], None]) -> None:
        self._output, self._then = output, then
        self._told: set[tuple[str, Alarm]] = set()

    @property
    def alarmed(self) -> bool:
        """Whether anything was told."""
        return bool(self._told)

    def __call__(self, result: CheckpointResult) -> None:
        self._then(result)
        self._look()

    def look_at_former(self) -> None:
        """Tell what the results of former calls say, if there are any: a run may have nothing left to score."""
        if any(self._output.rglob("*_results.json")):
            self._look()

    def _look(self) -> None:
        from radar_tasks.analysis.guardian import Guardian
        from radar_tasks.analysis.training_runs import training_runs
        from radar_tasks.results import find_runs

        try:
            # Results of former calls belong to the training, and checkpoints may come in any order.
            trainings, _ = training_runs(find_runs([self._output]), at_least=1)
        except RadarError as error:
            print(f"radar: {error}", file=sys.stderr, flush=True)
            return
        for training in trainings:
            alarms = Guardian.of(training.results).alarms
            new = [alarm for alarm in alarms if (training.name, alarm) not in self._told]
            self._told.update((training.name, alarm) for alarm in new)
            tell_alarms(new, training.name)


def _telling(
    log: Log | None, project: str, output: Path, report: Path | None, open_trackers: ExitStack, *, live: int
) -> Callable[[CheckpointResult], None]:
    """What happens on the first rank with each result; what fails there is said, for scoring goes on without it.

    Raises:
        RadarError: the tracker is not installed.
    """
    from radar_tasks.export.trackers import TrackerRuns

    runs = None
    if log is not None:
        runs = open_trackers.enter_context(TrackerRuns(log.value, project, output / "tensorboard"))

    def tell(result: CheckpointResult) -> None:
        try:
            if runs is not None:
                runs.log(result)
            if report is not None:
                report_command.command([str(output)], output=report, live=live)
        except RadarError as error:
            print(f"radar: {error}", file=sys.stderr, flush=True)

    return tell

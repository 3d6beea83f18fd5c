"""Results in experiment trackers: a tracker's run a training, a step a checkpoint, one name for one number.

`radar export` logs all results at once, `radar track --log` each checkpoint when it is finished; the names are those of
`radar_tasks.results.tracker_values`, which `RadarCallback` logs as well.

A training has one run in a tracker, however often it is exported: its id is made from project and training, and what
was logged once is noted in `RADAR_HOME/trackers` and not logged again. Checkpoints are scored out of step with training
(and with each other), so that Weights & Biases gets an axis of its own, `radar/step`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol

from radar_tasks.errors import RadarError
from radar_tasks.export.values import Value, values_of
from radar_tasks.files import write_whole
from radar_tasks.paths import data_home
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import METRICS
from radar_tasks.results.origin import named
from radar_tasks.results.tracker_values import tracker_values
from radar_tasks.results.until_record import until_record

Tracker = Literal["wandb", "trackio", "tensorboard"]


class _Run(Protocol):
    """One run of a tracker."""

    def log(self, numbers: dict[str, float], step: int | None) -> None:
        """One checkpoint's numbers."""

    def log_table(self, values: Sequence[Value]) -> None:
        """All values as a table, where the tracker has tables."""

    def finish(self) -> None:
        """Nothing more will come."""


def log_runs(
    results: Sequence[CheckpointResult], tracker: Tracker, project: str, folder: Path = Path("tensorboard")
) -> list[str]:
    """Logs results, those of a training by step, and all their values as the table `radar/values`.

    Args:
        results: from `find_runs`.
        tracker: which one.
        project: the tracker's project.
        folder: of TensorBoard's event files; a folder per training below it.

    Returns:
        Names of the tracker's runs.

    Raises:
        RadarError: the tracker is not installed, or refuses to begin.
    """
    with TrackerRuns(tracker, project, folder) as runs:
        trainings: dict[str, list[CheckpointResult]] = {}
        for result in results:
            trainings.setdefault(training_of(result), []).append(result)
        for members in trainings.values():
            fresh = [runs.log(result) for result in sorted(members, key=lambda result: result.step or 0)]
            if any(fresh):
                runs.log_table([value for result in members for value in values_of(result)])
    return list(trainings)


def training_of(result: CheckpointResult) -> str:
    """What a tracker calls the training of a result; results without images are another one."""
    return f"{result.experiment} ({result.withheld})" if result.withheld else result.experiment


class TrackerRuns:
    """The runs of a tracker, one a training, for `with`; one of them is open at a time.

    Args:
        tracker: which one.
        project: the tracker's project.
        folder: of TensorBoard's event files.

    Raises:
        RadarError: the tracker is not installed.
    """

    def __init__(self, tracker: Tracker, project: str, folder: Path) -> None:
        self._tracker, self._project, self._folder = tracker, project, folder
        self._module = _module(tracker)
        self._training = ""
        self._run: _Run | None = None

    def __enter__(self) -> TrackerRuns:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._finish()

    def log(self, result: CheckpointResult) -> bool:
        """Logs one checkpoint; False where the same numbers of it were logged before.

        Raises:
            RadarError: the tracker refuses to begin a run, or does not take the numbers; nothing is noted then.
        """
        numbers = tracker_values(result.sources, metrics=tuple(METRICS), until=until_record(result.scoring))
        digest = hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()
        logged = _Logged(self._tracker, self._project, training_of(result), self._folder)
        if logged.digests.get(result.name) == digest:
            return False
        run = self._open(result)
        try:
            run.log(numbers, result.step)
        except Exception as error:  # the network is gone, the disk is full: the next result begins anew
            self._run = None
            raise RadarError(f"{self._tracker} did not take {result.label}: {_said(error)}") from None
        logged.note(result.name, digest)
        return True

    def log_table(self, values: Sequence[Value]) -> None:
        """All values of the training that was logged last."""
        if self._run is not None:
            self._run.log_table(values)

    def _open(self, result: CheckpointResult) -> _Run:
        training = training_of(result)
        if self._run is None or training != self._training:
            self._finish()
            config = named({"experiment": training, "data": result.data, "scoring": result.scoring})
            try:
                if self._tracker == "tensorboard":
                    self._run = _TensorBoard(self._module, self._folder / _plain(training))
                else:
                    kind = _WandB if self._tracker == "wandb" else _Trackio
                    self._run = kind(self._module, self._project, training, config)
            except Exception as error:  # each tracker has errors of its own: no login, no network, a full disk
                remedy = " Log in with `wandb login`, or set WANDB_MODE=offline." if self._tracker == "wandb" else ""
                raise RadarError(
                    f"{self._tracker} did not begin a run for {training}: {_said(error)}.{remedy}"
                ) from None
            self._training = training
        return self._run

    def _finish(self) -> None:
        if self._run is not None:
            self._run.finish()
            self._run = None


class _WandB:
    def __init__(self, module: Any, project: str, training: str, config: Any) -> None:
        self._module = module
        run_id = _run_id(project, training)
        module.init(project=project, name=_plain(training), id=run_id, resume="allow", config=config)
        module.define_metric("radar/step")
        module.define_metric("radar/*", step_metric="radar/step")

    def log(self, numbers: dict[str, float], step: int | None) -> None:
        self._module.log(numbers if step is None else {**numbers, "radar/step": step})

    def log_table(self, values: Sequence[Value]) -> None:
        columns = [field.name for field in fields(Value)]
        rows = [list(asdict(value).values()) for value in values]
        self._module.log({"radar/values": self._module.Table(columns=columns, data=rows)})

    def finish(self) -> None:
        self._module.finish()


class _Trackio:
    def __init__(self, module: Any, project: str, training: str, config: Any) -> None:
        self._module = module
        # trackio knows a run by its name.
        module.init(project=project, name=_plain(training), resume="allow", config=config)

    def log(self, numbers: dict[str, float], step: int | None) -> None:
        self._module.log(numbers, step=step)

    def log_table(self, values: Sequence[Value]) -> None:
        import pandas as pd  # half a second, for this tracker alone

        frame = pd.DataFrame([asdict(value) for value in values])
        self._module.log({"radar/values": self._module.Table(dataframe=frame)})

    def finish(self) -> None:
        self._module.finish()


class _TensorBoard:
    """Event files by TensorBoard's own writer; it has no tables."""

    def __init__(self, module: Any, folder: Path) -> None:
        self._writer = module.EventFileWriter(str(folder))
        self._proto = importlib.import_module("tensorboard.compat.proto.event_pb2")
        self._summary = importlib.import_module("tensorboard.compat.proto.summary_pb2")

    def log(self, numbers: dict[str, float], step: int | None) -> None:
        values = [self._summary.Summary.Value(tag=tag, simple_value=number) for tag, number in numbers.items()]
        summary = self._summary.Summary(value=values)
        self._writer.add_event(self._proto.Event(summary=summary, step=step or 0))

    def log_table(self, values: Sequence[Value]) -> None:
        """TensorBoard has none."""

    def finish(self) -> None:
        self._writer.close()


class _Logged:
    """What of a training was logged, `digests` of its numbers by checkpoint.

    TensorBoard's stands beside its event files and goes with them; those of the other trackers in the data home.
    """

    def __init__(self, tracker: Tracker, project: str, training: str, folder: Path) -> None:
        if tracker == "tensorboard":
            self._file = folder / _plain(training) / "radar_logged.json"
        else:
            self._file = data_home() / "trackers" / f"{tracker}-{_run_id(project, training)}.json"
        self.digests: dict[str, str] = self._read()

    def note(self, name: str, digest: str) -> None:
        """Notes a checkpoint. Raises `RadarError` where the note cannot be written."""
        self.digests[name] = digest
        write_whole(self._file, json.dumps(self.digests, indent=1) + "\n")

    def _read(self) -> dict[str, str]:
        try:
            noted = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return {str(name): str(digest) for name, digest in noted.items()} if isinstance(noted, dict) else {}


def _module(tracker: Tracker) -> Any:
    modules = {"tensorboard": "tensorboard.summary.writer.event_file_writer"}
    try:
        return importlib.import_module(modules.get(tracker, tracker))
    except ModuleNotFoundError:
        raise RadarError(f"{tracker} is not installed: pip install {tracker}") from None
    except ImportError as error:  # it is there, and something that it needs is not or does not fit
        raise RadarError(f"{tracker} cannot be imported: {error}") from None


def _said(error: Exception) -> str:
    """The first line of what a tracker says, for some say forty."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def _run_id(project: str, training: str) -> str:
    return hashlib.sha256(f"{project}\n{training}".encode()).hexdigest()[:16]


def _plain(training: str) -> str:
    """A training's name as trackers and folders take it."""
    return training.strip("/").replace("/", "-")

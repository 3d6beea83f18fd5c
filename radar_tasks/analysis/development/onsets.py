"""How well a metric says when an ability emerged, where that is known: bias, delay, and what it says of nothing.

An onset is planted: until a known step the training holds no document that teaches a source. What is said to emerge at
or before that step did so falsely. The delay of a metric is told from the first checkpoint after the onset, the first
at which anything could be seen. A control is a source that a run never learns.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import stdtrit

from radar_metrics.curves import Curve
from radar_metrics.development import emergence
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.study_curves import source_curve, study_of
from radar_tasks.errors import DataError, ResultsError
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import available_everywhere
from radar_tasks.sources.record_files import DelimitedFile, sound_records

EMERGING_METRICS = ("sds", "sds_pmi", "sds_free", "acc")
"""Those that have a chance level and so say when an ability emerges."""
_COLUMNS = ("run", "source", "onset")
_NEVER = "never"
_RESAMPLES = 2_000


@dataclass(frozen=True)
class OnsetDetection:
    """What one metric says of one source with a planted onset.

    Attributes:
        run, source, metric: what was asked.
        onset: the step until which nothing taught the source; None for a control.
        first_chance: the first checkpoint after it; None for a control.
        emergence: the step from which the metric stays above chance, or None.
        late: how many checkpoints after `first_chance` that is; below 0 where it was said too early, None where never.
    """

    run: str
    source: str
    metric: str
    onset: float | None
    first_chance: float | None
    emergence: float | None
    late: int | None

    @property
    def is_control(self) -> bool:
        """Whether the source is never learnt."""
        return self.onset is None

    @property
    def behind(self) -> float | None:
        """Emergence minus onset in steps, 0 or less where it was said falsely; None for a control and where never."""
        return None if self.onset is None or self.emergence is None else self.emergence - self.onset


@dataclass(frozen=True)
class OnsetQuality:
    """One metric over all planted onsets and controls.

    Attributes:
        metric: a name of `METRICS`.
        onsets: number of runs and sources with a planted onset.
        found: those that are said to emerge after the onset.
        early: those that are said to emerge at or before it, falsely.
        never: those of which nothing is said.
        delay: mean number of checkpoints between the first chance and the emergence, of those found, with its 95 %
            interval over runs (Student's t); None with fewer than two runs.
        bias: mean of emergence minus onset in steps, of all that emerge, early ones included; None where none does.
        controls, false_alarms: runs and sources that never learn, and those that are said to emerge.
    """

    metric: str
    onsets: int
    found: int
    early: int
    never: int
    delay: Interval | None
    bias: float | None
    controls: int
    false_alarms: int


def read_onsets(file: Path, sources: Mapping[str, Collection[str]]) -> dict[str, dict[str, float | None]]:
    """Reads a CSV file with the columns `run`, `source` and `onset`: a step, or `never` for a control.

    Args:
        file: the table.
        sources: by training run the sources that it was scored on.

    Returns:
        What `onset_detections` takes.

    Raises:
        ResultsError: no such file or columns, a broken or repeated row, an unknown run or source, an onset that is no
            step; names file and line.
    """
    try:
        table = DelimitedFile(file, ",", trimmed=True)
        if set(table.columns) != set(_COLUMNS):
            there = ", ".join(table.columns)
            raise ResultsError(f"{file}: the columns run, source and onset are needed, there are {there}.")
        rows = sound_records(table)
    except DataError as error:
        raise ResultsError(f"{error}; a table with the columns run, source and onset is needed.") from None
    found: dict[str, dict[str, float | None]] = {}
    for row in rows:
        run, source, onset = (row.values.get(name, "") for name in _COLUMNS)
        where = f"{file}, line {row.line}"
        if run not in sources:
            raise ResultsError(f"{where}: no training run is called {run!r}; there are {', '.join(sources)}.")
        if source not in sources[run]:
            raise ResultsError(f"{where}: {run} was not scored on {source!r}, but on {', '.join(sources[run])}.")
        if source in found.setdefault(run, {}):
            raise ResultsError(f"{where}: {source} of {run} comes twice.")
        if onset != _NEVER and not onset.isdecimal():
            raise ResultsError(f"{where}: the onset must be a step, or {_NEVER} for a control, not {onset!r}.")
        found[run][source] = None if onset == _NEVER else float(onset)
    return found


def emerging_metrics(runs: Sequence[TrainingRun]) -> list[str]:
    """Those of `EMERGING_METRICS` that every source of every checkpoint has."""
    return available_everywhere(
        EMERGING_METRICS, (part for run in runs for result in run.results for part in result.sources.values())
    )


def onset_detections(
    runs: Sequence[TrainingRun],
    onsets: Mapping[str, Mapping[str, float | None]],
    metrics: Sequence[str],
    rng: np.random.Generator,
) -> list[OnsetDetection]:
    """What each metric says, by the product's own rule of emergence (`radar_metrics.development.emergence`).

    Args:
        runs: training runs.
        onsets: by run and source the planted step; None for a control, which is never learnt.
        metrics: means over questions that have a chance level.
        rng: source of the resamples.

    Raises:
        ResultsError: an unknown run or source, or a metric that is not a mean over questions with a chance level.
    """
    named = {run.name: run for run in runs}
    made = []
    for name, sources in onsets.items():
        if name not in named:
            raise ResultsError(f"no training run is called {name!r}; there are {', '.join(named)}.")
        study = study_of([named[name]])
        for source, onset in sources.items():
            if source not in study.sources:
                raise ResultsError(f"{name} was not scored on {source}, but on {', '.join(study.sources)}.")
            for metric in metrics:
                found = source_curve(study.scores(source, metric), metric, rng, _RESAMPLES)
                if found.chance is None:
                    raise ResultsError(f"{metric} has no chance level: it does not say when something emerges.")
                curve = Curve(study.amounts, found.values[0], found.replicates[:, 0])
                made.append(_detection((name, source, metric), onset, curve.steps, emergence(curve, found.chance)))
    return made


def onset_qualities(detections: Sequence[OnsetDetection]) -> list[OnsetQuality]:
    """A row per metric, in the order of the detections."""
    by_metric: dict[str, list[OnsetDetection]] = {}
    for detection in detections:
        by_metric.setdefault(detection.metric, []).append(detection)
    return [_quality(metric, of) for metric, of in by_metric.items()]


def _detection(
    asked: tuple[str, str, str], onset: float | None, steps: FloatArray, emerged: float | None
) -> OnsetDetection:
    if onset is None:
        return OnsetDetection(*asked, None, None, emerged, None)
    run, source, _ = asked
    later = np.flatnonzero(steps > onset)
    if not len(later):
        raise ResultsError(f"{run}: no checkpoint after the onset of {source} at step {onset:,g}.")
    late = None if emerged is None else int(np.searchsorted(steps, emerged)) - int(later[0])
    return OnsetDetection(*asked, onset, float(steps[later[0]]), emerged, late)


def _quality(metric: str, rows: Sequence[OnsetDetection]) -> OnsetQuality:
    planted = [row for row in rows if not row.is_control]
    controls = [row for row in rows if row.is_control]
    late: dict[str, list[int]] = {}
    for row in planted:
        if row.late is not None and row.late >= 0:
            late.setdefault(row.run, []).append(row.late)
    behind = [row.behind for row in planted if row.behind is not None]
    return OnsetQuality(
        metric=metric,
        onsets=len(planted),
        found=sum(row.late is not None and row.late >= 0 for row in planted),
        early=sum(row.late is not None and row.late < 0 for row in planted),
        never=sum(row.late is None for row in planted),
        delay=_over_runs([float(np.mean(of)) for of in late.values()]),
        bias=float(np.mean(behind)) if behind else None,
        controls=len(controls),
        false_alarms=sum(row.emergence is not None for row in controls),
    )


def _over_runs(means: Sequence[float]) -> Interval | None:
    """Mean over runs with Student's interval: the sources of a run are not independent."""
    if len(means) < 2:
        return None
    mean, error = float(np.mean(means)), float(np.std(means, ddof=1) / np.sqrt(len(means)))
    half = -float(stdtrit(len(means) - 1, 0.025)) * error
    return Interval(mean, mean - half, mean + half)

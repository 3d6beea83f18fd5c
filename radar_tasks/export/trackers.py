"""Tables and curves in Weights & Biases or trackio: a tracker's run an experiment, a step a checkpoint."""

from __future__ import annotations

import importlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any, Literal

from radar_tasks.errors import RadarError
from radar_tasks.export.values import Value, values_of
from radar_tasks.results import CheckpointResult
from radar_tasks.results.origin import named

Tracker = Literal["wandb", "trackio"]


def log_runs(runs: Sequence[CheckpointResult], tracker: Tracker, project: str) -> list[str]:
    """Logs every value as `radar/<source or average>/<metric>` at its step, and all as the table `radar/values`.

    Args:
        runs: from `find_runs`.
        tracker: which one.
        project: the tracker's project.

    Returns:
        Names of the tracker's runs.

    Raises:
        RadarError: the tracker is not installed.
    """
    module = _module(tracker)
    experiments: dict[str, list[CheckpointResult]] = defaultdict(list)
    for run in runs:
        experiments[f"{run.experiment} ({run.withheld})" if run.withheld else run.experiment].append(run)
    for name, members in experiments.items():
        config = named({"experiment": name, "data": members[-1].data, "scoring": members[-1].scoring})
        module.init(project=project, name=name.replace("/", "-"), config=config)
        values = [(run, values_of(run)) for run in sorted(members, key=lambda run: run.step or 0)]
        for run, of in values:
            module.log({f"radar/{v.name}/{v.metric}": v.value for v in of}, step=run.step)
        rows = [value for _, of in values for value in of]
        module.log({"radar/values": _table(module, tracker, rows)}, step=values[-1][0].step)
        module.finish()
    return list(experiments)


def _module(tracker: Tracker) -> Any:
    try:
        return importlib.import_module(tracker)
    except ImportError:
        raise RadarError(f"{tracker} is not installed: pip install {tracker}") from None


def _table(module: Any, tracker: Tracker, values: Sequence[Value]) -> Any:
    columns = [field.name for field in fields(Value)]
    rows = [list(asdict(value).values()) for value in values]
    if tracker == "wandb":
        return module.Table(columns=columns, data=rows)
    import pandas as pd

    return module.Table(dataframe=pd.DataFrame(rows, columns=columns))

"""What `radar analyze`, `plot` and `report` share: from results folders to the tables of development."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._runs import runs_of

if TYPE_CHECKING:
    from radar_tasks.analysis.development.tables import Development
    from radar_tasks.results import CheckpointResult

Results = Annotated[list[str], typer.Argument(help="Results folders or files of one or more runs.")]
Descriptions = Annotated[
    Path | None,
    typer.Option("--runs", help="CSV or YAML that gives runs their steps, groups and amounts (data, parameters, …)."),
]
Metric = Annotated[str, typer.Option(help="What the curves show: sds, sds_logit, acc, …")]
Parting = Annotated[
    int | None,
    typer.Option(help="The last step that two experiments share; the second is compared with the first after it."),
]
Seed = Annotated[int, typer.Option(help="Of the resamples.")]


def develop(
    results: Sequence[str], descriptions: Path | None, metric: str, parting: int | None, seed: int
) -> tuple[Development, list[CheckpointResult]]:
    """The tables and the runs they were made from. Raises as the functions that it calls."""
    import numpy as np

    from radar_tasks.analysis.development.curves import training_curves
    from radar_tasks.analysis.development.tables import development
    from radar_tasks.analysis.run_descriptions import read_descriptions, with_descriptions

    rows = read_descriptions(descriptions) if descriptions else []
    runs = with_descriptions(runs_of(results), rows)
    rng = np.random.default_rng(seed)
    trainings, notes = training_curves(runs, rng, metric)
    return development(trainings, runs, rng, descriptions=rows, parting=parting, notes=notes), runs

"""A small YAML or CSV file that says what runs were: their steps, data volume, parameters, group, and what differs.

    run,experiment,step,images,parameters,group
    final,exp1,1000,,,
    exp1,,,595000,1300000000,1B

Each row is about one checkpoint or about one experiment, by its name or the end of its path. Columns other than `run`,
`experiment`, `step`, `group`, `factor` and `level` are amounts that abilities are drawn against; an empty cell says
nothing.

    run,factor,level
    base-1,width,128
    base-1,mix,base
    base-2,width,128
    base-2,mix,base
    wide-1,width,256
    rich-1,mix,rich

says in what runs differ: each row puts a run at a level of a factor. Runs at the same levels of the same factors are
seeds of one configuration.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from radar_tasks.errors import RadarError
from radar_tasks.results import CheckpointResult
from radar_tasks.validation import validation_problems


class RunDescription(BaseModel):
    """One row of the file. Amounts are kept in `model_extra`."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True)
    __pydantic_extra__: dict[str, FiniteFloat] = Field(init=False)

    run: str = Field(min_length=1)
    experiment: str | None = None
    step: int | None = Field(default=None, ge=0)
    group: str | None = None
    factor: str | None = None
    level: str | None = None

    @model_validator(mode="after")
    def _a_level_of_a_factor(self) -> RunDescription:
        if (self.factor is None) != (self.level is None):
            raise ValueError("`factor` and `level` stand together: what differs, and what it is in this run")
        return self

    @property
    def amounts(self) -> dict[str, float]:
        """Amount by column."""
        return dict(self.__pydantic_extra__ or {})

    def is_about(self, name: str) -> bool:
        """Whether it describes the checkpoint or experiment of this name or path."""
        return name == self.run or name.endswith(f"/{self.run}")

    def is_about_checkpoint(self, result: CheckpointResult) -> bool:
        """Whether it describes this checkpoint, by its name or the end of its path."""
        # The file may name an experiment by more of its path than tables show.
        places = (result.experiment, result.path)
        if self.experiment is not None and not any(f"/{place}".endswith(f"/{self.experiment}") for place in places):
            return False
        return any(self.is_about(f"{place}/{result.name}") for place in places)


def read_descriptions(path: Path) -> list[RunDescription]:
    """The rows of a `.csv`, `.yaml` or `.yml` file.

    Raises:
        RadarError: the file cannot be read, or a row is not as described; names the row.
    """
    rows = _rows(path)
    described = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise RadarError(f"{path}, row {number}: {row!r} is not a row with the column `run`.")
        try:
            described.append(RunDescription(**{str(k): v for k, v in row.items() if v not in ("", None)}))
        except ValidationError as error:
            column, wrong = validation_problems(error)[0]
            place = f", column {column!r}" if column else ""
            raise RadarError(f"{path}, row {number}{place}: {wrong}") from None
    return described


def with_descriptions(
    runs: Sequence[CheckpointResult], descriptions: Sequence[RunDescription]
) -> list[CheckpointResult]:
    """Runs with the steps and experiments that the file gives them.

    Raises:
        RadarError: a row with a step is about no run.
    """
    for row in descriptions:
        if row.step is not None and not any(row.is_about(run.name) for run in runs):
            raise RadarError(f"no run is called {row.run!r}; there are {', '.join(run.name for run in runs)}.")
    return [_described(run, descriptions) for run in runs]


def _described(run: CheckpointResult, descriptions: Sequence[RunDescription]) -> CheckpointResult:
    for row in descriptions:
        if row.is_about(run.name) and (row.step is not None or row.experiment is not None):
            step = run.step if row.step is None else row.step
            return replace(run, step=step, experiment=row.experiment or run.experiment)
    return run


def _rows(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".csv":
            return list(csv.DictReader(text.splitlines()))
        if path.suffix.lower() in (".yaml", ".yml"):
            loaded = yaml.safe_load(text)
            return loaded if isinstance(loaded, list) else [loaded]
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RadarError(f"{path} cannot be read: {error}") from None
    raise RadarError(f"{path}: the file that describes runs is .csv or .yaml.")

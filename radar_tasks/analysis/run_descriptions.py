"""A small YAML or CSV file that says what runs were: their steps, data volume, parameters, group, and what differs.

    run,experiment,step,images,parameters,group
    final,exp1,1000,,,
    exp1,,,595000,1300000000,1B

Each row is about one checkpoint or about one experiment, by its name or the end of its path. Columns other than `run`,
`experiment`, `step`, `group`, `factor` and `level` are amounts that abilities are drawn against; an empty cell says
nothing. Two rows of one name that contradict each other are refused, and two steps or experiments of one checkpoint,
by whatever names.

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

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, field_validator, model_validator

from radar_tasks.errors import DataError, RadarError
from radar_tasks.results import CheckpointResult
from radar_tasks.results.origin import experiment_names
from radar_tasks.sources.record_files import DelimitedFile, shortened, sound_records
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

    @field_validator("run", "experiment")
    @classmethod
    def _as_results_name_it(cls, name: str | None) -> str | None:
        return name and (name.rstrip("/") or name)

    @model_validator(mode="after")
    def _a_level_of_a_factor(self) -> RunDescription:
        if (self.factor is None) != (self.level is None):
            raise ValueError("`factor` and `level` must be given together: what varies, and its value in this run")
        return self

    @property
    def amounts(self) -> dict[str, float]:
        """Amount by column."""
        return dict(self.__pydantic_extra__ or {})

    def is_about_training(self, result: CheckpointResult) -> bool:
        """Whether it describes the training that this checkpoint is of, by its name or the end of its path."""
        return any(map(self._names, _trainings(result)))

    def is_about_checkpoint(self, result: CheckpointResult) -> bool:
        """Whether it describes this checkpoint: by its name or the end of its path, and by `experiment` where given."""
        among = _trainings(result)
        if self.experiment is not None and not any(f"/{place}".endswith(f"/{self.experiment}") for place in among):
            return False
        return self.names_checkpoint(result)

    def names_checkpoint(self, result: CheckpointResult) -> bool:
        """Whether the checkpoint is called so, whatever its training is called."""
        return any(map(self._names, (f"{result.experiment}/{result.name}", result.place)))

    def _names(self, name: str) -> bool:
        return name == self.run or name.endswith(f"/{self.run}")


def _trainings(result: CheckpointResult) -> tuple[str, ...]:
    """What the training of a checkpoint may be called: as in tables, or by more of its path than they show."""
    return result.experiment, result.path, result.place.rpartition("/")[0]


def read_descriptions(path: Path) -> list[RunDescription]:
    """The rows of a `.csv`, `.yaml` or `.yml` file.

    Raises:
        RadarError: the file cannot be read, a row is not as described, or two rows contradict each other; names the
            rows.
    """
    described: list[RunDescription] = []
    said: dict[tuple[str | None, ...], tuple[object, str]] = {}
    for row_place, line, row in _rows(path):
        where = row_place + line
        given = {name: value for name, value in row.items() if value not in ("", None)}
        try:
            made = RunDescription(**given)
        except ValidationError as error:
            column, wrong = validation_problems(error)[0]
            place = f", column {column!r}" if column else ""
            raise RadarError(f"{row_place}{place}: {wrong}{line}") from None
        for of, value in _statements(made).items():
            before, place = said.setdefault(of, (value, where))
            if before != value:
                raise RadarError(f"{where}: {of[-1]} of {made.run!r} is {value} here and {before} in {place}.")
        described.append(made)
    return described


def _statements(row: RunDescription) -> dict[tuple[str | None, ...], object]:
    """What a row says, by what it is said of: a run has one step, one amount of a column, one level of a factor."""
    given = {"step": row.step, "group": row.group, **row.amounts}
    said: dict[tuple[str | None, ...], object] = {
        (row.run, row.experiment, name): value for name, value in given.items() if value is not None
    }
    return said if row.factor is None else {**said, (row.run, row.experiment, "factor", row.factor): row.level}


def with_descriptions(
    runs: Sequence[CheckpointResult], descriptions: Sequence[RunDescription]
) -> list[CheckpointResult]:
    """Runs with the steps and experiments that the file gives them.

    Raises:
        RadarError: a row with a step is about no run, or two rows give one checkpoint two steps or experiments.
    """
    for row in descriptions:
        if row.step is not None and not any(map(row.names_checkpoint, runs)):
            there = ", ".join(dict.fromkeys(run.name for run in runs))
            raise RadarError(f"no run is called {row.run!r}; there are {there}.")
    made = [_described(run, descriptions) for run in runs]
    names = experiment_names(run.path for run in made)
    return [
        replace(run, experiment=names[run.path]) if run.path != before.path else run
        for run, before in zip(made, runs, strict=True)
    ]


def runs_without_results(runs: Sequence[CheckpointResult], descriptions: Sequence[RunDescription]) -> list[str]:
    """What rows are about that no result is of: a name that is misspelt, or a run that is not looked at now."""
    return list(
        dict.fromkeys(
            row.run
            for row in descriptions
            if not any(row.is_about_training(run) or row.names_checkpoint(run) for run in runs)
        )
    )


def _described(run: CheckpointResult, descriptions: Sequence[RunDescription]) -> CheckpointResult:
    rows = [row for row in descriptions if row.names_checkpoint(run)]
    # Of rows about checkpoints of one name those that name its training are meant; others give it one.
    rows = [row for row in rows if row.is_about_checkpoint(run)] or rows
    steps = list(dict.fromkeys(row.step for row in rows if row.step is not None))
    experiments = list(dict.fromkeys(row.experiment for row in rows if row.experiment is not None))
    for what, found in (("step", steps), ("experiment", experiments)):
        if len(found) > 1:
            both = " and ".join(map(str, found))
            raise RadarError(f"the file of --runs gives {run.place} more than one {what}: {both}.")
    if experiments:
        run = replace(run, experiment=experiments[0])
    elif steps and run.place == run.path and "/" in run.path:
        # Checkpoints of one folder are one training, also where it is not the name that tells the step.
        run = replace(run, path=run.path.rpartition("/")[0])
    return replace(run, step=steps[0]) if steps else run


class _Texts(yaml.SafeLoader):
    """YAML whose values are texts, as those of CSV are: the run `0400` is not a number in base 8. Keys are unique."""

    yaml_implicit_resolvers = {  # noqa: RUF012 (as yaml writes it)
        letter: [(tag, form) for tag, form in forms if tag.endswith((":null", ":merge"))]
        for letter, forms in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if repeated := next((name for name in names if names.count(name) > 1), None):
            raise yaml.composer.ComposerError(
                None, None, f"the key {shortened(repeated)} comes more than once", node.start_mark
            )
        return node


def _rows(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    """Each row, behind the file's name with its number and the words for its line, where that is known."""
    if path.suffix.lower() == ".csv":
        return _csv_rows(path)
    if path.suffix.lower() not in (".yaml", ".yml"):
        raise RadarError(f"{path}: the file that describes runs is .csv or .yaml.")
    try:
        loaded = yaml.load(path.read_text(encoding="utf-8-sig"), _Texts)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RadarError(f"{path} cannot be read: {error}") from None
    except RecursionError:
        raise RadarError(f"{path} cannot be read: it is nested too deeply") from None
    rows = []
    for number, row in enumerate(loaded if isinstance(loaded, list) else [loaded], 1):
        where = f"{path}, row {number}"
        if not isinstance(row, Mapping):
            raise RadarError(
                f"{where}: a row with the column `run` is needed, as in `- {{run: exp1, images: 595000}}`."
            )
        if None in row:
            raise RadarError(f"{where}: the value {row[None]!r} has no name.")
        rows.append((where, "", {str(name): value for name, value in row.items()}))
    return rows


def _csv_rows(path: Path) -> list[tuple[str, str, dict[str, Any]]]:
    table = DelimitedFile(path, ",", trimmed=True)
    if "run" not in table.columns:
        there = ", ".join(map(shortened, table.columns))
        raise DataError(f"{path}: there is no column `run`; the header names {there}.")
    return [(f"{path}, row {row.number}", f" (line {row.line})", dict(row.values)) for row in sound_records(table)]

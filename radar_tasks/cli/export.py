"""`radar export`: results for leaderboards, papers and trackers."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from radar_tasks.cli._options import Project, Results, each_once
from radar_tasks.cli._runs import runs_of
from radar_tasks.errors import RadarError

if TYPE_CHECKING:
    from radar_tasks.results import CheckpointResult


class Format(str, Enum):
    """What can be written."""

    eval_results = "eval_results"
    every_eval_ever = "every_eval_ever"
    csv = "csv"
    parquet = "parquet"
    markdown = "markdown"
    latex = "latex"
    wandb = "wandb"
    trackio = "trackio"
    tensorboard = "tensorboard"


TRACKERS: dict[Format, Literal["wandb", "trackio", "tensorboard"]] = {
    Format.wandb: "wandb",
    Format.trackio: "trackio",
    Format.tensorboard: "tensorboard",
}


class Relationship(str, Enum):
    """Of the evaluator to the model, in the words of Every Eval Ever."""

    first_party = "first_party"
    third_party = "third_party"
    collaborative = "collaborative"
    other = "other"


def command(
    results: Results,
    form: Annotated[Format, typer.Option("--format", help="Format to write.")],
    output: Annotated[
        Path | None,
        typer.Option(help="The file to write; a folder for eval_results, every_eval_ever and tensorboard."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            callback=each_once,
            help="A metric of the markdown or latex table (default: sds, sds_logit); may be repeated.",
        ),
    ] = None,
    dataset_id: Annotated[
        str, typer.Option(help="eval_results: the benchmark's data set on the Hub, OWNER/NAME.")
    ] = "",
    model_id: Annotated[str, typer.Option(help="every_eval_ever: the model on the Hub, OWNER/NAME.")] = "",
    organisation: Annotated[str, typer.Option(help="every_eval_ever: who made these results.")] = "",
    relationship: Annotated[
        Relationship, typer.Option(help="every_eval_ever: your relationship to the model.")
    ] = Relationship.third_party,
    project: Project = "radar",
) -> None:
    """Write results for leaderboards, papers and trackers; each value with metric, questions, data and version."""
    runs = runs_of(results)
    if form in TRACKERS:
        from radar_tasks.export.trackers import log_runs

        if form is Format.tensorboard and output is None:
            raise RadarError("--format tensorboard needs --output, the folder of the event files.")
        for name in log_runs(runs, TRACKERS[form], project, output or Path()):
            print(f"{form.value}, {output if form is Format.tensorboard else f'project {project}'}: {name}")
        return
    if output is None:
        raise RadarError(f"--format {form.value} needs --output.")
    if form is Format.every_eval_ever:
        _every_eval_ever(runs, output, model_id, organisation, relationship.value)
    elif form is Format.eval_results:
        _eval_results(runs, output, dataset_id)
    else:
        _table(runs, output, form, metric or ["sds", "sds_logit"])


def _table(runs: Sequence[CheckpointResult], output: Path, form: Format, metrics: Sequence[str]) -> None:
    from radar_tasks.export import value_tables
    from radar_tasks.export.values import values_of
    from radar_tasks.files import write_whole

    values = [value for run in runs for value in values_of(run)]
    if form is Format.csv:
        write_whole(output, value_tables.to_csv(values))
    elif form is Format.parquet:
        write_whole(output, value_tables.to_parquet(values))
    elif form is Format.markdown:
        write_whole(output, value_tables.to_markdown(values, metrics))
    else:
        write_whole(output, value_tables.to_latex(values, metrics))
    print(output)


def _eval_results(runs: Sequence[CheckpointResult], output: Path, dataset_id: str) -> None:
    from radar_tasks.export.eval_results import to_yaml
    from radar_tasks.export.values import values_of
    from radar_tasks.files import write_whole

    if dataset_id.count("/") != 1:
        raise RadarError("--format eval_results needs --dataset-id OWNER/NAME, the benchmark's data set on the Hub.")
    if output.suffix in {".yaml", ".yml"} and len(runs) > 1:
        raise RadarError(
            f"{len(runs)} runs do not go into one file: give a folder as --output; a model's page is about one model."
        )
    for run in runs:
        name = f"{run.experiment}-{run.label}".replace("/", "-").replace(" ", "-")
        path = output if output.suffix in {".yaml", ".yml"} else output / f"{name}.yaml"
        write_whole(path, to_yaml(values_of(run), dataset_id))
        print(path)


def _every_eval_ever(
    runs: Sequence[CheckpointResult], output: Path, model_id: str, organisation: str, relationship: str
) -> None:
    from radar_tasks.export.every_eval_ever import Publisher, write_record

    if not organisation:
        raise RadarError("--format every_eval_ever needs --organisation: who made these results.")
    if model_id and len(runs) > 1:
        raise RadarError(f"--model-id names one model, and there are {len(runs)} runs: export them one by one.")
    for run in runs:
        print(write_record(run, output, Publisher(organisation, relationship), model_id))

"""Arguments and options that several commands have: one name and one help text for one meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def each_once(names: list[str] | None) -> list[str] | None:
    """A callback of options that may be repeated: what is named twice is meant once."""
    return list(dict.fromkeys(names)) if names else names


Results = Annotated[list[str], typer.Argument(help="Results folders or files of one or more runs; packed files, too.")]
Descriptions = Annotated[
    Path | None,
    typer.Option("--runs", help="CSV or YAML that gives runs their steps, groups and amounts (data, parameters, …)."),
]
CurveMetric = Annotated[str, typer.Option("--metric", help="Metric of the curves: sds, sds_logit, acc, …")]
Parting = Annotated[
    int | None,
    typer.Option(min=0, help="Last step that two experiments share; from there the second is compared with the first."),
]
TrainingAxis = Annotated[
    str,
    typer.Option("--x", help="Measure of training: step, a column of --runs, or NAME=AMOUNT per step (images=512)."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random resamples.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write every table to this file as JSON.")]
Dark = Annotated[bool, typer.Option("--dark", help="Draw on a dark background, for slides.")]
Project = Annotated[str, typer.Option(help="Project of the tracker (wandb, trackio).")]
Checkpoint = Annotated[str, typer.Argument(help="A checkpoint's folder, or owner/name on the Hub.")]
ModelArgs = Annotated[str, typer.Option(help="Model arguments, as for lmms_eval: dtype=bfloat16,max_pixels=…")]
StoredSource = Annotated[str, typer.Argument(help="A source of the store or of the embedded sample (mini_…).")]
SkipBad = Annotated[
    bool,
    typer.Option("--skip-bad", help="Leave broken questions out and list them in the manifest, instead of refusing."),
]

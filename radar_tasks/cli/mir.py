"""`radar mir`: how far vision tokens lie from text tokens inside a checkpoint's language model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._options import ModelArgs, each_once

if TYPE_CHECKING:
    from radar_tasks.questions import Question


def command(
    checkpoints: Annotated[list[str], typer.Argument(help="Folders of checkpoints.")],
    *,
    source: Annotated[
        list[str] | None,
        typer.Option(
            callback=each_once, help="Take pairs from this source (default: the embedded sample); may be repeated."
        ),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(help="Take pairs from this folder: pictures, each with a .txt of the same name.")
    ] = None,
    pairs: Annotated[int, typer.Option(min=1, help="Number of image-text pairs.")] = 100,
    model_args: ModelArgs = "",
    output: Annotated[Path | None, typer.Option(help="A CSV file to write, for `radar agreement --mir`.")] = None,
) -> None:
    """Measure the Modality Integration Rate (arXiv 2410.07167) on image-text pairs; lower is better integrated."""
    from radar_tasks.files import write_whole
    from radar_tasks.mir.hidden_states import modality_integration
    from radar_tasks.report.text_tables import comma_separated
    from radar_tasks.run_arguments import model_arguments
    from radar_tasks.scoring.checkpoints import load
    from radar_tasks.scoring.checkpoints.model_args import options_for

    arguments = model_arguments(model_args)
    chosen = _pairs(source or [], images, pairs)
    rows = []
    for folder in checkpoints:
        found = modality_integration(load(options_for(folder, arguments)[0]), chosen)
        name = "/".join(Path(folder).resolve().parts[-2:])
        print(f"{name}: MIR {found.mir:.4f} ({found.pairs} pairs, {found.vision_tokens} vision tokens, "
              f"{found.text_tokens} text tokens)")  # fmt: skip
        rows.append([name, repr(found.mir)])
    if output:
        write_whole(output, comma_separated(["checkpoint", "mir"], rows))
        print(output, file=sys.stderr)


def _pairs(sources: list[str], images: Path | None, count: int) -> list[Question]:
    from radar_tasks.errors import DataError
    from radar_tasks.mir.pairs import pairs_of_folder, pairs_of_sources

    if images and sources:
        raise DataError("give --source or --images, not both.")
    return pairs_of_folder(images, count) if images else pairs_of_sources(sources, count)

"""`radar checkpoint`: look at a checkpoint before a run, or write it in transformers' own format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._options import Checkpoint, ModelArgs

if TYPE_CHECKING:
    from radar_tasks.scoring.checkpoints.explain import Shown
    from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions

app = typer.Typer(help="Inspect a checkpoint, or convert it.", no_args_is_help=True)


@app.command()
def show(folder: Checkpoint, model_args: ModelArgs = "") -> None:
    """Show what is recognised and the exact prompt that will be sent. Reads no weights."""
    from radar_tasks.scoring.checkpoints.explain import explain

    typer.echo(_as_page(explain(_options(folder, model_args))))


@app.command()
def convert(
    folder: Checkpoint,
    destination: Annotated[Path, typer.Argument(help="A new folder to write.")],
    model_args: ModelArgs = "",
) -> None:
    """Write a checkpoint in transformers' own format, with adapters and FSDP shards merged."""
    from radar_tasks.scoring.checkpoints.convert import convert as write

    write(_options(folder, model_args), destination)
    typer.echo(f"{destination} is written.")


def _options(folder: str, model_args: str) -> CheckpointOptions:
    from radar_tasks.run_arguments import model_arguments
    from radar_tasks.scoring.checkpoints.model_args import options_for

    return options_for(folder, model_arguments(model_args))[0]


def _as_page(shown: Shown) -> str:
    from radar_tasks.scoring.checkpoints.explain import as_text

    found, encoded = shown.recognised, shown.encoded
    lines = [
        f"kind           {found.kind}",
        f"model          {found.model_type}, {sum(shown.sizes.values()):,} parameters",
        *(f"  {name:<22} {count:>15,}" for name, count in shown.sizes.items()),
        f"adapter        {found.adapter or 'none'}",
        "weights",
        *(f"  {file.stat().st_size / 1e6:>10,.1f} MB  {file}" for file in found.files),
        *(f"  not read: {name}" for name in found.beside),
        f"processor      {found.processor}",
        f"prompt format  {found.form.name}",
        f"images         {_briefly(shown.images)}",
        f"context        {shown.context:,} tokens",
        "",
        "A sample question, with a picture of 640 x 480:",
        *(f"  | {line}" for line in as_text(shown.prompt).split("\n")),
        f"  {len(encoded.prefix_ids)} tokens before the options, {encoded.visual_tokens} of them visual",
    ]
    for option, tokens in zip(shown.question.options, shown.option_tokens, strict=True):
        lines.append(f"  option {option!r}: {len(tokens)} token(s) scored: {' '.join(tokens)}")
    return "\n".join(lines)


def _briefly(settings: dict[str, object]) -> str:
    """The settings that decide about the number of visual tokens."""
    processor = settings.get("processor")
    if not isinstance(processor, dict):
        return ", ".join(f"{name}={value}" for name, value in settings.items())
    wanted = ("image_processor_type", "size", "max_patches", "patch_size", "merge_size", "do_image_splitting")
    return ", ".join(f"{name}={processor[name]}" for name in wanted if processor.get(name) is not None)

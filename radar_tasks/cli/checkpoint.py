"""`radar checkpoint`: look at a checkpoint before a run, or write it in transformers' own format."""

from __future__ import annotations

import typer

app = typer.Typer(help="Look at a checkpoint, or convert it.", no_args_is_help=True)

"""`radar path`: where the shipped files lie."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from radar_tasks import paths


class Shipped(str, Enum):
    """What travels with the packages."""

    checkpoints = "checkpoints"
    sample = "sample"
    lmms_eval = "lmms_eval"
    lm_eval = "lm_eval"
    manual = "manual"


def command(what: Annotated[Shipped, typer.Argument(help="Which shipped folder.")]) -> None:
    """Print where shipped files are, for use in other commands: `$(radar path checkpoints)/step-…`."""
    folders = {Shipped.checkpoints: paths.checkpoints, Shipped.sample: paths.sample, Shipped.manual: paths.manual}
    print(folders[what]() if what in folders else paths.task_configs(what.value))

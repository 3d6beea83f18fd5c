"""A figure as a file: PNG, SVG or PDF by its ending, for papers and slides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import vl_convert

from radar_tasks.errors import RadarError
from radar_tasks.files import write_whole
from radar_tasks.report.charts import Figure
from radar_tasks.report.theme import BACKGROUND, Mode, config

FORMATS = (".png", ".svg", ".pdf")


def save(figure: Figure, path: Path, mode: Mode = "light") -> None:
    """Writes the figure, all panels in one picture.

    Raises:
        RadarError: the file name ends with none of `FORMATS`, or the file cannot be written.
    """
    ending = path.suffix.lower()
    if ending not in FORMATS:
        raise RadarError(f"{path}: the file's ending says the format, one of {', '.join(FORMATS)}.")
    write_whole(path, render(figure, ending, mode))


def render(figure: Figure, ending: str, mode: Mode = "light") -> bytes:
    """The picture's bytes; PNG has twice the pixels of a screen."""
    spec: dict[str, Any] = {**figure.chart().to_dict(), "padding": 16}
    theme = config(mode, BACKGROUND[mode])
    if ending == ".png":
        return vl_convert.vegalite_to_png(spec, scale=2.0, config=theme)
    if ending == ".pdf":
        return vl_convert.vegalite_to_pdf(spec, config=theme)
    return vl_convert.vegalite_to_svg(spec, config=theme).encode("utf-8")

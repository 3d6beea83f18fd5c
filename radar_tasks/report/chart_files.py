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


def save(
    figure: Figure,
    path: Path,
    mode: Mode = "light",
    *,
    width: int | None = None,
    height: int | None = None,
    title: bool = True,
) -> None:
    """Writes the figure, all panels in one picture; PNG has twice the pixels of a screen.

    Args:
        figure: what to draw.
        path: the file, whose ending says the format.
        mode: on light or dark ground.
        width, height, title: as `Figure.chart` takes them.

    Raises:
        RadarError: the file name ends with none of `FORMATS`, or the file cannot be written.
    """
    require_ending(path)
    chart = figure.chart(width=width, height=height, title=title)
    write_whole(path, _render(chart.to_dict(), path.suffix.lower(), mode))


def require_ending(path: Path) -> None:
    """Raises `RadarError` for a file name that says no format of `FORMATS`."""
    if path.suffix.lower() not in FORMATS:
        raise RadarError(f"{path}: the file's ending says the format, one of {', '.join(FORMATS)}.")


def _render(chart: dict[str, Any], ending: str, mode: Mode) -> bytes:
    spec: dict[str, Any] = {**chart, "padding": 16}
    theme = config(mode, BACKGROUND[mode])
    if ending == ".png":
        return vl_convert.vegalite_to_png(spec, scale=2.0, config=theme)
    if ending == ".pdf":
        return vl_convert.vegalite_to_pdf(spec, config=theme)
    return vl_convert.vegalite_to_svg(spec, config=theme).encode("utf-8")

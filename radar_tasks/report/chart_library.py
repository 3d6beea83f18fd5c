"""Vega, Vega-Lite and Vega-Embed as one script: what draws the charts of the page.

vl-convert puts it together anew each time, which takes some seconds; it is kept in the data home until vl-convert has
another version.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import vl_convert

from radar_tasks.errors import RadarError
from radar_tasks.files import write_whole
from radar_tasks.paths import data_home


@cache
def chart_library() -> str:
    """The script, which cannot end the script element that it stands in.

    A kept one that is damaged is made again; where none can be kept, none is.
    """
    file = data_home() / "report" / f"charts-{version('vl-convert-python')}.js"
    if (kept := _kept(file)) is not None:
        return kept
    made = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    made = made.replace("</script", "<\\/script").replace("<!--", "<\\!--")
    try:
        write_whole(file, f"{_digest(made)}\n{made}")
    except RadarError:  # a data home that cannot be written costs these seconds each time, and nothing else
        return made
    return made


def _kept(file: Path) -> str | None:
    try:
        digest, _, script = file.read_text(encoding="utf-8").partition("\n")
    except (OSError, UnicodeDecodeError):
        return None
    return script if digest == _digest(script) else None


def _digest(script: str) -> str:
    return hashlib.sha256(script.encode("utf-8")).hexdigest()

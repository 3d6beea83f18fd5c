"""The report: one HTML file that needs no network, made from tables, figures and questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from radar_tasks.analysis.development.tables import Development, Row
from radar_tasks.files import write_whole
from radar_tasks.report.charts import Figure, Panel
from radar_tasks.report.figures import figures
from radar_tasks.report.gallery import Gallery
from radar_tasks.report.provenance import provenance
from radar_tasks.report.theme import config
from radar_tasks.results import CheckpointResult

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Tile:
    """A number at the top of the page: what it is, the number, and a line below."""

    name: str
    number: str
    below: str


def write_page(path: Path, made: Development, runs: Sequence[CheckpointResult], questions: Gallery, title: str) -> None:
    """Writes the page whole; an old one is kept when that fails.

    Raises:
        RadarError: the page cannot be written.
    """
    write_whole(path, render_page(made, runs, questions, title))


def render_page(made: Development, runs: Sequence[CheckpointResult], questions: Gallery, title: str) -> str:
    """The page's HTML. Text from data is escaped by the template, and in scripts by `script_json`."""
    drawn = figures(made)
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = _number
    environment.filters["interval"] = _interval
    environment.filters["step"] = _step
    data = {
        "figures": {figure.name: [_panel(panel, figure) for panel in figure.panels] for figure in drawn},
        "themes": {"light": config("light"), "dark": config("dark")},
        "gallery": questions.plain(),
    }
    return environment.get_template("template.html.j2").render(
        title=title,
        made=made,
        drawn=drawn,
        tiles=_tiles(made, runs),
        findings=_findings(made),
        provenance=provenance(runs),
        gallery=questions,
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=script_json(data),
        library=_library(),
        script=(_FOLDER / "page.js").read_text(encoding="utf-8"),
        style=(_FOLDER / "page.css").read_text(encoding="utf-8"),
    )


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script."""
    return (
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
        .replace("</script", "<\\/script")
        .replace("<!--", "<\\!--")
    )


def _panel(panel: Panel, figure: Figure) -> Row:
    spec = panel.chart.properties(height=panel.height).to_dict()
    spec.pop("config", None)
    about = ". ".join(part for part in (figure.title, panel.title, figure.subtitle) if part)
    spec |= {
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 2, "top": 8, "bottom": 2, "right": 2},
        "description": about,
    }
    return {"title": panel.title, "spec": _rounded(spec), "columns": _columns(panel.rows)}


def _columns(rows: Sequence[Row]) -> list[str]:
    """What the table beside a chart shows; nothing where there are too many rows to read."""
    return [name for name in rows[0] if name != "series"] if rows and len(rows) <= 400 else []


def _rounded(value: Any) -> Any:
    """Numbers with the digits that a screen can show."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value


def _tiles(made: Development, runs: Sequence[CheckpointResult]) -> list[Tile]:
    tiles = []
    for row in made.growth:
        if row["source"] in {"perception", "reasoning"} and row["run"] == made.growth[0]["run"]:
            last = next(r for r in reversed(made.abilities) if (r["run"], r["ability"]) == (row["run"], row["ability"]))
            below = f"{made.metric.upper()} at step {last['step']:,}, 95 % {last['low']:.3f} to {last['high']:.3f}"
            tiles.append(Tile(row["ability"].capitalize(), f"{last['value']:.3f}", below))
    checkpoints = f"of {len(dict.fromkeys(run.experiment for run in runs))} experiment(s)"
    tiles.append(Tile("Runs", f"{len(runs):,}", checkpoints))
    questions = {(name, len(samples)) for run in runs for name, samples in run.sources.items()}
    sources = len({name for name, _ in questions})
    tiles.append(
        Tile("Questions", f"{sum(n for _, n in questions):,}", f"from {sources} source(s), each asked once a run")
    )
    return tiles


def _findings(made: Development) -> list[str]:
    """The abilities' development in words."""
    found = []
    many = len({row["run"] for row in made.growth}) > 1
    for row in made.growth:
        if row["source"] not in {"perception", "reasoning"}:
            continue
        who = f"{row['run']}: {row['ability']}" if many else row["ability"].capitalize()
        if row["emergence"] is None:
            found.append(f"{who} cannot be told from chance at the last checkpoint ({row['last']:.3f}).")
            continue
        rest = (
            f"no further gain can be told from noise after step {row['saturation']:,.0f}"
            if row["saturation"] is not None
            else "it is still growing"
        )
        found.append(f"{who} is above chance from step {row['emergence']:,.0f} on; {rest}.")
    for row in made.asymmetry_summary:
        lag = f", and emerges {row['lag']:,.0f} steps earlier" if row["lag"] else ""
        who = f"{row['run']}: perception" if many else "Perception"
        found.append(f"{who} leads by {row['area']['estimate']:+.3f} on average (chance-centred){lag}.")
    return found


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(value: Row | None, digits: int = 3) -> str:
    if value is None:
        return "–"
    return f"{value['estimate']:+.{digits}f} [{value['low']:+.{digits}f}, {value['high']:+.{digits}f}]"


def _step(value: float | None, never: str) -> str:
    return never if value is None else f"{value:,.0f}"

"""The report: one HTML file that needs no network, made from tables, figures and questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.tables import Development
from radar_tasks.files import write_whole
from radar_tasks.report.chart_library import chart_library
from radar_tasks.report.charts.figure import Datum, Figure, Panel
from radar_tasks.report.decision_tables import by_questions_table, by_step_table
from radar_tasks.report.factor_tables import factor_tables
from radar_tasks.report.figures import figures
from radar_tasks.report.findings import findings
from radar_tasks.report.gallery import Gallery
from radar_tasks.report.overview import overview, study_findings
from radar_tasks.report.provenance import provenance
from radar_tasks.report.templates import FOLDER, environment
from radar_tasks.report.theme import CATEGORY, LEGEND_SHAPES, config
from radar_tasks.report.tiles import tiles
from radar_tasks.report.wording import (
    amount_words,
    emergence_words,
    fall_words,
    lag_words,
    saturation_words,
    step_words,
    verdict_words,
)
from radar_tasks.results import CheckpointResult


@dataclass(frozen=True)
class _Table:
    """A table of texts for the template."""

    caption: str
    head: list[str]
    rows: list[list[str]]


def write_page(
    path: Path, made: Development, runs: Sequence[CheckpointResult], questions: Gallery, title: str, *, live: int = 0
) -> None:
    """Writes the page whole; an old one is kept when that fails.

    Args:
        path: the file.
        made: the tables.
        runs: what they were made from.
        questions: to look at.
        title: above the page.
        live: seconds after which an open page reads itself again, 0 for never: for a page that is renewed while a
            training run is followed. It stays one file that needs no network.

    Raises:
        RadarError: the page cannot be written.
    """
    write_whole(path, render_page(made, runs, questions, title, live=live))


def render_page(
    made: Development, runs: Sequence[CheckpointResult], questions: Gallery, title: str, *, live: int = 0
) -> str:
    """The page's HTML. Text from data is escaped by the template, and in scripts by `script_json`."""
    drawn = figures(made)
    pages = environment()
    pages.trim_blocks = pages.lstrip_blocks = True
    pages.filters["number"] = _number
    pages.filters["interval"] = _interval
    pages.filters["step"] = _step
    pages.filters["emergence"] = emergence_words
    pages.filters["saturation"] = saturation_words
    pages.filters["emerged"] = lambda step, first: step_words(step, first, "not yet")
    pages.filters["lag"] = lag_words
    pages.filters["fall"] = fall_words
    pages.filters["verdict"] = verdict_words
    data = {
        "figures": {figure.name: [_panel(panel, figure) for panel in figure.panels] for figure in drawn},
        "themes": {"light": config("light"), "dark": config("dark")},
        "gallery": questions.plain(),
    }
    return pages.get_template("page.html.j2").render(
        title=title,
        made=made,
        drawn=drawn,
        tiles=tiles(made, runs),
        findings=findings(made),
        overview=overview(made) if made.has_many_runs else None,
        together=study_findings(made) if made.has_many_runs else [],
        factors=[_Table(*table) for table in factor_tables(made.factor_levels, made.factor_effects)],
        decisions=_decision_tables(made),
        provenance=provenance(runs),
        gallery=questions,
        now=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        data=script_json(data),
        library=chart_library(),
        script=(FOLDER / "page.js").read_text(encoding="utf-8"),
        style=(FOLDER / "page.css").read_text(encoding="utf-8"),
        series_colours=_series_colours(),
        shapes=LEGEND_SHAPES,
        live=live,
    )


def _decision_tables(made: Development) -> list[_Table]:
    """Decisions on abilities as `radar decide` prints them: by step, and on fewer questions."""
    study = made.decisions
    if study is None:
        return []
    rows = [row for row in study.rows if row.of_ability]
    tables = []
    for name, target in dict.fromkeys((row.name, row.target) for row in rows):
        members = [row for row in rows if (row.name, row.target) == (name, target)]
        if any(row.pairs for row in members):
            by = f"{name}: pairs ordered as by {target}"
            tables.append(_Table(f"{by}, by {study.measured_by}", *by_step_table(members)))
            where = f"{by}, at {study.measured_by} {amount_words(study.at)} on so many questions"
            tables.append(_Table(where, *by_questions_table(members)))
    return tables


def script_json(value: Any) -> str:
    """JSON that is safe inside a script element: nothing in it can end the element or open a comment."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _series_colours() -> str:
    """CSS variables of the legends' colours, those of the charts."""
    of = {mode: "".join(f"--series-{k}:{c};" for k, c in enumerate(colours)) for mode, colours in CATEGORY.items()}
    return f":root {{ {of['light']} }} :root[data-theme=dark] {{ {of['dark']} }}"


def _panel(panel: Panel, figure: Figure) -> dict[str, Any]:
    """A panel as the page's script takes it: `title`, Vega-Lite's `spec`, and the `columns` of the table beside it."""
    spec = panel.chart.properties(height=panel.height).to_dict(validate=False)  # the tests of the charts validate
    spec.pop("config", None)
    about = ". ".join(part for part in (figure.title, panel.title, figure.subtitle) if part)
    spec |= {
        "width": "container",
        "autosize": {"type": "fit-x", "contains": "padding"},
        "padding": {"left": 2, "top": 8, "bottom": 2, "right": 2},
        "description": about,
    }
    return {"title": panel.title, "spec": _rounded(spec), "columns": _columns(panel.data)}


def _columns(data: Sequence[Datum]) -> list[str]:
    """What the table beside a chart shows; nothing where there are too many points to read."""
    return [name for name in data[0] if name not in {"series", "x"}] if data and len(data) <= 400 else []


def _rounded(value: Any) -> Any:
    """Numbers with the digits that a screen can show."""
    if isinstance(value, float):
        return round(value, 5)
    if isinstance(value, dict):
        return {key: _rounded(inner) for key, inner in value.items()}
    return [_rounded(inner) for inner in value] if isinstance(value, list) else value


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(value: Interval | None, digits: int = 3) -> str:
    if value is None:
        return "–"
    return f"{value.estimate:+.{digits}f} [{value.low:+.{digits}f}, {value.high:+.{digits}f}]"


def _step(value: float | None, never: str) -> str:
    return never if value is None else f"{value:,.0f}"

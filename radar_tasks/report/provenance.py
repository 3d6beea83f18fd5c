"""What was run, for the page: what all runs share, what differs, and the data of every source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from radar_tasks.results import CheckpointResult
from radar_tasks.results.origin import named
from radar_tasks.results.until_record import RECORD
from radar_tasks.run_arguments import limit_of

_NAMED = ("pretrained", "name", "seconds", "questions_scored", RECORD)


@dataclass(frozen=True)
class Provenance:
    """Tables of texts.

    Attributes:
        shared: settings that all runs have in common.
        columns: what differs between runs, after the checkpoint's name and its step.
        runs: a row a run: name, step, date, time, questions, then the columns.
        data: a row a source: name, ability, task, questions, checksum, origin, remarks.
    """

    shared: list[tuple[str, str]]
    columns: list[str]
    runs: list[list[str]]
    data: list[list[str]]


def provenance(runs: Sequence[CheckpointResult]) -> Provenance:
    """What was run, from the results themselves."""
    settings = [_settings(run) for run in runs]
    names = list(dict.fromkeys(name for of in settings for name in of))
    shared = [name for name in names if len({of.get(name, "–") for of in settings}) == 1]
    columns = [name for name in names if name not in shared]
    return Provenance(
        shared=[(name, settings[0][name]) for name in shared],
        columns=columns,
        runs=[[*_about(run), *(of.get(name, "–") for name in columns)] for run, of in zip(runs, settings, strict=True)],
        data=_data(runs),
    )


def _settings(run: CheckpointResult) -> dict[str, str]:
    found: dict[str, Any] = {"harness": f"{run.harness} {run.harness_version}", "limit": limit_of(run.config)}
    found |= {name: value for name, value in named(run.scoring).items() if name not in _NAMED}
    return {name: _text(value) for name, value in found.items()}


def _about(run: CheckpointResult) -> list[str]:
    seconds = run.scoring.get("seconds")
    time = f"{float(seconds):,.1f} s" if isinstance(seconds, (int, float)) else "–"
    questions = sum(len(samples) for samples in run.sources.values())
    step = "–" if run.step is None else f"{run.step:,}"
    return [run.label, step, _date(run.date), time, f"{questions:,}"]


def _data(runs: Sequence[CheckpointResult]) -> list[list[str]]:
    rows: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for source, data in run.data.items():
            samples = run.sources[source]
            origin = named(data.get("origin"))
            where = " · ".join(str(v) for v in origin.values() if v) if isinstance(origin, dict) else _text(origin)
            remarks = ["a stand-in"] if data.get("stand_in") else []
            remarks += [f"{data[name]} {words}" for name, words in _LEFT_OUT if data.get(name)]
            rows[source, str(data.get("checksum"))] = [
                *(source, samples.ability, samples.task, f"{data.get('questions', len(samples)):,}"),
                *(str(data.get("checksum") or "–"), where, "; ".join(remarks)),
            ]
    return list(rows.values())


_LEFT_OUT = (
    ("skipped", "broken questions left out"),
    ("too_many_images", "left out for more than 12 images"),
    ("refused", "left out, refused by the checkpoint"),
)


def _date(stamp: str) -> str:
    """`2026-11-23T10:11:12Z` as a reader writes it; any other stamp as it is."""
    try:
        return datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return stamp


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(inner)}" for name, inner in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)

"""`radar data status`, `verify` and `show`: what is in the store, whether it is sound, and what it looks like."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from radar_tasks.cli._options import StoredSource
from radar_tasks.cli._preparing import question_bars
from radar_tasks.cli._runs import console

if TYPE_CHECKING:
    from radar_tasks.errors import DataError
    from radar_tasks.store import Manifest

SHOWN = 48


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifests as JSON.")] = False,
) -> None:
    """List what is in the store, beside the published counts."""
    from radar_tasks.errors import DataError
    from radar_tasks.sources.catalogue import PUBLISHED
    from radar_tasks.store import QuestionTable, data_home, source_path, stored_names

    manifests: dict[str, Manifest | DataError] = {}
    for name in stored_names():
        try:
            manifests[name] = QuestionTable(source_path(name)).manifest
        except DataError as error:
            manifests[name] = error
    if as_json:
        readable = {
            name: {"error": str(manifest)} if isinstance(manifest, DataError) else manifest.model_dump(mode="json")
            for name, manifest in manifests.items()
        }
        print(json.dumps(readable, indent=2))
        return
    table = Table(box=None, header_style="bold", title=f"Sources in {escape(str(data_home()))}", title_justify="left")
    for column in ("source", "ability", "task"):
        table.add_column(column)
    for column in ("questions", "published", "skipped", "over 12 images", "size"):
        table.add_column(column, justify="right")
    table.add_column("origin", overflow="fold")
    for name in [*PUBLISHED, *sorted(set(manifests) - set(PUBLISHED))]:
        table.add_row(*_status_row(name, manifests.get(name)))
    console().print(table)
    missing = [name for name in PUBLISHED if name not in manifests]
    if missing:
        console().print(f"{len(missing)} of the {len(PUBLISHED)} sources are missing: radar data download, or rebuild.")


def suite(
    name: Annotated[str, typer.Argument(help="Name of the suite and its averages; its task group is radar_NAME.")],
    sources: Annotated[
        list[str], typer.Argument(help="Its sources, all of them in the store, in the order of the tables.")
    ],
) -> None:
    """Declare which sources of your own are averaged together, perception and reasoning apart."""
    from radar_tasks.store.own_suites import new_suite, write_suite

    made = new_suite(name, sources)
    write_suite(made)
    for ability, members in (("perception", made.perception), ("reasoning", made.reasoning)):
        if members:
            console().print(f"{name} {ability}: the mean of {', '.join(members)}", markup=False, soft_wrap=True)
    console().print(f"Run it with: lmms_eval --tasks radar_{name} …")


def _status_row(name: str, manifest: Any) -> list[str]:
    from radar_tasks.sources.catalogue import PUBLISHED

    known = PUBLISHED.get(name)
    published = f"{known.count:,}" if known else ""
    if manifest is None and known:
        return [name, known.ability, known.task, "[dim]missing[/]", published, "", "", "", ""]
    if isinstance(manifest, Exception):
        return [name, "", "", "[red]damaged[/]", published, "", "", "", escape(str(manifest))]
    count = f"{manifest.questions:,}"
    origin = f"{manifest.origin.kind}: {manifest.origin.location} ({manifest.created:%Y-%m-%d})"
    return [
        name,
        manifest.ability,
        escape(manifest.task),
        f"[yellow]{count}[/]" if known and known.count != manifest.questions else count,
        published,
        f"{len(manifest.skipped):,}",
        f"{manifest.too_many_images:,}",
        f"{manifest.image_bytes / 2**20:,.1f} MiB",
        escape(origin) + (" [yellow]stand-in[/]" if manifest.stand_in else ""),
    ]


def verify(
    sources: Annotated[list[str] | None, typer.Argument(help="Sources to check (default: all in the store).")] = None,
) -> None:
    """Decode every image, check every rule and every checksum; exit status 1 if anything is wrong.

    Pictures that are sound but that some models refuse are noted.
    """
    from radar_tasks.store import stored_names
    from radar_tasks.store.verification import problems_in

    names = sources or stored_names()
    problems: list[str] = []
    notes: list[str] = []
    with question_bars() as bar:
        for name in names:
            row = bar.add_task(name, total=_count_of(name))
            noted: list[str] = []
            found = problems_in(name, partial(bar.advance, row), noted.append)
            problems += [f"{name}: {problem}" for problem in found]
            notes += [f"Note: {name}, {note}" for note in noted]
    for line in problems + notes:
        print(line)
    also = f", {len(notes)} notes" if notes else ""
    print(f"{len(names)} sources checked, {len(problems)} problems{also}.")
    if problems:
        raise typer.Exit(1)


def show(
    source: StoredSource,
    q_id: Annotated[str | None, typer.Argument(help="One question (default: a selection).")] = None,
    output: Annotated[Path | None, typer.Option(help="The page to write (default: below RADAR_HOME).")] = None,
    count: Annotated[int, typer.Option("--count", "--questions", min=1, help="Number of questions.")] = SHOWN,
) -> None:
    """Write a page with questions, pictures and options, the right one marked; print its path."""
    from radar_tasks.files import write_whole
    from radar_tasks.report.source_page import evenly_spread, page
    from radar_tasks.store import data_home, open_source

    table = open_source(source)
    places = evenly_spread(len(table), count) if q_id is None else [table.index_of(q_id)]
    path = output or data_home() / "pages" / f"{source}.html"
    write_whole(path, page(table, places))
    print(path)


def _count_of(source: str) -> int | None:
    from radar_tasks.errors import DataError
    from radar_tasks.store import open_source

    try:
        return len(open_source(source))
    except DataError:
        return None  # `verify` will say what is wrong with it

"""`radar data`: bring sources into the store, look at what is there."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich import progress
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from radar_tasks.cli._runs import console

if TYPE_CHECKING:
    from radar_tasks.sources.source_reader import SourceReader
    from radar_tasks.store import Manifest

app = typer.Typer(no_args_is_help=True, help="Bring M3-Bench or data of your own into the store, and look at it.")

SHOWN = 48
SkipBad = Annotated[
    bool, typer.Option("--skip-bad", help="Leave broken questions out and say so in the manifest, instead of refusing.")
]


@app.command()
def prepare(
    location: Annotated[Path, typer.Argument(metavar="SOURCE", help="The release, as a folder or as the zip.")],
    skip_bad: SkipBad = False,
) -> None:
    """Check the official release and copy it into the store."""
    from radar_tasks.sources.m3bench import release_sources

    _prepare(release_sources(location.resolve()), skip_bad)


@app.command()
def download(
    sha256: Annotated[str | None, typer.Option(help="Checksum that the file must have, if you know it.")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Fetch the official release, then prepare it. RADAR_RELEASE_URL sets another address than the published one."""
    from radar_tasks.sources.download import download as fetch
    from radar_tasks.sources.download import release_url
    from radar_tasks.sources.m3bench import release_sources
    from radar_tasks.store import data_home

    with _progress(of_bytes=True) as bar:
        row = bar.add_task("M3-Bench", total=None)
        archive = fetch(
            release_url(),
            data_home() / "downloads" / "M3-Bench.zip",
            lambda done, total: bar.update(row, completed=done, total=total),
            sha256,
        )
    _prepare(release_sources(archive), skip_bad)
    console().print(
        f"The archive stays in {escape(str(archive))}; the store does not need it any more.", soft_wrap=True
    )


@app.command()
def rebuild(
    sources: Annotated[
        list[str] | None, typer.Argument(help="mmbench, mathvista, seephys, mmmu_pro; all four by default.")
    ] = None,
    location: Annotated[
        str | None, typer.Option("--from", help="A local folder or another Hub id; for one source at a time.")
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Make the sources whose data sets are public again, by the paper's recipe, without the release."""
    from radar_tasks.errors import DataError
    from radar_tasks.sources.public import RECIPES, PublicSource

    names = sources or list(RECIPES)
    if location and len(names) > 1:
        raise DataError(
            "--from is the place of one source: say which, as in `radar data rebuild mmbench --from FOLDER`"
        )
    _prepare([PublicSource(name, location) for name in names], skip_bad)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and underscores; the task is called radar_NAME.")],
    table: Annotated[
        Path, typer.Option(help="csv, tsv, jsonl or parquet with image, title, category or image, statement, opposite.")
    ],
    ability: Annotated[
        Literal["perception", "reasoning"] | None,
        typer.Option(help="By default perception for titles, reasoning for statements."),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Make a source of your own from a table; it runs as the task radar_NAME."""
    from radar_tasks.sources.own_table import TableSource
    from radar_tasks.store.home import check_own_name

    check_own_name(name)
    _prepare([TableSource(name, table.resolve(), ability)], skip_bad)
    console().print(f"Run it with: lmms_eval --tasks radar_{name} …")


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="The manifests as JSON.")] = False,
) -> None:
    """What is in the store, against the published counts."""
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
        escape(origin) + (" [yellow]stand-in distractors[/]" if manifest.stand_in else ""),
    ]


@app.command()
def verify(
    sources: Annotated[list[str] | None, typer.Argument(help="Sources to check; all in the store by default.")] = None,
) -> None:
    """Decode every image, check every rule and every checksum; exit status 1 if anything is wrong."""
    from radar_tasks.store import stored_names
    from radar_tasks.store.verify import problems_in

    names = sources or stored_names()
    problems: list[tuple[str, str]] = []
    with _progress() as bar:
        for name in names:
            row = bar.add_task(name, total=_count_of(name))
            problems += [(name, problem) for problem in problems_in(name, partial(bar.advance, row))]
    for name, problem in problems:
        print(f"{name}: {problem}")
    print(f"{len(names)} sources checked, {len(problems)} problems.")
    if problems:
        raise typer.Exit(1)


@app.command()
def show(
    source: Annotated[str, typer.Argument(help="A source of the store, or of the embedded sample (mini_…).")],
    q_id: Annotated[str | None, typer.Argument(help="One question; without it, a selection.")] = None,
    output: Annotated[Path | None, typer.Option(help="The HTML file to write; by default below RADAR_HOME.")] = None,
    shown: Annotated[int, typer.Option("--questions", min=1, help="Size of the selection.")] = SHOWN,
) -> None:
    """Write a page with questions, pictures and options, the right one marked; print its path."""
    from radar_tasks.files import write_whole
    from radar_tasks.report.source_page import evenly_spread, page
    from radar_tasks.store import data_home, open_source

    table = open_source(source)
    places = evenly_spread(len(table), shown) if q_id is None else [table.index_of(q_id)]
    path = output or data_home() / "pages" / f"{source}.html"
    write_whole(path, page(table, places))
    print(path)


def _prepare(readers: Sequence[SourceReader], skip_bad: bool) -> None:
    from radar_tasks.store.prepare import prepare as fill

    with _progress() as bar:
        rows = {reader.source: bar.add_task(reader.source, total=len(reader)) for reader in readers}
        manifests = fill(readers, skip_bad, lambda source, count: bar.advance(rows[source], count))
    for manifest in manifests:
        left_out = [
            f"{len(manifest.skipped)} broken ones skipped" if manifest.skipped else "",
            f"{manifest.too_many_images} with more than 12 images left out" if manifest.too_many_images else "",
            "with stand-in distractors" if manifest.stand_in else "",
        ]
        print(", ".join([f"{manifest.source}: {manifest.questions:,} questions", *filter(None, left_out)]))


def _count_of(source: str) -> int | None:
    from radar_tasks.errors import DataError
    from radar_tasks.store import open_source

    try:
        return len(open_source(source))
    except DataError:
        return None  # `verify` will say what is wrong with it


class _Rate(progress.ProgressColumn):
    """Questions a second, once there is a rate."""

    def render(self, task: progress.Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:,.0f} questions/s")


@contextlib.contextmanager
def _progress(of_bytes: bool = False) -> Iterator[progress.Progress]:
    """A bar a source with its rate and the time left, on stderr; nothing where that is no terminal."""
    rate: list[progress.ProgressColumn] = (
        [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        if of_bytes
        else [progress.MofNCompleteColumn(), _Rate()]
    )
    screen = Console(stderr=True)
    with progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        *rate,
        progress.TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
    ) as bar:
        yield bar

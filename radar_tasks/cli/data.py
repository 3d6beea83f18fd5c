"""`radar data`: bring sources into the store. What looks at the store is in `data_store`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.markup import escape

from radar_tasks.cli import data_benchmark, data_store
from radar_tasks.cli._options import SkipBad
from radar_tasks.cli._preparing import fill_store, question_bars
from radar_tasks.cli._runs import console

if TYPE_CHECKING:
    from radar_tasks.sources.source_reader import SourceReader

app = typer.Typer(no_args_is_help=True, help="Bring M3-Bench or your own data into the store, and inspect it.")


@app.command()
def prepare(
    location: Annotated[Path, typer.Argument(metavar="SOURCE", help="The release, as a folder or a zip file.")],
    skip_bad: SkipBad = False,
) -> None:
    """Check the official release and copy it into the store."""
    from radar_tasks.sources.release import release_sources

    fill_store(release_sources(location.resolve()), skip_bad)


@app.command()
def download(
    sha256: Annotated[str | None, typer.Option(help="Checksum that the file must have, if known.")] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Download the official release and prepare it. RADAR_RELEASE_URL sets another address than the published one."""
    from radar_tasks.sources.release import release_sources
    from radar_tasks.sources.release_download import download as fetch
    from radar_tasks.sources.release_download import release_url
    from radar_tasks.store import data_home

    with question_bars(of_bytes=True) as bar:
        row = bar.add_task("M3-Bench", total=None)
        archive = fetch(
            release_url(),
            data_home() / "downloads" / "M3-Bench.zip",
            lambda done, total: bar.update(row, completed=done, total=total),
            sha256,
        )
    fill_store(release_sources(archive), skip_bad)
    console().print(
        f"The archive stays in {escape(str(archive))}; the store does not need it any more.", soft_wrap=True
    )


@app.command()
def rebuild(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="Default: mmbench, mathvista, seephys, mmmu_pro. wiki_… and spatial are stand-ins."),
    ] = None,
    location: Annotated[
        str | None, typer.Option("--from", help="A local folder or another Hub id, for one source at a time.")
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Make sources by the paper's recipe, without the release.

    Four data sets are public; the others are made from Wikipedia and Visual Spatial Reasoning and marked as stand-ins.
    """
    from radar_tasks.errors import DataError
    from radar_tasks.sources.rebuilt import RECIPES

    names = sources or list(RECIPES)
    if location and len(names) > 1:
        raise DataError(
            "--from is for a single source: name the source, as in `radar data rebuild mmbench --from FOLDER`"
        )
    fill_store([_rebuilt(name, location) for name in names], skip_bad)


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="Small letters, digits and underscores; the task is called radar_NAME.")],
    table: Annotated[
        Path, typer.Option(help="csv, tsv, jsonl or parquet with image, title, category or image, statement, opposite.")
    ],
    ability: Annotated[
        Literal["perception", "reasoning"] | None,
        typer.Option(help="Default: perception for titles, reasoning for statements."),
    ] = None,
    skip_bad: SkipBad = False,
) -> None:
    """Make a source of your own from a table; it runs as the task radar_NAME."""
    from radar_tasks.sources.own_table import TableSource
    from radar_tasks.store.home import check_own_name
    from radar_tasks.store.own_suites import check_no_suite

    check_own_name(name)
    check_no_suite(name)
    fill_store([TableSource(name, table.resolve(), ability)], skip_bad)
    console().print(f"Run it with: lmms_eval --tasks radar_{name} …")


def _rebuilt(name: str, location: str | None) -> SourceReader:
    from radar_tasks.errors import DataError
    from radar_tasks.sources.opposite_relations import OppositeRelations
    from radar_tasks.sources.polite_client import PoliteClient
    from radar_tasks.sources.rebuilt import PublicSource
    from radar_tasks.sources.wiki import CATEGORIES, WikiSource
    from radar_tasks.store import data_home

    fetched = data_home() / "downloads" / "fetched"
    if name == OppositeRelations.source:
        return OppositeRelations(PoliteClient(fetched), location)
    if name not in CATEGORIES:
        return PublicSource(name, location)
    if location:
        raise DataError(f"{name} is made from Wikipedia; there is no local copy to give with --from")
    return WikiSource(name, PoliteClient(fetched))


app.command("import")(data_benchmark.import_)
app.command()(data_benchmark.recipes)
app.command()(data_benchmark.export)
app.command()(data_store.suite)
app.command()(data_store.status)
app.command()(data_store.verify)
app.command()(data_store.show)

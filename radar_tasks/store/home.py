"""Where the data is kept, and which sources there are."""

from __future__ import annotations

import re
from pathlib import Path

from radar_tasks import paths
from radar_tasks.errors import DataError, did_you_mean
from radar_tasks.paths import data_home
from radar_tasks.questions import SAMPLE_PREFIX, SOURCE_NAME
from radar_tasks.sources.benchmark_recipes import benchmark_recipes
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.store.table import QuestionTable

GROUPS = ("perception", "reasoning", "more", "more_perception", "more_reasoning")
"""What follows `radar_` in the names of groups."""


class OtherVersionError(DataError):
    """The store has a source, but not the version of it that is asked for."""


def store_folder() -> Path:
    """The folder with one parquet file a source."""
    return data_home() / "sources"


def source_path(source: str) -> Path:
    """The file of a source in the store, whether it is there or not. Raises `DataError` for a name that is none."""
    if not re.fullmatch(SOURCE_NAME, source):
        raise DataError(f"{source!r} is not a name of a source: small letters, digits and underscores, at most 64")
    return store_folder() / f"{source}.parquet"


def stored_names() -> list[str]:
    """The sources in the store, the embedded ones not counted."""
    return _names_in(store_folder())


def sample_names() -> list[str]:
    """The sources of the embedded sample."""
    return _names_in(paths.sample())


def source_names() -> list[str]:
    """The sources that can be opened: those in the store, then those of the embedded sample."""
    return stored_names() + sample_names()


def check_own_name(name: str) -> None:
    """Raises `DataError` if a user's own source cannot be called this: no name at all, or one that is taken."""
    check_benchmark_name(name)
    if name in benchmark_recipes():
        raise DataError(
            f"radar_{name} is the task of a public benchmark (radar data import {name}); choose another name"
        )


def check_benchmark_name(name: str) -> None:
    """As `check_own_name`, but the name of a recipe is one that a public benchmark can have."""
    source_path(name)
    if name in PUBLISHED or name in GROUPS or name == "mini" or name.startswith(SAMPLE_PREFIX):
        raise DataError(f"radar_{name} is a task of the benchmark already; choose another name")


def open_source(source: str) -> QuestionTable:
    """The questions of a source.

    Raises:
        DataError: it is not there (the message has the command that brings it) or cannot be read.
    """
    for path in (source_path(source), paths.sample() / f"{source}.parquet"):
        if path.is_file():
            return QuestionTable(path)
    raise DataError(_how_to_get(source))


def open_version(source: str, checksum: str | None) -> QuestionTable:
    """The questions of a source in the version that was scored.

    Args:
        source: its name.
        checksum: of the data, as the results say it; None where they do not.

    Raises:
        OtherVersionError: the store has another version.
        DataError: the source is not there or cannot be read.
    """
    table = open_source(source)
    if table.checksum != checksum:
        raise OtherVersionError(f"the store has another version of {source} than the one that was scored.")
    return table


def _names_in(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.parquet") if re.fullmatch(SOURCE_NAME, path.stem))


def _how_to_get(source: str) -> str:
    lines = [f"the data of {source!r} is not in {store_folder()}."]
    if source in benchmark_recipes():
        lines.append(f"From the public data set:  radar data import {source}  (a local copy: --from FILE_OR_FOLDER)")
    elif source not in PUBLISHED:
        near = did_you_mean(source, [*PUBLISHED, *source_names(), *benchmark_recipes()])
        lines.append(
            f"It is none of M3-Bench's sources.{near} Make it from a table:  radar data new {source} --table FILE"
        )
        lines.append(f"From a multiple-choice benchmark:  radar data import {source} --from FILE")
    else:
        lines.append("From the official release:  radar data download  (once there: radar data prepare FOLDER_OR_ZIP)")
        if PUBLISHED[source].public:
            lines.append(f"From the public data set:  radar data rebuild {source}")
        else:
            lines.append(f"A stand-in, of other pictures:  radar data rebuild {source}")
    lines.append("The embedded sample, radar_mini, needs no data.")
    return "\n".join(lines)

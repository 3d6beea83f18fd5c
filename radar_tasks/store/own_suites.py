"""The suites of one's own that are declared beside the store.

A suite is declared once (`radar data suite`) and lies beside the store. Every result says of a source which suite it
was part of, members and all, so that whoever has the results can tell a whole average from a part of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from radar_tasks.errors import DataError
from radar_tasks.files import write_whole
from radar_tasks.paths import data_home
from radar_tasks.questions import SAMPLE_PREFIX
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.store.home import check_own_name, open_source, source_names
from radar_tasks.suite import Suite


def new_suite(name: str, sources: Sequence[str]) -> Suite:
    """A suite of sources of the store, each with the ability that its manifest says.

    Raises:
        DataError: a name that is none or taken; a source that is missing, named twice, or of another suite.
    """
    check_own_name(name)
    if name in source_names():
        raise DataError(f"there is a source {name!r}, and both would be the task radar_{name}: choose another name")
    if twice := sorted({source for source in sources if sources.count(source) > 1}):
        raise DataError(f"the suite {name!r} names {', '.join(twice)} twice")
    if not sources:
        raise DataError(f"the suite {name!r} has no sources")
    by_ability: dict[str, list[str]] = {"perception": [], "reasoning": []}
    own = {member: suite.name for suite in suites() for member in suite.sources}
    for source in sources:
        other = "M3-Bench" if source in PUBLISHED else "mini" if source.startswith(SAMPLE_PREFIX) else own.get(source)
        if other not in {None, name}:
            raise DataError(f"{source} is part of the suite {other!r} already; a source belongs to one suite only")
        by_ability[open_source(source).manifest.ability].append(source)
    return Suite(name=name, perception=tuple(by_ability["perception"]), reasoning=tuple(by_ability["reasoning"]))


def write_suite(suite: Suite) -> Path:
    """Declares a suite, or declares it anew; results that are there keep the one they were made with."""
    file = _folder() / f"{suite.name}.json"
    write_whole(file, suite.model_dump_json(indent=1) + "\n")
    return file


def check_no_suite(name: str) -> None:
    """Raises `DataError` if a suite is called as a source is to be: both would be the task radar_<name>."""
    if any(suite.name == name for suite in suites()):
        raise DataError(f"there is a suite {name!r}, and both would be the task radar_{name}: choose another name")


def suites() -> list[Suite]:
    """The declared suites, by name.

    Raises:
        DataError: a file of theirs is not as `write_suite` leaves it.
    """
    found = []
    for file in sorted(_folder().glob("*.json")):
        try:
            found.append(Suite.model_validate_json(file.read_text(encoding="utf-8")))
        except (ValidationError, OSError, UnicodeDecodeError) as error:
            raise DataError(f"{file} is not a suite, declare it again with `radar data suite`: {error}") from None
    return found


def suite_of(source: str) -> Suite | None:
    """The suite that a source was declared part of."""
    return next((suite for suite in suites() if source in suite.sources), None)


def _folder() -> Path:
    return data_home() / "suites"

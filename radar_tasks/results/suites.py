"""Which sources make an ability's average: all of M3-Bench's, or all of the embedded sample's, never a part of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

from radar_tasks import paths
from radar_tasks.questions import ABILITIES, Ability
from radar_tasks.sources.catalogue import PUBLISHED

SAMPLE_PREFIX = "mini_"


@dataclass(frozen=True)
class Average:
    """The unweighted mean over an ability's sources.

    Attributes:
        name: `perception`, `reasoning`; for the embedded sample `mini perception`, `mini reasoning`.
        ability: perception or reasoning.
        sources: what it runs over, in the order of the tables.
    """

    name: str
    ability: Ability
    sources: tuple[str, ...]


def averages_of(sources: Collection[str]) -> list[Average]:
    """The averages for which every source is among `sources`; with one missing there is none, not a partial one."""
    return [average for average in all_averages(sources) if set(average.sources) <= set(sources)]


def ability_sources(abilities: Mapping[str, Ability]) -> dict[Ability, tuple[str, ...]]:
    """What stands for each ability, by the ability of each source: a complete suite (M3-Bench before the sample), else
    whatever sources of it there are."""
    complete = {average.ability: average.sources for average in reversed(averages_of(abilities))}
    members = {a: complete.get(a) or tuple(s for s, of in abilities.items() if of == a) for a in ABILITIES}
    return {ability: sources for ability, sources in members.items() if sources}


def all_averages(sources: Collection[str]) -> list[Average]:
    """The averages of the suites that `sources` belong to, complete or not. A user's own sources belong to none."""
    suites = [_m3_bench()] if set(PUBLISHED) & set(sources) else []
    if any(source.startswith(SAMPLE_PREFIX) for source in sources):
        suites.append(_sample())
    return [average for suite in suites for average in suite]


def _m3_bench() -> list[Average]:
    of = {name: source.ability for name, source in PUBLISHED.items()}
    return [Average(ability, ability, tuple(s for s in of if of[s] == ability)) for ability in ABILITIES]


@cache
def _sample() -> list[Average]:
    """From the manifests of the embedded sample, which know their ability."""
    from radar_tasks.store import QuestionTable

    of: dict[str, Ability] = {}
    for file in sorted(paths.sample().glob(f"{SAMPLE_PREFIX}*.parquet")):
        of[file.stem] = QuestionTable(file).manifest.ability
    averages = [Average(f"mini {ability}", ability, tuple(s for s in of if of[s] == ability)) for ability in ABILITIES]
    return [average for average in averages if average.sources]

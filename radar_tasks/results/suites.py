"""Which sources make an ability's average: all of M3-Bench's, of the sample's, or of a user's suite; never a part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from radar_tasks import paths
from radar_tasks.questions import ABILITIES, SAMPLE_PREFIX, Ability
from radar_tasks.results.model import SourceSamples
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.suite import Suite


@dataclass(frozen=True)
class Average:
    """The unweighted mean over an ability's sources.

    Attributes:
        name: `perception`, `reasoning`; `mini perception`, … for the embedded sample, `<suite> perception`, … for one.
        ability: perception or reasoning.
        sources: what it runs over, in the order of the tables.
    """

    name: str
    ability: Ability
    sources: tuple[str, ...]


def averages_of(samples: Iterable[SourceSamples]) -> list[Average]:
    """The averages for which every source is there; with one missing there is none, not a partial one."""
    given = list(samples)
    names = {part.source for part in given}
    return [average for average in all_averages(given) if set(average.sources) <= names]


def ability_sources(samples: Iterable[SourceSamples]) -> dict[Ability, tuple[str, ...]]:
    """What stands for each ability: a complete suite (M3-Bench before the sample before a user's own), else whatever
    sources of it there are."""
    given = list(samples)
    complete = {average.ability: average.sources for average in reversed(averages_of(given))}
    members = {a: complete.get(a) or tuple(s.source for s in given if s.ability == a) for a in ABILITIES}
    return {ability: sources for ability, sources in members.items() if sources}


def all_averages(samples: Iterable[SourceSamples]) -> list[Average]:
    """The averages of the suites that sources belong to, complete or not; of a user's own suites those that results
    tell of."""
    given = list(samples)
    suites = [_m3_bench()] if any(part.source in PUBLISHED for part in given) else []
    if any(part.source.startswith(SAMPLE_PREFIX) for part in given):
        suites.append(_sample())
    own = dict.fromkeys(part.suite for part in given if part.suite is not None)
    suites += [_of_own(suite) for suite in own]
    return [average for suite in suites for average in suite]


def _of_own(suite: Suite) -> list[Average]:
    of: dict[Ability, tuple[str, ...]] = {"perception": suite.perception, "reasoning": suite.reasoning}
    return [Average(f"{suite.name} {ability}", ability, of[ability]) for ability in ABILITIES if of[ability]]


def _m3_bench() -> list[Average]:
    of = {name: source.ability for name, source in PUBLISHED.items()}
    return [Average(ability, ability, tuple(s for s in of if of[s] == ability)) for ability in ABILITIES]


@cache
def _sample() -> list[Average]:
    """From the manifests of the embedded sample, which know their ability."""
    from radar_tasks.store import QuestionTable  # a sixth of the start of `radar analyze`, for the sample alone

    of: dict[str, Ability] = {}
    for file in sorted(paths.sample().glob(f"{SAMPLE_PREFIX}*.parquet")):
        of[file.stem] = QuestionTable(file).manifest.ability
    averages = [Average(f"mini {ability}", ability, tuple(s for s in of if of[s] == ability)) for ability in ABILITIES]
    return [average for average in averages if average.sources]

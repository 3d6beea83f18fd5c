"""In what training runs differ: factors and their levels, and which runs are seeds of one configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.results import TrainingRun


@dataclass(frozen=True)
class Level:
    """One level of a factor: its `name`, and the `runs` at it, which are its seeds."""

    name: str
    runs: tuple[TrainingRun, ...]

    @property
    def amount(self) -> float | None:
        """The level as a number above 0, None where it is a name."""
        try:
            number = float(self.name)
        except ValueError:
            return None
        return number if 0 < number < float("inf") else None


@dataclass(frozen=True)
class Factor:
    """Something in which runs differ, with two or more levels: amounts grow, names stand in the order of the file."""

    name: str
    levels: tuple[Level, ...]

    @property
    def runs(self) -> tuple[TrainingRun, ...]:
        """The runs at its levels."""
        return tuple(run for level in self.levels for run in level.runs)

    @property
    def amounts(self) -> list[float] | None:
        """The levels as numbers, where all of them are."""
        numbers = [level.amount for level in self.levels]
        return [number for number in numbers if number is not None] if None not in numbers else None


def factors_of(runs: Sequence[TrainingRun], descriptions: Sequence[RunDescription]) -> list[Factor]:
    """The factors that the file of descriptions names, as far as these runs have two or more levels of them."""
    levels: dict[str, dict[str, list[TrainingRun]]] = {}
    for row in descriptions:
        if row.factor is None or row.level is None:
            continue
        for run in runs:
            members = levels.setdefault(row.factor, {}).setdefault(row.level, [])
            if row.is_about_training(run.results[0]) and run not in members:
                members.append(run)
    made = [
        Factor(name, tuple(Level(level, tuple(of)) for level, of in among.items() if of))
        for name, among in levels.items()
    ]
    return [_in_order(factor) for factor in made if len(factor.levels) > 1]


def _in_order(factor: Factor) -> Factor:
    """Amounts grow; names stay as they are listed, since the first is what the others are compared with."""
    if factor.amounts is None:
        return factor
    return replace(factor, levels=tuple(sorted(factor.levels, key=lambda level: level.amount or 0.0)))


@dataclass(frozen=True)
class Configuration:
    """What a user chooses between: one training run, or several that differ in their seed alone.

    Attributes:
        name: of the configuration.
        runs: names of its training runs.
        varies: the factors in which it is at another level than the first configuration, comma-separated; "" for the
            first itself, and for one of which the file of descriptions says nothing.
    """

    name: str
    runs: tuple[str, ...]
    varies: str


def configurations(runs: Sequence[TrainingRun], descriptions: Sequence[RunDescription]) -> list[Configuration]:
    """The configurations among these runs: the first, which the others are compared with, then by what they vary.

    Factors stand in the order of the file, and runs of which it says nothing last.
    """
    names = configurations_of(runs, descriptions)
    factors = list(dict.fromkeys(row.factor for row in descriptions if row.factor is not None))
    base = set(_levels_of(runs[0], descriptions)) if runs else set()
    made: list[tuple[int, Configuration]] = []
    for name in dict.fromkeys(names):
        members = [run for run, of in zip(runs, names, strict=True) if of == name]
        levels = _levels_of(members[0], descriptions)
        other = list(dict.fromkeys(factor for factor, level in levels if (factor, level) not in base))
        place = factors.index(other[0]) if other else len(factors)
        made.append((place, Configuration(name, tuple(run.name for run in members), ", ".join(other))))
    return [of for _, of in made[:1] + sorted(made[1:], key=lambda entry: entry[0])]


def configurations_of(runs: Sequence[TrainingRun], descriptions: Sequence[RunDescription]) -> list[str]:
    """(R,) name of each run's configuration: runs at the same levels of the same factors are seeds of one.

    A run of which no row gives a level is a configuration of its own.
    """
    members: dict[frozenset[tuple[str, str]] | str, list[str]] = {}
    for run in runs:
        members.setdefault(frozenset(_levels_of(run, descriptions)) or run.name, []).append(run.name)
    names = {
        run: name for of, name in zip(members.values(), shared_names(list(members.values())), strict=True) for run in of
    }
    return [names[run.name] for run in runs]


def shared_names(groups: Sequence[Sequence[str]]) -> list[str]:
    """What each of several groups of runs is called: as `shared_name`, or all its names where others begin alike."""
    short = [shared_name(runs) for runs in groups]
    return [name if short.count(name) == 1 else " + ".join(runs) for name, runs in zip(short, groups, strict=True)]


def shared_name(runs: Sequence[str]) -> str:
    """What several runs are called together: how their names begin, and how many they are."""
    if len(runs) == 1:
        return runs[0]
    alike = takewhile(lambda letters: len(set(letters)) == 1, zip(*runs, strict=False))
    shared = "".join(letters[0] for letters in alike)
    if any(name[len(shared) :][:1].isdigit() for name in runs):
        shared = shared.rstrip("0123456789")  # not the first digits of numbers that go on otherwise
    shared = shared.rstrip("-_./ ")
    return f"{shared} ({len(runs)} runs)" if len(shared) > 1 else " + ".join(runs)


def _levels_of(run: TrainingRun, descriptions: Sequence[RunDescription]) -> list[tuple[str, str]]:
    """Factors and levels of a run, in the order of the file."""
    return [
        (row.factor, row.level)
        for row in descriptions
        if row.factor is not None and row.level is not None and row.is_about_training(run.results[0])
    ]

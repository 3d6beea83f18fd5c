"""What stands first on a page of many training runs: a line a configuration, and what they say together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from radar_tasks.analysis.decisions import ITSELF
from radar_tasks.analysis.development.curve_points import last_points
from radar_tasks.analysis.development.factor_effects import FactorEffect
from radar_tasks.analysis.development.growth import Growth
from radar_tasks.analysis.development.tables import Development
from radar_tasks.report.wording import effect_words, emergence_words, signed_interval

_TOLD = 0.05
"""Level of a test below which an effect is named."""
_LOOKED_AT = ("perception", "reasoning", "lead")
"""What effects are told of; the tables have more."""
_NAMED = 6
"""How many sources a sentence names."""


@dataclass(frozen=True)
class Overview:
    """A table, a row a configuration; texts."""

    head: list[str]
    rows: list[list[str]]


def overview(made: Development) -> Overview:
    """Each configuration at its end. Of several seeds the mean with the lowest and the highest, and each emergence."""
    abilities = list(dict.fromkeys(point.ability for point in made.abilities))
    last = last_points(made.abilities)
    growth = {(row.run, row.source): row for row in made.growth}
    leads = {lead.run: lead for lead in made.asymmetry_summary}
    rows = []
    for of in made.configurations:
        cells = [of.name, of.varies or "–"]
        for ability in abilities:
            points = [last[run, ability] for run in of.runs if (run, ability) in last]
            values = [point.value for point in points]
            if len(points) == 1:
                cells.append(f"{values[0]:.3f} [{points[0].low:.3f}, {points[0].high:.3f}]")
            elif values:
                cells.append(f"{sum(values) / len(values):.3f} ({min(values):.3f} to {max(values):.3f})")
            else:
                cells.append("–")
        areas = [leads[run].area for run in of.runs if run in leads]
        if len(areas) == 1:
            cells.append(signed_interval(areas[0]))
        else:
            found = [area.estimate for area in areas]
            cells.append(f"{sum(found) / len(found):+.3f} ({min(found):+.3f} to {max(found):+.3f})" if found else "–")
        cells += [
            ", ".join(emergence_words(growth[run, ability]) for run in of.runs if (run, ability) in growth) or "–"
            for ability in abilities
        ]
        rows.append(cells)
    head = ["configuration", "varies", *abilities, "mean lead", *(f"{ability} emerges" for ability in abilities)]
    return Overview(head, rows)


def study_findings(made: Development) -> list[str]:
    """Sentences on all training runs together."""
    return [*_ends(made), *_leads(made), *_never(made.growth), *_effects(made.factor_effects), *_decided(made)]


def _ends(made: Development) -> Iterator[str]:
    last = last_points(made.abilities)
    for ability in dict.fromkeys(ability for _, ability in last):
        points = [point for point in last.values() if point.ability == ability]
        low, high = min(points, key=lambda point: point.value), max(points, key=lambda point: point.value)
        yield (
            f"{ability.capitalize()} ends between {low.value:.3f} ({low.run}) and {high.value:.3f} ({high.run}) in "
            f"{len(points)} runs."
        )


def _leads(made: Development) -> Iterator[str]:
    leads = made.asymmetry_summary
    if leads:
        ahead = sum(lead.area.low > 0 for lead in leads)
        behind = sum(lead.area.high < 0 for lead in leads)
        first = sum(lead.lag is not None and lead.lag > 0 for lead in leads)
        later = sum(lead.lag is not None and lead.lag < 0 for lead in leads)
        yield (
            f"Of {len(leads)} runs with both abilities perception leads in {ahead} and reasoning in {behind} (mean "
            f"over training, chance-centred, 95 % interval over questions); perception emerges first in {first}, "
            f"reasoning in {later}."
        )


def _never(growth: Sequence[Growth]) -> Iterator[str]:
    rows = [row for row in growth if not row.of_ability and row.checkpoints > 1]
    names = list(dict.fromkeys(row.source for row in rows))
    runs = {name: [row for row in rows if row.source == name] for name in names}
    lacking = {name: sum(row.emergence is None for row in of) for name, of in runs.items()}
    parts = [
        f"{name} in {'all' if count == len(runs[name]) else f'{count} of {len(runs[name])}'}"
        for name, count in sorted(lacking.items(), key=lambda item: -item[1])
        if count
    ]
    if parts:
        more = f", and {len(parts) - _NAMED} more in fewer" if len(parts) > _NAMED else ""
        yield f"Runs in which a source never stays above chance: {', '.join(parts[:_NAMED])}{more}."


def _effects(effects: Sequence[FactorEffect]) -> Iterator[str]:
    effects = [effect for effect in effects if effect.quantity in _LOOKED_AT]
    if not effects:
        return
    clear = [effect for effect in effects if effect.p_value < _TOLD]
    looked = f"of {len(effects)} looked at, not corrected for that"
    if clear:
        told = "; ".join(f"{effect.quantity} by {effect.factor}: {effect_words(effect)}" for effect in clear)
        yield f"Effects of what differs that are told from chance ({looked}): {told}."
    else:
        yield f"No effect of what differs between runs is told from chance ({looked})."


def _decided(made: Development) -> Iterator[str]:
    rows = [row for row in made.decisions.rows if row.of_ability and row.target == ITSELF] if made.decisions else []
    for ability in dict.fromkeys(row.ability for row in rows):
        members = sorted((row for row in rows if row.ability == ability), key=lambda row: -row.pairs)
        every = members[0].pairs + members[0].not_told
        counts = ", ".join(f"{row.metric} {row.pairs}" for row in members)
        yield f"Pairs of configurations that {ability} tells apart at the end, of {every}: {counts}."

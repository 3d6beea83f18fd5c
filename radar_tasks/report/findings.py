"""What the page says first, in sentences: what emerged, what never did, what fell on the way, what holds back.

Each sentence rests on a number of `radar_tasks.analysis.development` with its interval or its corrected test; of a
single checkpoint nothing is said about growth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radar_metrics.development import Fall
from radar_tasks.analysis.development.asymmetry import Lead
from radar_tasks.analysis.development.growth import Growth
from radar_tasks.analysis.development.prior_split import FallCause, PriorSplitPoint
from radar_tasks.analysis.development.tables import Development
from radar_tasks.report.wording import verdict_words

_NAMED = 6
"""How many sources a sentence names."""


@dataclass(frozen=True)
class Findings:
    """The sentences on one training run."""

    run: str
    sentences: list[str]


def findings(made: Development) -> list[Findings]:
    """Sentences on each training run, its abilities first."""
    return [Findings(run, _of_training(made, run)) for run in dict.fromkeys(point.run for point in made.abilities)]


def _of_training(made: Development, training: str) -> list[str]:
    rows = [row for row in made.growth if row.run == training]
    said = [_ability(row) for row in rows if row.of_ability]
    for lead in made.asymmetry_summary:
        if lead.run == training:
            said.append(_lead(lead))
    sources = [row for row in rows if not row.of_ability]
    never = [row.source for row in sources if row.emergence is None]
    if never:
        when = "At chance" if sources[0].checkpoints == 1 else "Never above chance to the end"
        said.append(f"{when}: {_some(never)}.")
    causes = {cause.source: cause for cause in made.falls if cause.run == training}
    said += [_fall(row, row.fall, causes.get(row.source)) for row in rows if row.fall is not None]
    said += _split([point for point in made.prior if point.run == training and point.of_ability])
    said += [f"Against {one.first}: {verdict_words(one)}" for one in made.comparisons if one.second == training]
    for ability in dict.fromkeys(row.ability for row in made.bottleneck if row.run == training):
        worst = next(row for row in made.bottleneck if (row.run, row.ability) == (training, ability))
        said.append(
            f"What holds {ability} back most: {worst.source}, {worst.share:.0%} of what its sources lack "
            f"(lowest with probability {worst.probability_lowest:.2f})."
        )
    return said


def _ability(row: Growth) -> str:
    name = row.ability.capitalize()
    if row.checkpoints == 1:
        where = "cannot be distinguished from chance" if row.emergence is None else "is above chance"
        return f"{name} {where} at step {row.first_step:,} ({row.last:.3f}, chance {row.chance:.3f})."
    if row.emergence is None:
        return f"{name} cannot be distinguished from chance at the last checkpoint ({row.last:.3f})."
    since = "at every checkpoint" if row.emergence == row.first_step else f"from step {row.emergence:,.0f} on"
    rest = (
        "it is still growing"
        if row.saturation is None
        else f"no further gain can be distinguished from noise after step {row.saturation:,.0f}"
    )
    return f"{name} is above chance {since}; {rest}."


def _lead(lead: Lead) -> str:
    mean = lead.area.estimate
    band = f"95 % {lead.area.low:+.3f} to {lead.area.high:+.3f}"
    if lead.area.low <= 0 <= lead.area.high:
        return f"Neither ability leads over the whole training (perception minus reasoning {mean:+.3f}, {band})."
    first, second = ("Perception", "reasoning") if mean > 0 else ("Reasoning", "perception")
    lag = lead.lag
    bound = "at least " if lead.lag_is_bound else ""
    earlier = f", and emerges {bound}{abs(lag):,.0f} steps earlier" if lag and (lag > 0) == (mean > 0) else ""
    size = f"{abs(mean):.3f} on average, chance-centred ({band})"
    return f"{first} leads {second} by {size}{earlier}."


def _split(points: Sequence[PriorSplitPoint]) -> list[str]:
    """What the text alone gives at the last checkpoint, and what the picture adds, by ability."""
    last = {point.ability: point for point in points}
    return [
        f"{ability.capitalize()} at step {point.step:,}: the text alone gives {point.text.estimate:.3f}, the picture "
        f"adds {point.sight.estimate:+.3f} (95 % {point.sight.low:+.3f} to {point.sight.high:+.3f})."
        for ability, point in last.items()
    ]


def _fall(row: Growth, fall: Fall, cause: FallCause | None) -> str:
    change = fall.change
    name = row.source.capitalize() if row.of_ability else row.source
    when = f"from step {fall.start:,.0f} to {fall.end:,.0f}"
    said = f"{name} fell on the way, by {-change.estimate:.3f} {when} (95 % {change.low:+.3f} to {change.high:+.3f})."
    return said if cause is None else f"{said} {_why(cause)}"


def _why(cause: FallCause) -> str:
    left = cause.without_prior
    without = f"without it {left.estimate:+.3f}, 95 % {left.low:+.3f} to {left.high:+.3f}"
    return {
        "prior": f"The prior of the text drifted ({without}).",
        "sight": f"Sight was lost: the fall is there without the text's prior as well ({without}).",
        "both": f"The prior of the text drifted, and some sight was lost ({without}).",
    }[cause.cause]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more

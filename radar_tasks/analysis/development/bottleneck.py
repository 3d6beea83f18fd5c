"""What holds an ability back: its sources at the last checkpoint, the worst first."""

from __future__ import annotations

from dataclasses import dataclass

from radar_metrics.development import bottleneck
from radar_metrics.errors import MetricError
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.development.curves import TrainingCurves
from radar_tasks.questions import Ability


@dataclass(frozen=True)
class Bottleneck:
    """One source at the last checkpoint of a training run; numbers are chance-centred (0 chance, 1 perfect).

    Attributes:
        run, ability, source: whose it is.
        value, low, high: SDS with its 95 % interval.
        share: its part of what the ability's sources together lack to be perfect.
        probability_lowest: how often it is the lowest of the ability's sources in the bootstrap, in [0, 1].
        gain: last checkpoint minus first, with its 95 % interval; None with a single checkpoint.
        visual_gain: SDS minus that of the blind twin, where there is one.
    """

    run: str
    ability: Ability
    source: str
    value: float
    low: float
    high: float
    share: float
    probability_lowest: float
    gain: Interval | None
    visual_gain: float | None


def bottlenecks(training: TrainingCurves) -> list[Bottleneck]:
    """The sources of each ability, the worst first; of abilities with two or more sources that have a chance level."""
    rows = []
    for ability, of in training.abilities.items():
        members = {name: training.sources[name] for name in of.sources}
        chances = {name: member.chance for name, member in members.items() if member.chance is not None}
        if len(members) < 2 or len(chances) < len(members):
            continue
        try:
            gaps = bottleneck({name: m.curve for name, m in members.items()}, chances, training.visual_gain)
        except MetricError:  # all sources perfect: nothing holds the ability back
            continue
        rows += [
            Bottleneck(
                run=training.name,
                ability=ability,
                source=gap.source,
                value=gap.centred.estimate,
                low=gap.centred.low,
                high=gap.centred.high,
                share=gap.share,
                probability_lowest=gap.probability_lowest,
                gain=gap.gain if len(training.steps) > 1 else None,
                visual_gain=gap.visual_gain,
            )
            for gap in gaps
        ]
    return rows

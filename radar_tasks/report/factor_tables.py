"""What differs between runs as tables: what `radar analyze` prints and what stands on the page."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.factor_effects import FactorEffect, FactorLevel
from radar_tasks.report.wording import signed_interval

Table = tuple[str, list[str], list[list[str]]]
"""Title, head and rows."""


def factor_tables(levels: Sequence[FactorLevel], effects: Sequence[FactorEffect]) -> list[Table]:
    """The levels of each factor, then what they do where they have any effect to be looked at."""
    tables: list[Table] = []
    for factor in dict.fromkeys(level.factor for level in levels):
        tables.append(_level_table([level for level in levels if level.factor == factor]))
        if of_factor := [effect for effect in effects if effect.factor == factor]:
            tables.append((f"Does it depend on {factor}?", *_effect_table(of_factor)))
    return tables


def _level_table(levels: Sequence[FactorLevel]) -> Table:
    factor, step = levels[0].factor, levels[0].step
    seeds = "seeds and questions" if levels[0].over_seeds else "questions alone: these runs only"
    title = f"Perception's lead by {factor} at step {step:,.0f} (chance-centred, intervals: {seeds})"
    head = ["level", "runs", "perception", "reasoning", "lead", "mean over training", "lag, doublings"]
    return (
        title,
        head,
        [
            [
                level.level,
                str(len(level.runs)),
                f"{level.perception.estimate:.3f}",
                f"{level.reasoning.estimate:.3f}",
                signed_interval(level.lead),
                signed_interval(level.mean_lead),
                "–" if level.lag is None else signed_interval(level.lag, 2),
            ]
            for level in levels
        ],
    )


def _effect_table(effects: Sequence[FactorEffect]) -> tuple[list[str], list[list[str]]]:
    return ["what", "effect", "95% interval, p (uncorrected)", "on runs"], [
        [
            effect.quantity,
            f"per ten times {effect.factor}" if effect.is_slope else f"{effect.level} minus {effect.against}",
            f"{signed_interval(effect.effect)}, {effect.p_value:.3f}",
            str(effect.runs),
        ]
        for effect in effects
    ]

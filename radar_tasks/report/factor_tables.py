"""What differs between runs as tables: what `radar analyze` prints and what stands on the page."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.factor_effects import FactorEffect, FactorLevel
from radar_tasks.report.wording import signed_interval


def level_title(levels: Sequence[FactorLevel]) -> str:
    """Above the table of one factor."""
    seeds = "seeds and questions" if levels[0].over_seeds else "questions alone: these runs only"
    factor, step = levels[0].factor, levels[0].step
    return f"Perception's lead by {factor} at step {step:,.0f} (chance-centred, intervals: {seeds})"


def level_table(levels: Sequence[FactorLevel]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the levels of one factor."""
    head = ["level", "runs", "perception", "reasoning", "lead", "mean over training", "lag, doublings"]
    return head, [
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
    ]


def effect_table(effects: Sequence[FactorEffect]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the effects of one factor."""
    return ["what", "effect", "95% interval, p (uncorrected)", "on runs"], [
        [
            effect.quantity,
            f"per ten times {effect.factor}" if effect.is_slope else f"{effect.level} minus {effect.against}",
            f"{signed_interval(effect.effect)}, {effect.p_value:.3f}",
            str(effect.runs),
        ]
        for effect in effects
    ]

"""What pages say of the study in sentences with numbers; each holds whatever the results are."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from abilities import ABILITIES
from packed_study import DECIDING, PAIRED, TUNED, Study
from pretrain import fine_tuned
from tables import can_be_made

from radar_metrics.panel_correlation import Kind
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.decisions import ITSELF, Decisions
from radar_tasks.analysis.development.onsets import onset_qualities
from radar_tasks.analysis.forecast.backtest import BackTest
from radar_tasks.analysis.outside_correlations import LOG_STEP, OutsideCorrelation
from radar_tasks.questions import ABILITIES as KINDS
from radar_tasks.report.wording import amount_words, signed_interval

CALLED = {
    "sds": "SDS",
    "sds_pmi": "SDS less its text prior",
    "sds_free": "SDS less the prior of its options",
    "acc": "accuracy",
    "margin": "the margin",
    "nll": "the answer's loss",
    "mir": "MIR",
    "training loss": "training loss",
}


def runs_here(study: Study) -> str:
    """How much of the plan has been made."""
    names = list(study.plan["runs"])
    missing = [f"`{name}`" for name in names if name not in study.files]
    if not missing:
        planned = len(fine_tuned(study.plan))
        tuned = "all" if study.fine_tunings_here == planned else f"{study.fine_tunings_here} of {planned}"
        return f"All {len(names)} runs of the plan are here, and {tuned} fine-tunings."
    return (
        f"**{len(study.files)} of the plan's {len(names)} runs are here so far.** Still to come: {_all_of(missing)}. "
        "`make study` makes them."
    )


def in_short(study: Study) -> str:
    """The results in a list."""
    said = {
        "development": [_order, _base_seeds],
        "factors": [_factors, _strategy],
        "decisions": [_decisions],
        "emergence": [_onsets],
        "fine_tuning": [_fine_tuning],
        "forecast": [forecast_said],
    }
    made = [say(study) for table, of in said.items() if can_be_made(study, table) for say in of]
    return "\n".join(f"- {text}" for text in made if text)


def which_metric(study: Study) -> str:
    """Whose trainings the table of the same name is from."""
    made = study.decided.configurations
    seeds = sum(len(runs) > 1 for runs in made.values())
    return (
        f"From {sum(map(len, made.values()))} trainings of our own, of {len(made)} recipes ({seeds} of them with "
        "several seeds):"
    )


def which_metric_said(study: Study) -> str:
    """What else is to be said of them."""
    pooled = {row.metric: row for row in study.tuned if row.column == TUNED and row.correlation.kind is Kind.pooled}
    sds, step = (_signed(pooled[name].correlation.r) for name in ("sds", LOG_STEP))
    qualities = {row.metric: row for row in onset_qualities(study.onsets)}
    of_sds, of_accuracy = (qualities[name].false_alarms or "none" for name in ("sds", "acc"))
    return (
        f"Log step alone has an r of {step} where SDS has {sds}. Of {qualities['sds'].controls} runs that leave the "
        f"leaf `side` at or near chance, SDS says of {of_sds} that it has been learnt, accuracy of {of_accuracy}."
    )


def _order(study: Study) -> str:
    leads = study.leads
    first, same, later = [], [], []
    for name, (lead, _) in leads.items():
        perception, reasoning = (
            np.inf if step is None else step for step in (lead.perception_emergence, lead.reasoning_emergence)
        )
        (first if perception < reasoning else later if perception > reasoning else same).append(f"`{name}`")
    behind = [f"`{name}`" for name, (_, end) in leads.items() if end <= 0]
    return (
        f"**Perception before reasoning.** Perception emerges first in {len(first)} of {len(leads)} runs"
        + (f", at the same checkpoint in {_all_of(same)}" if same else "")
        + (f", and after reasoning in {_all_of(later)}" if later else "")
        + ". At the end it is further from chance in "
        + ("all of them." if not behind else f"{len(leads) - len(behind)}, and not in {_all_of(behind)}.")
    )


def _base_seeds(study: Study) -> str:
    ends = {part.name: [of[part.source].last for of in study.base_growth.values()] for part in ABILITIES}
    if len(next(iter(ends.values()))) < 2:
        return ""
    widest = sorted(ends, key=lambda name: np.ptp(ends[name]), reverse=True)[:2]
    told = _all_of([f"`{name}` ends at {_all_of([_short(value) for value in ends[name]])}" for name in widest])
    return (
        f"**The seed can decide more than the recipe.** In {len(study.base_growth)} seeds of the base configuration "
        f"{told}."
    )


def _factors(study: Study) -> str:
    _, effects = study.factors
    leads = [row for row in effects if row.quantity == "lead"]
    clear = [row for row in leads if row.p_value < 0.05]
    told = [
        f"{row.factor} {'tenfold' if row.is_slope else f'{row.level} against {row.against}'} "
        f"{signed_interval(row.effect, 2)}"
        for row in clear
    ]
    return (
        f"**What changes the lead.** Of {len(leads)} changes of width, documents, mix and strategy, "
        f"{len(clear) or 'none'} {'have' if len(clear) > 1 else 'has'} an effect on it with p < .05 (not corrected for "
        "their number)" + (f": {'; '.join(told)}." if told else ".")
    )


def _strategy(study: Study) -> str:
    levels = {row.level: row for row in study.factors[0] if row.factor == "strategy"}
    if len(levels) < 2:
        return ""
    told = [
        f"{name} {signed_interval(row.perception, 2)} and {signed_interval(row.reasoning, 2)}"
        for name, row in levels.items()
    ]
    step = amount_words(next(iter(levels.values())).step)
    return (
        f"**Strategy.** Perception and reasoning at step {step}, chance-centred (0 is chance, 1 perfect): "
        f"{'; '.join(told)}."
    )


def _decisions(study: Study) -> str:
    rows = {(row.metric, row.name): row for row in study.decided.rows if row.target == ITSELF and row.of_ability}
    pairs = rows["sds", "perception"].pairs + rows["sds", "perception"].not_told

    def told(metric: str) -> int:
        return sum(rows[metric, kind].pairs for kind in KINDS)

    order = sorted(DECIDING, key=told, reverse=True)
    counts = [f"{CALLED[metric]} {_pairs([rows[metric, kind] for kind in KINDS])}" for metric in order]
    return (
        f"**{_capital(CALLED[order[0]])} tells most recipes apart.** Pairs of configurations told apart at the end, of "
        f"{pairs}, by perception and by reasoning: {'; '.join(counts)}."
    )


def _pairs(rows: Sequence[Decisions]) -> str:
    return " and ".join(str(row.pairs) if row.pairs else "none" for row in rows)


def _onsets(study: Study) -> str:
    qualities = {row.metric: row for row in onset_qualities(study.onsets)}
    found = [
        f"{CALLED[name]} finds {row.found}" + (f" ({row.early} more are said too early)" if row.early else "")
        for name, row in qualities.items()
    ]
    alarms = [f"{CALLED[name]} {row.false_alarms or 'none'}" for name, row in qualities.items()]
    growth = [of[part.source] for of in study.base_growth.values() for part in ABILITIES]
    untrained = sum(row.emergence == 0 for row in growth)
    sds = qualities["sds"]
    return (
        f"**False alarms and planted onsets.** Runs said to have learnt `side`, of {sds.controls} that leave it at or "
        f"near chance: {', '.join(alarms)}. Of {sds.onsets} planted onsets ({len(PAIRED)} abilities per run), "
        f"{', '.join(found)}. By SDS {untrained or 'none'} of {len(growth)} abilities of "
        f"{len(study.base_growth)} untrained models stand{'s' if untrained == 1 else ''} above chance."
    )


def _fine_tuning(study: Study) -> str:
    rows = {
        (row.metric, row.correlation.kind): row
        for row in study.tuned
        if row.column == TUNED and row.correlation.kind in (Kind.pooled, Kind.between_runs)
    }

    def r(metric: str, kind: Kind) -> str:
        found: OutsideCorrelation | None = rows.get((metric, kind))
        return "–" if found is None else _signed(found.correlation.r)

    others = [name for name in ("acc", "nll", "mir", "training loss") if (name, Kind.pooled) in rows]
    told = [f"{CALLED[name]} {r(name, Kind.pooled)} and {r(name, Kind.between_runs)}" for name in others]
    beyond = rows["sds", Kind.pooled].beyond_step
    more = beyond is not None and beyond.low > 0
    return (
        f"**SDS {'says more' if more else 'says no more'} about accuracy after fine-tuning than log step does.** With "
        f"free answers, its r is {r('sds', Kind.pooled)} pooled (log step alone: {r(LOG_STEP, Kind.pooled)}) and "
        f"{r('sds', Kind.between_runs)} between runs at one step; the others': {'; '.join(told)}."
    )


def forecast_said(study: Study) -> str:
    """The forecasts in sentences."""
    rows = {(row.held_out, row.ability): row for row in study.forecasts if row.metric == "sds" and row.of_ability}

    def told(held_out: str) -> str:
        of: list[BackTest] = [rows[held_out, kind] for kind in KINDS if (held_out, kind) in rows]
        # Less than a tenth better is as good as not.
        better = [row.ability for row in of if row.missed < 0.9 * row.copying_missed]
        verdict = (
            f"better than by copying the last value for {_all_of(better)}" if better else "no better than by copying"
        )
        errors = [f"of {row.ability} {_short(row.missed, 3)} against {_short(row.copying_missed, 3)}" for row in of]
        return f"{verdict}: mean error {', '.join(errors)}"

    said = f"**Forecasts.** The end of a run is forecast {told('last third')}."
    larger = any(held_out == "largest size" for held_out, _ in rows)
    return said + (f" The largest model is forecast {told('largest size')}." if larger else "")


SECTIONS: dict[str, Callable[[Study], str]] = {
    made.__name__: made for made in (runs_here, in_short, which_metric, which_metric_said, forecast_said)
}
"""Sentences by the name that pages call them."""
_NEEDS = {"which_metric": "which_metric", "which_metric_said": "which_metric", "forecast_said": "forecast"}
"""The table whose runs they need."""


def sentences(study: Study) -> dict[str, str]:
    """All of them whose runs are there."""
    return {
        name: say(study) for name, say in SECTIONS.items() if name not in _NEEDS or can_be_made(study, _NEEDS[name])
    }


def _all_of(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _short(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".removeprefix("0")


def _signed(value: Interval) -> str:
    return ("-" if value.estimate < 0 else "") + _short(abs(value.estimate))

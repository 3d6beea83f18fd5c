"""Every table that pages show of the study, as Markdown; which runs each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from abilities import ABILITIES, CONTROL
from packed_study import DECIDING, PAIRED, TUNED, Study

from radar_metrics.curves import pointwise_band
from radar_metrics.panel_correlation import Kind
from radar_tasks.analysis.decisions import ITSELF
from radar_tasks.analysis.development.curves import DevelopmentCurve
from radar_tasks.analysis.development.onsets import onset_qualities
from radar_tasks.analysis.forecast.backtest import BackTest
from radar_tasks.questions import ABILITIES as KINDS
from radar_tasks.report.correlation_table import correlation_table, correlation_words
from radar_tasks.report.decision_tables import by_questions_table, by_step_table
from radar_tasks.report.onset_tables import onset_table
from radar_tasks.report.text_tables import markdown
from radar_tasks.report.wording import amount_words, lag_words, signed_interval, step_words, verdict_words

NOTHING = "–"


def final(study: Study) -> str:
    """Every run at its last checkpoint."""
    rows = []
    for name in study.trainings:
        curves = study.curves(name)
        ends = [curves.abilities["perception"], curves.abilities["reasoning"], curves.sources[CONTROL]]
        rows.append([name, f"{curves.steps[-1]:,}", *map(last_words, ends)])
    return markdown(["run", "steps", "perception", "reasoning", "`side` of the sample (chance .500)"], rows)


def development(study: Study) -> str:
    """Perception against reasoning in every run (RQ1)."""
    rows = []
    for name, (lead, _) in study.leads.items():
        emerged = [
            step_words(step, lead.first_step, "never") for step in (lead.perception_emergence, lead.reasoning_emergence)
        ]
        rows.append([name, signed_interval(lead.area), *emerged, lag_words(lead)])
    return markdown(["run", "mean lead of perception", "perception emerges", "reasoning emerges", "lag"], rows)


def factors(study: Study) -> str:
    """What each thing that differs does to perception, to reasoning, and to the lead of one over the other (RQ1)."""
    levels, effects = study.factors
    rows = [
        [
            *(row.factor, row.level, str(len(row.runs)), amount_words(row.step)),
            *map(signed_interval, (row.perception, row.reasoning, row.lead)),
        ]
        for row in levels
    ]
    of_levels = markdown(["factor", "level", "runs", "at step", "perception", "reasoning", "lead"], rows)
    rows = [
        [
            row.factor,
            "ten times as much" if row.is_slope else f"{row.level} against {row.against}",
            row.quantity,
            signed_interval(row.effect),
            f"{row.p_value:.3f}",
            "yes" if row.over_seeds else "no",
        ]
        for row in effects
        if row.quantity in {"perception", "reasoning", "lead"}
    ]
    head = ["factor", "change", "of", "effect", "p", "spread of seeds in it"]
    return of_levels + "\n" + markdown(head, rows)


def abilities(study: Study) -> str:
    """When each ability emerges in the seeds of the base configuration, and where it ends."""
    growth = study.base_growth
    table = []
    for part in ABILITIES:
        rows = [of[part.source] for of in growth.values()]
        table.append(
            [
                part.name,
                part.ability,
                f"{rows[0].chance:.3f}",
                ", ".join(_step(row.emergence) for row in rows),
                ", ".join(f"{row.last:.3f}" for row in rows),
            ]
        )
    return markdown(["ability", "kind", "chance", f"emerges in {', '.join(growth)}", "SDS at the end"], table)


def onsets(study: Study) -> str:
    """How long after the first documents each metric says that an ability has emerged (RQ2)."""
    said = {(row.run, row.metric, row.source): row for row in study.onsets if not row.is_control}
    table = []
    for run, metric in dict.fromkeys((run, metric) for run, metric, _ in said):
        rows = [said[run, metric, source] for source in PAIRED]
        cells = ["never" if row.behind is None else f"{row.behind:+,.0f}" for row in rows]
        table.append([run, f"{rows[0].onset:,.0f}", metric, *cells])
    return markdown(["run", "onset", "metric", *(source.removeprefix("tiny_") for source in PAIRED)], table)


def emergence(study: Study) -> str:
    """How late and how falsely each metric says that something has emerged: planted onsets and controls (RQ2)."""
    return markdown(*onset_table(onset_qualities(study.onsets)))


def side(study: Study) -> str:
    """`side` and its relatives in the run that was to bring them up, and in base-1."""
    sources = (CONTROL, "tiny_side_left", "tiny_side_right")
    curves = {name: study.curves(name) for name in ("base-1", "side-wide")}
    rows = [[name, f"{of.steps[-1]:,}", *(last_words(of.sources[s]) for s in sources)] for name, of in curves.items()]
    return markdown(["run", "steps", *sources], rows)


def intervention(study: Study) -> str:
    """groups-tripled minus base-1 at the last shared step (RQ3)."""
    rows = [
        [row.name.removeprefix("tiny_"), signed_interval(row.last), signed_interval(row.mean)]
        for row in study.compared(["base-1"], ["groups-tripled"]).rows
        if row.of_ability or "count" in row.name or "most" in row.name
    ]
    return markdown(["ability", "difference at the end", "mean over training"], rows)


def verdicts(study: Study) -> str:
    """Every configuration against the base configuration, all seeds of each."""
    base, *others = study.configurations.values()
    rows = [
        ["/".join(names), amount_words(made.amounts[-1]), verdict_words(made)]
        for names in others
        for made in [study.compared(base, names)]
    ]
    return markdown(["configuration", "to step", f"against {', '.join(base)}"], rows)


def decisions(study: Study) -> str:
    """How early a metric orders configurations as its own end does."""
    made = study.decided
    seeds = sum(len(runs) > 1 for runs in made.configurations.values())
    text = (
        f"{len(made.configurations)} configurations in {sum(map(len, made.configurations.values()))} runs, {seeds} of "
        "them with several seeds.\nOf pairs that are told apart at the end, the share ordered alike; 0.5 is guessing.\n"
    )
    for ability in KINDS:
        rows = [row for row in made.rows if (row.name, row.target) == (ability, ITSELF)]
        text += f"\n**{ability}: pairs ordered as by its own end, by step**\n\n{markdown(*by_step_table(rows))}"
    return text


def few_questions(study: Study) -> str:
    """The same at half of training with fewer questions, with intervals over runs."""
    of_abilities = [row for row in study.decided.rows if row.target == ITSELF and row.of_ability and row.pairs]
    rows = [row for kind in KINDS for row in of_abilities if row.ability == kind]
    (metric, *sizes), body = by_questions_table(rows)
    return markdown(
        ["ability", metric, "pairs", *sizes],
        [[row.ability, name, str(row.pairs), *cells] for row, (name, *cells) in zip(rows, body, strict=True)],
    )


def decisions_tuned(study: Study) -> str:
    """How early a metric orders the fine-tuned configurations, on each source, as their accuracy afterwards does."""
    rows = [row for row in study.decided.rows if row.target == TUNED and row.pairs]
    body = []
    for ability, metric in dict.fromkeys(
        (row.ability, row.metric) for kind in KINDS for row in rows if row.ability == kind
    ):
        of = [row for row in rows if (row.ability, row.metric) == (ability, metric)]
        pairs = np.array([row.pairs for row in of])
        right = pairs @ np.array([[step.accuracy.estimate for step in row.by_step] for row in of]) / pairs.sum()
        body.append([ability, metric, f"{pairs.sum()}", *(f"{share:.2f}" for share in right)])
    return markdown(["ability", "metric", "pairs", *map(amount_words, study.decided.amounts)], body)


def signal(study: Study) -> str:
    """Signal to noise of every source."""
    metrics = ("sds", "acc", "nll")
    rows = {(row.name, row.metric): row for row in study.decided.rows if row.target == ITSELF and not row.of_ability}
    body = []
    for source in dict.fromkeys(name for name, _ in rows if name != CONTROL):
        of = [rows[source, metric] for metric in metrics]
        cells = [f"{_number(row.signal_to_noise)} / {_number(row.signal_to_seed_noise)} / {row.pairs}" for row in of]
        body.append([source.removeprefix("tiny_"), of[0].ability, *cells])
    return markdown(
        ["ability", "kind", *(f"{metric}: over noise / over seed noise / pairs" for metric in metrics)], body
    )


def which_metric(study: Study) -> str:
    """What metrics are worth for choosing between recipes, and whether they go with accuracy after fine-tuning."""
    rows = {(row.metric, row.name): row for row in study.decided.rows if row.target == ITSELF}
    tuned = {
        row.metric: row.correlation.r.estimate
        for row in study.tuned
        if row.column == TUNED and row.correlation.kind is Kind.pooled
    }
    most = {kind: max(rows[metric, kind].pairs for metric in DECIDING) for kind in KINDS}
    body = []
    for metric in DECIDING:
        cells = []
        for kind in KINDS:
            row = rows[metric, kind]
            pairs = f"**{row.pairs}**" if row.pairs == most[kind] > 0 else str(row.pairs)
            cells += [pairs, _number(row.signal_to_seed_noise)]
        body.append([f"`{metric}`", *cells, f"{tuned[metric]:.2f}"])
    every = rows["sds", "perception"].pairs + rows["sds", "perception"].not_told
    head = ["metric", f"perception: pairs of recipes told apart, of {every}", "signal / seed noise", "reasoning: pairs"]
    return markdown([*head, "signal / seed noise", "r with free answers after fine-tuning"], body)


def fine_tuning(study: Study) -> str:
    """What `radar agreement` says of metrics and the accuracy after fine-tuning."""
    parts = []
    for column in dict.fromkeys(row.column for row in study.tuned):
        rows = [row for row in study.tuned if row.column == column]
        table = correlation_table(rows)
        said = "".join(f"\n{sentence}\n" for sentence in correlation_words(rows))
        parts.append(f"**{table.title}**\n\n{markdown(table.header, table.rows)}{said}")
    return "\n".join(parts)


def forecast(study: Study) -> str:
    """The back-test of `radar forecast`: the last third of every run, and the largest model, held out."""
    return _back_test(study.forecasts, ["held out", "metric"])


def forecast_alone(study: Study) -> str:
    """The same for SDS, beside forecasts from a run alone."""
    rows = [row for row in [*study.forecasts, *study.forecasts_alone] if row.metric == "sds"]
    order = {"last third": 0, "last third, the run alone": 1, "largest size": 2}
    return _back_test(sorted(rows, key=lambda row: order[row.held_out]), ["held out"])


SECTIONS: dict[str, Callable[[Study], str]] = {
    made.__name__: made
    for made in (
        *(final, development, factors, abilities, onsets, emergence, side, intervention, verdicts, decisions),
        *(few_questions, decisions_tuned, signal, which_metric, fine_tuning, forecast, forecast_alone),
    )
}
"""Table by the name that pages call it."""

_SEVERAL = ("base-1", "width-064")
NEEDS = {
    "factors": _SEVERAL,
    "abilities": ("base-1",),
    "onsets": ("onset-0566",),
    "emergence": ("onset-0566",),
    "side": ("base-1", "side-wide"),
    "intervention": ("base-1", "groups-tripled"),
    "verdicts": _SEVERAL,
    "decisions": _SEVERAL,
    "few_questions": _SEVERAL,
    "signal": _SEVERAL,
    "forecast": ("base-1", "width-064", "width-096"),
    "forecast_alone": ("base-1", "width-064", "width-096"),
}
"""Runs without which there is no table."""


def tables(study: Study) -> dict[str, str]:
    """Every table whose runs are there."""
    return {name: make(study) for name, make in SECTIONS.items() if can_be_made(study, name)}


def can_be_made(study: Study, name: str) -> bool:
    """Whether the runs that a table needs are there."""
    needed: Sequence[str] = NEEDS.get(name, ())
    if name in {"decisions_tuned", "which_metric", "fine_tuning"}:
        needed = study.plan["fine_tuning"]["configurations"]
        if len(needed) < 2 or not (study.finetuned / "mir.csv").is_file():
            return False
    return all(run in study.files for run in needed)


def last_words(curve: DevelopmentCurve) -> str:
    """The last value of a curve with its interval."""
    band = pointwise_band(curve.curve)
    return f"{curve.curve.values[-1]:.3f} [{band.low[-1]:.3f}, {band.high[-1]:.3f}]"


def _back_test(rows: Sequence[BackTest], names: Sequence[str]) -> str:
    body = [
        [
            *(row.held_out, row.metric)[: len(names)],
            row.ability,
            "mean of sources" if row.of_ability else "each source",
            str(row.forecasts),
            *(f"{missed:.4f}" for missed in (row.missed, row.copying_missed, row.line_missed)),
            NOTHING if row.coverage is None else f"{row.coverage:.0%}",
        ]
        for row in rows
    ]
    return markdown([*names, "ability", "of", "forecasts", "missed by", "copying", "line", "90 % intervals held"], body)


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"


def _step(step: float | None) -> str:
    return "never" if step is None else f"{step:,.0f}"

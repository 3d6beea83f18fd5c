"""`radar analyze`: development over checkpoints, as tables for the terminal and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._development import develop
from radar_tasks.cli._json import to_json
from radar_tasks.cli._options import CurveMetric, Descriptions, JsonFile, Parting, Results, Seed
from radar_tasks.cli._runs import console
from radar_tasks.cli._tables import terminal_table

if TYPE_CHECKING:
    from rich.console import Console

    from radar_metrics.uncertainty import Interval
    from radar_tasks.analysis.development.tables import Development

_WIDTH = 100


def command(
    results: Results,
    runs: Descriptions = None,
    metric: CurveMetric = "sds",
    parting: Parting = None,
    onsets: Annotated[
        Path | None,
        typer.Option(help="CSV with run, source, onset (a step, or never): judge when each metric says it emerged."),
    ] = None,
    json_file: JsonFile = None,
    seed: Seed = 0,
) -> None:
    """Say when abilities emerge, saturate and diverge over the checkpoints of training runs, and what limits them."""
    from radar_tasks.errors import ResultsError
    from radar_tasks.files import write_whole

    made = develop(results, runs, metric, parting, seed, onsets).tables
    if not made.abilities:
        raise ResultsError("; ".join(made.notes))
    show(made, console(_WIDTH))
    if json_file is not None:
        write_whole(json_file, to_json(made))
        print(json_file)


def show(made: Development, screen: Console) -> None:
    """Print every table that is not empty, then the notes.

    Of many runs abilities and what stands out are printed, not every source: nobody would read it.
    """
    from rich.markup import escape

    _growth(made, screen)
    _prior(made, screen)
    _comparisons(made, screen)
    _asymmetry(made, screen)
    _bottleneck(made, screen)
    _metrics(made, screen)
    _stability(made, screen)
    _scaling(made, screen)
    _factors(made, screen)
    _intervention(made, screen)
    _onsets(made, screen)
    for note in made.notes:
        screen.print(f"note: {escape(note)}")
    if made.has_many_runs:
        screen.print("Every source of every run: one run at a time, --json FILE, or `radar report`.")


def _growth(made: Development, screen: Console) -> None:
    from radar_tasks.report.wording import emergence_words, fall_words, saturation_words

    shown = [row for row in made.growth if row.of_ability or not made.has_many_runs]
    bold = [row.of_ability for row in shown]
    head = ["run", "source", "first", "last", "emerges", "saturates", "fell on the way, at steps"]
    rows = [
        [
            row.run,
            row.source,
            _number(row.first),
            _number(row.last),
            emergence_words(row),
            saturation_words(row),
            fall_words(row.fall),
        ]
        for row in shown
    ]
    _print(f"Development of {made.metric}", head, rows, screen, bold=bold)
    head = ["run", "source", "gain per 1,000 steps", "gain per doubling"]
    rows = [
        [row.run, row.source, _interval(row.rate_per_1000_steps), _interval(row.rate_per_doubling)]
        for row in shown
        if any(growth.rate_per_1000_steps or growth.rate_per_doubling for growth in made.growth)
    ]
    _print("Gain between emergence and saturation, 95% intervals", head, rows, screen, bold=bold)


def _prior(made: Development, screen: Console) -> None:
    last = {point.run: point.step for point in made.prior}
    head = ["run", "step", "ability", "text alone", "picture adds"]
    rows = [
        [
            point.run,
            f"{point.step:,}",
            point.ability,
            f"{point.text.estimate:.3f} ({point.text.low:.3f} to {point.text.high:.3f})",
            _interval(point.sight),
        ]
        for point in made.prior
        if point.of_ability and (not made.has_many_runs or point.step == last[point.run])
    ]
    _print("What the text alone gives, and what the picture adds (SDS, 95% intervals)", head, rows, screen)
    head = ["run", "source", "fell by", "from", "to", "without the text's prior", "cause"]
    rows = [
        [
            cause.run,
            cause.source,
            f"{-cause.fall.change.estimate:.3f}",
            f"{cause.fall.start:,.0f}",
            f"{cause.fall.end:,.0f}",
            _interval(cause.without_prior),
            {"prior": "prior drifted", "sight": "sight lost", "both": "both"}[cause.cause],
        ]
        for cause in made.falls
        if not made.has_many_runs or cause.source == cause.ability
    ]
    _print("Falls told apart", head, rows, screen)


def _comparisons(made: Development, screen: Console) -> None:
    from radar_tasks.report.wording import verdict_words

    for first in made.comparisons[:1]:
        title = f"Training against {first.first} at shared steps"
        if not any(one.over_seeds for one in made.comparisons):
            title += " (one run each: it speaks of these runs only)"
        _print(title, ["run", "verdict"], [[one.second, verdict_words(one)] for one in made.comparisons], screen)


def _asymmetry(made: Development, screen: Console) -> None:
    from radar_tasks.report.wording import lag_words, step_words

    title = "Asymmetry: perception minus reasoning, chance-centred, mean over training"
    head = ["run", "mean lead", "perception emerges", "reasoning emerges", "lag in steps"]
    rows = [
        [
            row.run,
            _interval(row.area),
            step_words(row.perception_emergence, row.first_step, "not yet"),
            step_words(row.reasoning_emergence, row.first_step, "not yet"),
            lag_words(row),
        ]
        for row in made.asymmetry_summary
    ]
    _print(title, head, rows, screen)


def _bottleneck(made: Development, screen: Console) -> None:
    title = "Bottlenecks at the last checkpoint, the worst first (chance-centred: 0 chance, 1 perfect)"
    head = ["run", "ability", "source", "centred", "share of lack", "lowest with p", "visual gain"]
    rows = [
        [
            row.run,
            row.ability,
            row.source,
            _number(row.value),
            _number(row.share, 2),
            _number(row.probability_lowest, 2),
            _number(row.visual_gain),
        ]
        for k, row in enumerate(made.bottleneck)
        if not made.has_many_runs
        or k == 0
        or (made.bottleneck[k - 1].run, made.bottleneck[k - 1].ability) != (row.run, row.ability)  # the worst alone
    ]
    _print(title, head, rows, screen)


def _metrics(made: Development, screen: Console) -> None:
    title = "Which metric tells checkpoints apart: signal to noise within a run (losses count negated)"
    title += f", {made.metrics[0].run}" if made.has_many_runs and made.metrics else ""
    head = ["run", "ability", "metric", "growth / noise", "Kendall's tau with training"]
    rows = [
        [row.run, row.name, row.metric, _number(row.growth_to_noise, 1), _number(row.monotonicity, 2)]
        for row in made.metrics
        if not made.has_many_runs or row.run == made.metrics[0].run
    ]
    _print(title, head, rows, screen)


def _stability(made: Development, screen: Console) -> None:
    title = "How many questions are enough: random subsets against all questions"
    title += f", {made.stability_summary[0].run}" if made.has_many_runs and made.stability_summary else ""
    head = ["run", "ability", "questions", "sd between subsets", "order agreement"]
    rows = [
        [row.run, row.ability, f"{row.size:,}", _number(row.spread, 4), _number(row.agreement, 2)]
        for row in made.stability_summary
        if not made.has_many_runs or row.run == made.stability_summary[0].run
    ]
    _print(title, head, rows, screen)


def _scaling(made: Development, screen: Console) -> None:
    head = ["against", "ability", "group", "gain per ten times", "R²", "points"]
    rows = [
        [line.column, line.ability, line.group, _interval(line.slope), _number(line.r_squared, 2), str(line.n)]
        for line in made.scaling_lines
    ]
    _print("Lines on a logarithmic axis", head, rows, screen)
    head = ["against", "between", "common slope", "F", "p (small: not parallel)"]
    rows = [
        [test.column, test.between, _number(test.slope), _number(test.f, 2), _number(test.p, 4)]
        for test in made.scaling_tests
    ]
    _print("Are the lines parallel?", head, rows, screen)


def _factors(made: Development, screen: Console) -> None:
    from radar_tasks.report.factor_tables import factor_tables

    for title, head, rows in factor_tables(made.factor_levels, made.factor_effects):
        _print(title, head, rows, screen)


def _intervention(made: Development, screen: Console) -> None:
    for first in made.intervention_summary[:1]:
        title = f"{first.changed} minus {first.unchanged} after step {first.parting:,} (simultaneous 95% bands)"
        head = ["ability", "last difference", "band", "differs from step"]
        rows = [
            [
                effect.ability,
                f"{effect.last_difference:+.3f}",
                f"{effect.low:+.3f} to {effect.high:+.3f}",
                "never" if effect.onset is None else f"{effect.onset:,.0f}",
            ]
            for effect in made.intervention_summary
        ]
        _print(title, head, rows, screen)
    _intervention_causes(made, screen)


def _intervention_causes(made: Development, screen: Console) -> None:
    from radar_tasks.report.wording import signed_interval

    head = ["source", "difference", "of it the text's prior", "of it sight", "prior"]
    rows = [
        [row.source, signed_interval(row.whole), signed_interval(row.text), signed_interval(row.sight), row.prior]
        for row in made.intervention_splits
    ]
    bold = [row.of_ability for row in made.intervention_splits]
    _print("The last difference, split in the text's prior and sight (bands)", head, rows, screen, bold=bold)
    head = ["source", "ability", "before", "unchanged", "changed", "changed minus unchanged"]
    rows = [
        [
            row.source,
            row.ability,
            *(_number(share, 2) for share in (row.before, row.unchanged, row.changed)),
            signed_interval(row.shift),
        ]
        for row in made.bottleneck_shifts
    ]
    _print("Share of what its ability lacks: before the parting, and at the end of both runs", head, rows, screen)


def _onsets(made: Development, screen: Console) -> None:
    from radar_tasks.report.onset_tables import detection_table, onset_table

    title = "When each metric says that a source emerged (0 or less: before anything could teach it)"
    _print(title, *detection_table(made.onsets), screen)
    title = "All of them together; a false alarm is of a source that is never learnt"
    _print(title, *onset_table(made.onset_summary), screen)


def _print(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], screen: Console, *, bold: Sequence[bool] = ()
) -> None:
    """One table; the column `run` is left out where there is only one."""
    from rich import box

    if not rows:
        return
    kept = [k for k, name in enumerate(head) if name not in {"run", "group"} or len({row[k] for row in rows}) > 1]
    words = {"run", "source", "ability", "metric", "against", "between", "group", "verdict", "level", "what", "effect"}
    shown = [[row[k] for k in kept] for row in rows]
    screen.print(
        terminal_table(
            title,
            [head[k] for k in kept],
            shown,
            words=words,
            bold=bold,
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            title_style="bold",
        )
    )


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(value: Interval | None) -> str:
    return "–" if value is None else f"{value.estimate:+.3f} ({value.low:+.3f} to {value.high:+.3f})"

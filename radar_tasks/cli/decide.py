"""`radar decide`: how early, and on how few questions, metrics choose between trainings as the end does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._development import described
from radar_tasks.cli._json import to_json
from radar_tasks.cli._options import Descriptions, Results, Seed, TrainingAxis, each_once
from radar_tasks.cli._runs import console, runs_of
from radar_tasks.cli._tables import Format, terminal_table

if TYPE_CHECKING:
    from radar_tasks.analysis.decisions import DecisionStudy


def command(
    results: Results,
    *,
    runs: Descriptions = None,
    outside: Annotated[
        Path | None,
        typer.Option(
            help="CSV with `checkpoint` (and `source`) and target numbers, such as accuracy after fine-tuning."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(callback=each_once, help="A metric (default: several); may be repeated.")
    ] = None,
    on: Annotated[
        list[str] | None,
        typer.Option(callback=each_once, help="A source or ability (default: the abilities); may be repeated."),
    ] = None,
    at: Annotated[
        float | None, typer.Option(help="Step at which fewer questions are tried (default: half-way).")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(help="Factor of --runs that is a size: how smaller models decide as the largest do at their end."),
    ] = None,
    x: TrainingAxis = "step",
    format: Annotated[Format, typer.Option(help="Output format of the tables.")] = Format.terminal,  # noqa: A002
    seed: Seed = 0,
) -> None:
    """Decision accuracy: how many pairs of training runs a metric orders early as the end of training orders them."""
    import numpy as np

    from radar_tasks.analysis.decisions import decisions
    from radar_tasks.analysis.outside_column import read_outside
    from radar_tasks.analysis.training_amount import training_amount
    from radar_tasks.analysis.training_runs import training_runs

    every, rows = described(runs_of(results), runs)
    found = [run for run in every if not run.withheld]
    trainings, notes = training_runs(found, at_least=1)
    made = decisions(
        trainings,
        np.random.default_rng(seed),
        descriptions=rows,
        metrics=metric or (),
        outside=read_outside(outside, found) if outside else None,
        amount=training_amount(x, found, rows),
        at=at,
        size=size,
    )
    for note in [*notes, *(note for training in trainings for note in training.notes), *made.notes]:
        print(note, file=sys.stderr)
    names = _names(made, on or ())
    if on:
        made = replace(made, rows=tuple(row for row in made.rows if row.name in names))
    if format is Format.json:
        print(to_json(made), end="")
    elif format is Format.csv:
        print(_csv(made), end="")
    else:
        _show(made, names, format)


def _names(made: DecisionStudy, wanted: Sequence[str]) -> list[str]:
    from radar_tasks.errors import ResultsError, did_you_mean

    known = list(dict.fromkeys(row.name for row in made.rows))
    if unknown := [name for name in wanted if name not in known]:
        near = did_you_mean(unknown[0], known)
        raise ResultsError(f"nothing was measured on {', '.join(unknown)}; there is {', '.join(known)}.{near}")
    return list(wanted) or list(dict.fromkeys(row.name for row in made.rows if row.of_ability)) or known


def _show(made: DecisionStudy, names: Sequence[str], format: Format) -> None:  # noqa: A002
    from radar_tasks.report.decision_tables import by_questions_table, by_step_table
    from radar_tasks.report.text_tables import markdown
    from radar_tasks.report.wording import amount_words

    seeds = sum(len(runs) > 1 for runs in made.configurations.values())
    runs = sum(map(len, made.configurations.values()))
    print(f"{len(made.configurations)} configurations in {runs} runs, {seeds} of them with several seeds.")
    print("Share of the pairs that differ at the end that are ordered in the same way; 0.5 is guessing.\n")
    for name in names:
        for target, size in dict.fromkeys((row.target, row.size) for row in made.rows if row.name == name):
            rows = [row for row in made.rows if (row.name, row.target, row.size) == (name, target, size)]
            end = f"{target} at {made.size_factor} {made.sizes[-1]}" if size else target
            asked = f" by runs at {made.size_factor} {size}," if size else ""
            if not any(row.pairs for row in rows):
                print(f"{name}:{asked} by {end} no two configurations are told apart.\n")
                continue
            at = next(row.by_questions[-1].at for row in rows if row.by_questions)
            tables = [(f"{name}:{asked} pairs ordered as by {end}, by {made.measured_by}", *by_step_table(rows))]
            by_size = f"{name}:{asked} as by {end}, at {made.measured_by} {amount_words(at)} on so many questions"
            tables += [(by_size, *by_questions_table(rows))]
            for title, header, body in tables:
                if format is Format.markdown:
                    print(f"**{title}**\n\n{markdown(header, body)}")
                else:
                    _print(title, header, body)


def _print(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich import box

    console().print(terminal_table(title, header, rows, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False))


def _csv(made: DecisionStudy) -> str:
    """One line per target, size, metric, source or ability, step and number of questions."""
    from radar_tasks.report.text_tables import comma_separated

    head = ["target", "size", "metric", "source", "ability", "pairs", "not_told"]
    head += ["signal_to_noise", "signal_to_seed_noise"]
    head += ["measured_by", "at", "questions", "accuracy", "low", "high"]
    body = [
        [
            *(row.target, row.size, row.metric, row.name, row.ability, str(row.pairs), str(row.not_told)),
            *("" if number is None else repr(number) for number in (row.signal_to_noise, row.signal_to_seed_noise)),
            *(made.measured_by, repr(part.at), str(part.questions)),
            *map(repr, (part.accuracy.estimate, part.accuracy.low, part.accuracy.high)),
        ]
        for row in made.rows
        for part in (*row.by_step, *row.by_questions[:-1])
    ]
    return comma_separated(head, body)

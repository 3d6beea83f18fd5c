"""`radar analyze`: development over checkpoints, as tables for the terminal and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radar_tasks.cli._development import Descriptions, Metric, Parting, Results, Seed, develop

if TYPE_CHECKING:
    from rich.console import Console

    from radar_tasks.analysis.development.tables import Development

Row = dict[str, Any]
_WIDTH = 100


def command(
    results: Results,
    runs: Descriptions = None,
    metric: Metric = "sds",
    parting: Parting = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every table to this file.")] = None,
    seed: Seed = 0,
) -> None:
    """Say when abilities emerge, saturate and part, and what holds them back, over the checkpoints of training runs."""
    import sys

    from rich.console import Console

    from radar_tasks.errors import ResultsError
    from radar_tasks.files import write_whole

    made, _ = develop(results, runs, metric, parting, seed)
    if not made.abilities:
        raise ResultsError("; ".join(made.notes))
    screen = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    show(made, screen)
    if json_file is not None:
        write_whole(json_file, json.dumps(asdict(made), indent=1, allow_nan=False) + "\n")
        print(json_file)


def show(made: Development, screen: Console) -> None:
    """Print every table that is not empty, then the notes."""
    from rich.markup import escape

    _growth(made, screen)
    _asymmetry(made, screen)
    _bottleneck(made, screen)
    _metrics(made, screen)
    _stability(made, screen)
    _scaling(made, screen)
    _intervention(made, screen)
    for note in made.notes:
        screen.print(f"note: {escape(note)}")


def _growth(made: Development, screen: Console) -> None:
    title = f"Development of {made.metric}: gain per 1,000 steps between emergence and saturation, 95% interval"
    head = ["run", "source", "first", "last", "emerges", "saturates", "gain per 1,000 steps"]
    rows = [
        [
            row["run"],
            row["source"],
            _number(row["first"]),
            _number(row["last"]),
            _step(row["emergence"], "not yet"),
            _step(row["saturation"], "growing"),
            _interval(row["rate_per_1000_steps"]),
        ]
        for row in made.growth
    ]
    _print(title, head, rows, screen, bold=[row["source"] in {"perception", "reasoning"} for row in made.growth])


def _asymmetry(made: Development, screen: Console) -> None:
    title = "Asymmetry: perception minus reasoning, chance-centred, mean over training"
    head = ["run", "mean lead", "perception emerges", "reasoning emerges", "lag in steps"]
    rows = [
        [
            row["run"],
            _interval(row["area"]),
            _step(row["perception_emergence"], "not yet"),
            _step(row["reasoning_emergence"], "not yet"),
            _step(row["lag"], "–"),
        ]
        for row in made.asymmetry_summary
    ]
    _print(title, head, rows, screen)


def _bottleneck(made: Development, screen: Console) -> None:
    title = "Bottlenecks at the last checkpoint, the worst first (chance-centred: 0 chance, 1 perfect)"
    head = ["run", "ability", "source", "centred", "share of lack", "lowest with p", "visual gain"]
    rows = [
        [
            row["run"],
            row["ability"],
            row["source"],
            _number(row["value"]),
            _number(row["share"], 2),
            _number(row["probability_lowest"], 2),
            _number(row["visual_gain"]),
        ]
        for row in made.bottleneck
    ]
    _print(title, head, rows, screen)


def _metrics(made: Development, screen: Console) -> None:
    title = "Which metric tells checkpoints apart (losses count negated)"
    head = ["run", "ability", "metric", "signal to noise", "Kendall's tau with training"]
    rows = [
        [row["run"], row["ability"], row["metric"], _number(row["signal_to_noise"], 1), _number(row["monotonicity"], 2)]
        for row in made.metrics
    ]
    _print(title, head, rows, screen)


def _stability(made: Development, screen: Console) -> None:
    title = "How many questions are enough: random subsets against all questions"
    head = ["run", "ability", "questions", "sd between subsets", "order agreement"]
    rows = [
        [row["run"], row["ability"], f"{row['size']:,}", _number(row["spread"], 4), _number(row["agreement"], 2)]
        for row in made.stability_summary
    ]
    _print(title, head, rows, screen)


def _scaling(made: Development, screen: Console) -> None:
    lines = {(row["column"], row["ability"], row["group"]): row for row in made.scaling_lines}
    head = ["against", "ability", "group", "gain per ten times", "R²", "runs"]
    rows = [
        [*names, _interval(row["slope"]), _number(row["r_squared"], 2), str(row["n"])] for names, row in lines.items()
    ]
    _print("Lines on a logarithmic axis", head, rows, screen)
    head = ["against", "between", "common slope", "F", "p (small: not parallel)"]
    rows = [
        [row["column"], row["between"], _number(row["slope"]), _number(row["f"], 2), _number(row["p"], 4)]
        for row in made.scaling_tests
    ]
    _print("Are the lines parallel?", head, rows, screen)


def _intervention(made: Development, screen: Console) -> None:
    for row in made.intervention_summary[:1]:
        title = f"{row['changed']} minus {row['unchanged']} after step {row['parting']:,} (simultaneous 95% bands)"
        head = ["ability", "last difference", "band", "differs from step"]
        rows = [
            [
                of["ability"],
                f"{of['last_difference']:+.3f}",
                f"{of['low']:+.3f} to {of['high']:+.3f}",
                _step(of["onset"], "never"),
            ]
            for of in made.intervention_summary
        ]
        _print(title, head, rows, screen)


def _print(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], screen: Console, *, bold: Sequence[bool] = ()
) -> None:
    """One table; the column `run` is left out where there is only one."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    if not rows:
        return
    kept = [k for k, name in enumerate(head) if name not in {"run", "group"} or len({row[k] for row in rows}) > 1]
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, title_style="bold")
    words = {"run", "source", "ability", "metric", "against", "between", "group"}
    for k in kept:
        table.add_column(head[k], justify="left" if head[k] in words else "right")
    for n, row in enumerate(rows):
        table.add_row(*(escape(row[k]) for k in kept), style="bold" if bold and bold[n] else None)
    screen.print(table)


def _number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _interval(value: Row | None) -> str:
    return "–" if value is None else f"{value['estimate']:+.3f} ({value['low']:+.3f} to {value['high']:+.3f})"


def _step(value: float | None, never: str) -> str:
    return never if value is None else f"{value:,.0f}"

"""`radar items`: what results tell of single questions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._json import to_json
from radar_tasks.cli._options import JsonFile, Results
from radar_tasks.cli._runs import console, runs_of

if TYPE_CHECKING:
    from rich.console import Console

    from radar_tasks.analysis.audit.question_audit import QuestionAudit

app = typer.Typer(help="Look at single questions: which are broken.", no_args_is_help=True)

SHOWN = 8
"""Questions of a list that the terminal shows; page and JSON have them all."""


@app.command("audit")
def audit(
    results: Results,
    *,
    json_file: JsonFile = None,
    output: Annotated[Path | None, typer.Option(help="A page with pictures to write, one HTML file.")] = None,
    count: Annotated[int, typer.Option(min=1, help="At most this many questions of each list on the page.")] = 100,
) -> None:
    """Find likely wrong keys, questions that need no picture, that no checkpoint answers, that stand twice, or whose
    options give the answer away."""
    from radar_tasks.analysis.audit.audited_source import audited_sources
    from radar_tasks.analysis.audit.question_audit import audit_questions
    from radar_tasks.files import write_whole
    from radar_tasks.report.question_audit import question_audit_page

    sources, notes = audited_sources(runs_of(results))
    made = audit_questions(sources, notes)
    show(made, console())
    if json_file is not None:
        write_whole(json_file, to_json(made))
        print(json_file)
    if output is not None:
        write_whole(output, question_audit_page(made, sources, count))
        print(output)


def show(made: QuestionAudit, screen: Console) -> None:
    """Print a table of counts, the first questions of each list, and what could not be looked at."""
    from rich import box
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    from radar_tasks.analysis.audit.question_audit import KINDS

    def tell(text: str) -> None:
        """A terminal gets whole words, indented; a pipe one line each, for grep."""
        screen.print(Padding.indent(text, 2) if screen.is_terminal else f"  {text}", soft_wrap=not screen.is_terminal)

    table = Table(title="Questions named", title_justify="left", box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column("source", overflow="fold")
    for head in ("ques-\ntions", "check-\npoints", "best\nacc", *(kind.replace("_", "\n") for kind in KINDS)):
        table.add_column(head, justify="right")
    for part in made.sources:
        accuracy = "–" if part.best_accuracy is None else f"{part.best_accuracy:.2f}"
        counts = [made.count(kind, part.source) for kind in KINDS]
        table.add_row(escape(part.source), str(part.questions), str(part.checkpoints), accuracy, *counts)
    screen.print(table)
    for kind in KINDS:
        rows, reasons = getattr(made, kind), made.reasons(kind)
        if rows or reasons:
            screen.print(f"[bold]{kind.replace('_', ' ')}[/bold], {len(rows):,}:")
        for row in rows[:SHOWN]:
            tell(f"[cyan]{escape(row.source)} {escape(row.q_id)}[/cyan]: {escape(row.why)}")
        if len(rows) > SHOWN:
            tell(f"… and {len(rows) - SHOWN:,} more: --json FILE or --output page.html has them all")
        for reason in reasons:
            tell(f"? {escape(', '.join(reason.sources))}: {escape(reason.why)}")
    for note in made.notes:
        screen.print(f"note: {escape(note)}", soft_wrap=not screen.is_terminal)

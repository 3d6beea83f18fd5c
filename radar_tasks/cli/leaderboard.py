"""`radar leaderboard`: the paper's two tables with a user's runs among the published models."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from radar_tasks.cli._options import Results
from radar_tasks.cli._runs import console, runs_of

if TYPE_CHECKING:
    from radar_tasks.analysis.leaderboard import Board, Cell, Entry


class Format(str, Enum):
    """How tables are written."""

    terminal = "terminal"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"


def command(
    results: Results,
    format: Annotated[Format, typer.Option(help="Output format of the tables.")] = Format.terminal,  # noqa: A002
) -> None:
    """Print the paper's two tables (accuracy / SDS of raw logits) with your runs ranked among the published models."""
    from radar_tasks.analysis.leaderboard import leaderboard, left_out

    runs = runs_of(results)
    boards = leaderboard(runs)
    for reason in left_out(runs, boards):
        print(f"in none of the tables: {reason}", file=sys.stderr)
    if format is Format.csv:
        print(_csv(boards), end="")
        return
    for board in boards:
        if format is Format.terminal:
            _print(board)
        else:
            _write(board, format)


def _print(board: Board) -> None:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{board.title}: accuracy / sds_logit", title_justify="left")
    for k, column in enumerate(_header(board)):
        table.add_column(column, justify="left" if k == 0 else "right", no_wrap=True)
    for entry in board.entries:
        table.add_row(*map(escape, _cells(entry, board)), style=None if entry.published else "bold")
    screen = console()
    screen.print(table)
    for note in _notes(board):
        screen.print(f"  {escape(note)}")


def _write(board: Board, format: Format) -> None:  # noqa: A002
    from radar_tasks.report.text_tables import LATEX_PACKAGES, latex_table, markdown

    rows = [_cells(entry, board) for entry in board.entries]
    if format is Format.markdown:
        print(f"**{board.title}**: accuracy / sds_logit\n\n{markdown(_header(board), rows)}")
        print("".join(f"- {note}\n" for note in _notes(board)))
    else:
        caption = ". ".join([f"{board.title}: accuracy / sds_logit", *_notes(board)]) + "."
        label = f"tab:radar-{board.title.replace(' ', '-')}"
        print(LATEX_PACKAGES + latex_table(_header(board), rows, caption, label))


def _csv(boards: list[Board]) -> str:
    """One row per model and column, as the shipped published results are."""
    from radar_tasks.report.text_tables import comma_separated

    rows = [
        [
            *(entry.name, "published" if entry.published else "run", board.title, column),
            *(repr(entry.cells[column].acc_logit), repr(entry.cells[column].sds_logit)),
            "; ".join(entry.notes),
        ]
        for board in boards
        for entry in board.entries
        for column in board.columns
        if column in entry.cells
    ]
    return comma_separated(["model", "origin", "table", "source", "acc_logit", "sds_logit", "notes"], rows)


def _header(board: Board) -> list[str]:
    return ["model", *board.columns]


def _cells(entry: Entry, board: Board) -> list[str]:
    name = f"{entry.name} (published)" if entry.published else entry.name + (" *" if entry.notes else "")
    return [name, *(_numbers(entry.cells.get(column)) for column in board.columns)]


def _numbers(cell: Cell | None) -> str:
    return "–" if cell is None else f"{cell.acc_logit:.3f} / {cell.sds_logit:.3f}"


def _notes(board: Board) -> list[str]:
    return [f"* {entry.name}: {note}" for entry in board.entries for note in entry.notes]

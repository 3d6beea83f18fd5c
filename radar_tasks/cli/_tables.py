"""How commands write tables: the forms there are, and a table for the terminal."""

from __future__ import annotations

from collections.abc import Container, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.table import Table


class Format(str, Enum):
    """How tables are written."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"
    json = "json"


def terminal_table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Container[str] | None = None,
    bold: Sequence[bool] = (),
    overflow: Literal["fold", "ellipsis"] = "ellipsis",
    **look: Any,
) -> Table:
    """A table whose texts are shown to the letter: names of runs and columns are the user's, and may hold brackets.

    Args:
        title: above the table; "" for none.
        head, rows: texts.
        words: columns that hold words and stand on the left, the first one by default; numbers stand on the right.
        bold: which rows are bold; none by default.
        overflow: what becomes of a text for which there is no room.
        look: further arguments of rich's `Table`.
    """
    from rich.markup import escape
    from rich.table import Table

    left = head[:1] if words is None else words
    table = Table(title=escape(title), title_justify="left", **look)
    for name in head:
        table.add_column(escape(name), justify="left" if name in left else "right", overflow=overflow)
    for k, row in enumerate(rows):
        table.add_row(*map(escape, row), style="bold" if bold and bold[k] else None)
    return table

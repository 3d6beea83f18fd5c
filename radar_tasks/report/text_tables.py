"""A table of texts as Markdown, LaTeX or CSV; what is special in each is escaped."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table as GitHub reads it; the first column is text, the others are numbers."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "".join(f"| {' | '.join(_one_line(cell) for cell in line)} |\n" for line in lines)


def latex(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A `tabular` with the rules of the booktabs package."""
    body = [" & ".join("".join(_LATEX.get(sign, sign) for sign in cell) for cell in line) for line in (header, *rows)]
    lines = [f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", "\\toprule", f"{body[0]} \\\\", "\\midrule"]
    return "\n".join([*lines, *(f"{line} \\\\" for line in body[1:]), "\\bottomrule", "\\end{tabular}"]) + "\n"


def comma_separated(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """CSV with the header first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


def _one_line(cell: str) -> str:
    return cell.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")

"""A table of texts as Markdown, LaTeX or CSV; what is special in each is escaped here and nowhere else."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "–": "--",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}


MARKDOWN_SPECIAL = "\\`*_[]<>|"
"""Signs that mean something in Markdown."""

LATEX_PACKAGES = """% \\usepackage{booktabs}
% \\usepackage{adjustbox}  (shrinks what would be wider than the text)
"""
"""What the preamble of a paper needs for `latex_table`."""


def latex_text(text: str) -> str:
    """A text as LaTeX prints it; line breaks become spaces."""
    return "".join(_LATEX.get(sign, sign) for sign in " ".join(text.split()))


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], special: str = "\\|") -> str:
    """A table as GitHub reads it; the first column is text, the others are numbers.

    Args:
        header, rows: texts; line breaks become spaces.
        special: signs that get a backslash. Those that end a cell are enough where the table is read in a terminal as
            well; `MARKDOWN_SPECIAL` where names of users must be shown to the letter.
    """
    lines = [[_escaped(cell, special) for cell in line] for line in (header, *rows)]
    lines.insert(1, ["---", *["---:"] * (len(header) - 1)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _escaped(text: str, special: str) -> str:
    return "".join(f"\\{sign}" if sign in special else sign for sign in " ".join(text.split()))


def latex_table(header: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str) -> str:
    """A table no wider than the text, with booktabs' rules, caption and label; it needs `LATEX_PACKAGES`."""
    lines = [r"\begin{table}", r"\centering", r"\begin{adjustbox}{max width=\textwidth}", _tabular(header, rows)]
    lines += [r"\end{adjustbox}", rf"\caption{{{latex_text(caption)}}}", rf"\label{{{label}}}", r"\end{table}"]
    return "\n".join(lines) + "\n"


def _tabular(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = [" & ".join(latex_text(cell) for cell in line) for line in (header, *rows)]
    lines = [f"\\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", "\\toprule", f"{body[0]} \\\\", "\\midrule"]
    return "\n".join([*lines, *(f"{line} \\\\" for line in body[1:]), "\\bottomrule", "\\end{tabular}"])


def comma_separated(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """CSV with the header first."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()

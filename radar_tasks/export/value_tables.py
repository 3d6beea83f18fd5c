"""CSV and Parquet (one row a value) and Markdown and LaTeX (one table a metric)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields

from radar_tasks.errors import ResultsError
from radar_tasks.export.values import Value

_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}


def to_csv(values: Sequence[Value]) -> str:
    """One line a value, with a header. Text that a spreadsheet would run as a formula gets an apostrophe first."""
    into = io.StringIO()
    writer = csv.DictWriter(into, [field.name for field in fields(Value)], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _harmless(value) for name, value in asdict(row).items()} for row in values)
    return into.getvalue()


def to_parquet(values: Sequence[Value]) -> bytes:
    """The same as Parquet, with types."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"step": pa.int64(), "value": pa.float64(), "standard_error": pa.float64(), "questions": pa.int64()}
    kinds |= dict.fromkeys(("is_average", "higher_is_better", "stand_in"), pa.bool_())
    schema = pa.schema([(field.name, kinds.get(field.name, pa.string())) for field in fields(Value)])
    into = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in values], schema=schema), into)
    return into.getvalue()


def to_markdown(values: Sequence[Value], metrics: Sequence[str]) -> str:
    """A table a metric: a row a run, a column a source or average, with the number of questions in the head."""
    return "\n".join(_markdown(table) for table in _tables(values, metrics))


def to_latex(values: Sequence[Value], metrics: Sequence[str]) -> str:
    """The same for LaTeX with booktabs."""
    return "\n".join(_latex(table) for table in _tables(values, metrics))


class _Table:
    """One metric of all runs."""

    def __init__(self, metric: str, values: Sequence[Value]) -> None:
        self.metric = metric
        self.direction = "higher" if values[0].higher_is_better else "lower"
        ordered = sorted(values, key=lambda v: (not v.is_average, v.ability))
        self.columns = {v.name: v.questions for v in ordered}
        self.rows = {(v.experiment, v.run): v.run for v in values}
        self._cells = {(v.experiment, v.run, v.name): v for v in values}
        data = {v.name: v.data_checksum for v in ordered if not v.is_average}
        made = sorted({f"lmms-eval-radar {v.radar_version}, {v.harness} {v.harness_version}" for v in values})
        self.about = f"Data (SHA-256): {', '.join(f'{k} {c[:12]}' for k, c in data.items())}. {'; '.join(made)}."

    def cell(self, row: tuple[str, str], column: str) -> str:
        """A value with its standard error, or a dash."""
        found = self._cells.get((*row, column))
        if found is None:
            return "–"
        error = "" if found.standard_error is None else f" ±{found.standard_error:.3f}"
        return f"{found.value:.3f}{error}"


def _tables(values: Sequence[Value], metrics: Sequence[str]) -> list[_Table]:
    grouped = [(metric, [v for v in values if v.metric == metric]) for metric in metrics]
    tables = [_Table(metric, rows) for metric, rows in grouped if rows]
    if not tables:
        known = ", ".join(dict.fromkeys(v.metric for v in values))
        raise ResultsError(f"none of the metrics {', '.join(metrics)} is in these results; there are {known}.")
    return tables


def _markdown(table: _Table) -> str:
    head = ["run", *(f"{name} ({n:,})" for name, n in table.columns.items())]
    lines = [f"**{table.metric}** ({table.direction} is better; questions in brackets; ± one standard error)", ""]
    lines += [_line(head, _plain_markdown), "|" + " --- |" + " ---: |" * len(table.columns)]
    for row, name in table.rows.items():
        lines.append(_line([name, *(table.cell(row, column) for column in table.columns)], _plain_markdown))
    return "\n".join([*lines, "", table.about, ""])


def _latex(table: _Table) -> str:
    head = " & ".join(["run", *(_plain_latex(f"{name} ({n:,})") for name, n in table.columns.items())])
    lines = [r"\begin{table}", r"\centering", r"\begin{tabular}{l" + "r" * len(table.columns) + "}", r"\toprule"]
    lines += [head + r" \\", r"\midrule"]
    for row, name in table.rows.items():
        cells = [table.cell(row, column).replace("±", r"$\pm$").replace("–", "--") for column in table.columns]
        lines.append(" & ".join([_plain_latex(name), *cells]) + r" \\")
    caption = f"{table.metric} ({table.direction} is better; questions in brackets). {table.about}"
    lines += [r"\bottomrule", r"\end{tabular}", r"\caption{" + _plain_latex(caption) + "}", r"\end{table}", ""]
    return "\n".join(lines)


def _line(cells: Sequence[str], plain: Callable[[str], str]) -> str:
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"


def _plain_markdown(text: str) -> str:
    for special in "\\`*_[]<>|":
        text = text.replace(special, f"\\{special}")
    return " ".join(text.split())


def _plain_latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

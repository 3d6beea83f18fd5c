"""CSV and Parquet (one row a value) and Markdown and LaTeX (one table per metric)."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import asdict, fields

from radar_tasks.errors import ResultsError, did_you_mean
from radar_tasks.export.values import Value
from radar_tasks.report.text_tables import LATEX_PACKAGES, MARKDOWN_SPECIAL, latex_table, markdown

COLUMNS, LINES = 6, 40
"""What a page of LaTeX holds beside and below each other; larger tables come in parts."""


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
    """A table per metric: a row per run, a column per source or average, with the number of questions in the head."""
    return "\n".join(_markdown(table) for table in _tables(values, metrics))


def to_latex(values: Sequence[Value], metrics: Sequence[str]) -> str:
    """The same for LaTeX, with a label to refer to and the packages it needs, in parts that fit a page.

    Where runs are fewer than sources, sources stand as rows.
    """
    parts = [part for table in _tables(values, metrics) for part in _latex_parts(table)]
    return LATEX_PACKAGES + "\n".join(parts)


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
        known = list(dict.fromkeys(v.metric for v in values))
        said = f"none of the metrics {', '.join(metrics)} is in these results; there are {', '.join(known)}."
        raise ResultsError(said + did_you_mean(metrics[0], known))
    return tables


def _markdown(table: _Table) -> str:
    about = f"**{table.metric}** ({table.direction} is better; questions in brackets; ± one standard error)"
    head = ["run", *(f"{name} ({n:,})" for name, n in table.columns.items())]
    rows = [[name, *(table.cell(row, column) for column in table.columns)] for row, name in table.rows.items()]
    return f"{about}\n\n{markdown(head, rows, MARKDOWN_SPECIAL)}\n{table.about}\n"


def _latex_parts(table: _Table) -> list[str]:
    sources = [f"{name} ({n:,})" for name, n in table.columns.items()]
    runs = list(table.rows.values())
    cells = [[table.cell(row, column) for column in table.columns] for row in table.rows]
    if _pages(len(sources), len(runs)) <= _pages(len(runs), len(sources)):
        corner, head, side = "run", sources, runs
    else:
        corner, head, side = "source", runs, sources
        cells = [list(column) for column in zip(*cells, strict=True)]
    pieces = [(columns, lines) for columns in range(0, len(head), COLUMNS) for lines in range(0, len(side), LINES)]
    made = []
    for number, (column, line) in enumerate(pieces, 1):
        part = f", part {number} of {len(pieces)}" if len(pieces) > 1 else ""
        body = [
            [name, *row[column : column + COLUMNS]]
            for name, row in zip(side[line : line + LINES], cells[line : line + LINES], strict=True)
        ]
        label = f"tab:radar-{table.metric}" + (f"-{number}" if part else "")
        caption = (
            f"{table.metric}{part} ({table.direction} is better; questions in brackets; ± one standard error). "
            f"{table.about}"
        )
        made.append(latex_table([corner, *head[column : column + COLUMNS]], body, caption, label))
    return made


def _pages(columns: int, lines: int) -> int:
    """How many parts a table of this size comes in."""
    return math.ceil(columns / COLUMNS) * math.ceil(lines / LINES)


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value

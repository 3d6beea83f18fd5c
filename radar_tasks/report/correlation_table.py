"""Correlations with an outside column as a table, and what is to be made of them in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radar_metrics.panel_correlation import Kind
from radar_metrics.uncertainty import Interval
from radar_tasks.analysis.outside_correlations import CHANCE, LOG_STEP, OutsideCorrelation
from radar_tasks.published import PAPER_CORRELATION
from radar_tasks.report.wording import signed_interval

HEADERS = {
    Kind.pooled: "pooled r",
    Kind.within: "within source",
    Kind.given_step: "given log step",
    Kind.differences: "of changes",
    Kind.between_runs: "between runs at one step",
}
BEYOND = "pooled, beyond log step"


@dataclass(frozen=True)
class CorrelationTable:
    """A row a metric or rival, a column a kind of correlation; texts."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def correlation_table(rows: Sequence[OutsideCorrelation]) -> CorrelationTable:
    """The table of one outside column."""
    by = {(row.metric, row.correlation.kind): row for row in rows}
    body = []
    for metric in dict.fromkeys(row.metric for row in rows):
        of_kind = [by.get((metric, kind)) for kind in Kind]
        cells = ["–" if row is None else signed_interval(row.correlation.r, 2) for row in of_kind]
        pooled = by.get((metric, Kind.pooled))
        beyond = None if pooled is None else pooled.beyond_step
        body.append((metric, *cells, "–" if beyond is None else signed_interval(beyond, 2)))
    most = max(rows, key=lambda row: row.correlation.n).correlation
    title = (
        f"Correlation with {rows[0].column}: {most.n:,} points, {_count(most.runs, 'run')}, "
        f"{_count(most.sources, 'source')}, 95% intervals over runs and sources"
    )
    return CorrelationTable(title, ("metric", *HEADERS.values(), BEYOND), tuple(body))


def correlation_words(rows: Sequence[OutsideCorrelation]) -> list[str]:
    """What the table of one outside column says, with what it cannot say first."""
    column = rows[0].column
    by = {(row.metric, row.correlation.kind): row for row in rows}
    low, high = PAPER_CORRELATION
    said = []
    for rival, means in (
        (LOG_STEP, "later checkpoints are better, not that the metric tells which ones"),
        (CHANCE, "questions of few options are easier, not that the metric tells which checkpoints are better"),
    ):
        row = by.get((rival, Kind.pooled))
        if row is not None and (rival == LOG_STEP or row.correlation.r.estimate >= low):
            alone = f"{rival.capitalize()} alone has a pooled r of {_r(row.correlation.r)} with {column}"
            paper = f"{low:.2f} to {high:.2f} that the RADAR paper reports for SDS"
            if row.correlation.r.estimate >= low:
                said.append(f"{alone}, no less than the {paper}: a pooled r of this size may say only that {means}.")
            else:
                said.append(f"{alone}, below the {paper}.")
    metrics = [row for row in rows if not row.is_rival]
    beyond = [row for row in metrics if row.beyond_step is not None and row.correlation.kind is Kind.pooled]
    if beyond:
        clear = [row for row in beyond if row.holds and row.beyond_step is not None and row.beyond_step.low > 0]
        said.append(_those("Pooled, {} a stronger r than log step", clear))
    for kind, where in (
        (Kind.within, "Within a source"),
        (Kind.given_step, "At equal log step"),
        (Kind.differences, "In changes from one checkpoint to the next"),
        (Kind.between_runs, "Between runs at one step"),
    ):
        of_kind = [row for row in metrics if row.correlation.kind is kind]
        if of_kind:
            said.append(_those(f"{where} {{}} an r clear of 0", [row for row in of_kind if row.holds]))
        if turned := [row for row in of_kind if row.is_reversed]:
            said.append(_those(f"{where} {{}} an r against their direction", turned))
    runs = max(row.correlation.runs for row in rows)
    sources = max(row.correlation.sources for row in rows)
    if runs == 1:
        said.append("There is one run: how far another one would differ, nothing here tells.")
    elif runs < 10:
        said.append(f"Intervals rest on {runs} runs and {_count(sources, 'source')}, not on the number of points.")
    return said


def _those(sentence: str, rows: Sequence[OutsideCorrelation]) -> str:
    if not rows:
        return sentence.format("no metric has") + "."
    return f"{sentence.format('these have')}: {', '.join(row.metric for row in rows)}."


def _r(value: Interval) -> str:
    return signed_interval(value, 2)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

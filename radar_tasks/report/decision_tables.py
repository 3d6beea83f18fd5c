"""Decision accuracy as tables: what `radar decide` prints and what stands on the page."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.decisions import DecisionAccuracy, Decisions
from radar_tasks.report.wording import amount_words

NOTHING = "–"


def by_step_table(rows: Sequence[Decisions]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: signal, pairs, and the share ordered alike at each step, a row a metric."""
    steps = next((row.by_step for row in rows if row.by_step), ())
    head = [
        "metric",
        "signal / noise",
        "signal / seed noise",
        "pairs",
        "not told",
        *(amount_words(s.at) for s in steps),
    ]
    body = [
        [
            row.metric,
            *(_number(row.signal_to_noise), _number(row.signal_to_seed_noise), str(row.pairs), str(row.not_told)),
            *(f"{step.accuracy.estimate:.2f}" for step in row.by_step),
            *[NOTHING] * (len(steps) - len(row.by_step)),
        ]
        for row in rows
    ]
    return head, body


def by_questions_table(rows: Sequence[Decisions]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: the share ordered alike on so many questions, with its interval, a row a metric."""
    rows = [row for row in rows if row.by_questions]
    sizes = sorted({part.questions for row in rows for part in row.by_questions})
    return ["metric", *(f"{size:,}" for size in sizes)], [
        [row.metric, *(_of_size(row.by_questions, size) for size in sizes)] for row in rows
    ]


def _of_size(parts: Sequence[DecisionAccuracy], size: int) -> str:
    found = next((part.accuracy for part in parts if part.questions == size), None)
    return NOTHING if found is None else f"{found.estimate:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _number(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}"

"""When metrics say that an ability emerged, where that is known: what `radar analyze` prints."""

from __future__ import annotations

from collections.abc import Sequence

from radar_tasks.analysis.development.onsets import OnsetDetection, OnsetQuality


def detection_table(detections: Sequence[OnsetDetection]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row per training run, source and metric."""
    head = ["run", "source", "metric", "onset", "first chance", "emerges", "steps after the onset"]
    return head, [
        [
            row.run,
            row.source,
            row.metric,
            "never" if row.onset is None else f"{row.onset:,.0f}",
            "–" if row.first_chance is None else f"{row.first_chance:,.0f}",
            "never" if row.emergence is None else f"{row.emergence:,.0f}",
            "–" if row.behind is None else f"{row.behind:+,.0f}",
        ]
        for row in detections
    ]


def onset_table(qualities: Sequence[OnsetQuality]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: a row per metric over all planted onsets and controls."""
    head = ["metric", "onsets", "found", "too early", "never", "checkpoints late", "bias in steps", "false alarms"]
    return head, [
        [
            row.metric,
            *map(str, (row.onsets, row.found, row.early, row.never)),
            "–" if row.delay is None else f"{row.delay.estimate:.2f} [{row.delay.low:.2f}, {row.delay.high:.2f}]",
            "–" if row.bias is None else f"{row.bias:+,.0f}",
            f"{row.false_alarms} of {row.controls}",
        ]
        for row in qualities
    ]

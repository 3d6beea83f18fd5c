"""What a metric is for a model that cannot tell the options apart."""

from __future__ import annotations

import numpy as np

from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.results import SourceSamples
from radar_tasks.results.metrics import question_weights


def chance_level(samples: SourceSamples, metric: str) -> float | None:
    """What a metric is when all options score alike; None for losses and other metrics without such a level."""
    if metric in {"sds_centred", "margin"}:
        return 0.0
    if not metric.startswith(("sds", "acc", "ppl_acc")):
        return None
    alike = samples.bytes.with_values(np.zeros(len(samples.bytes.values)))
    return round(float(answer_probability(alike, samples.answer) @ question_weights(samples)), 12)

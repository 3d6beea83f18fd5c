"""Standard errors of a source or of an ability's average, where replicates of a bootstrap would be too much."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radar_metrics.errors import MetricError
from radar_metrics.uncertainty import clustered_standard_error
from radar_tasks.analysis.strata import strata_of_all
from radar_tasks.results import SourceSamples
from radar_tasks.results.metrics import METRICS, per_question

NORMAL_95 = 1.959963984540054
"""Half the width of a 95 % interval in standard errors."""


def standard_error(sources: Sequence[SourceSamples], metric: str) -> float | None:
    """Of a source's headline, or of the unweighted mean of several sources; clustered by image within each stratum.

    Returns:
        In the metric's unit; None where it cannot be had: a metric that is no mean over questions, scores that the
        results do not hold, or one image only.
    """
    if METRICS[metric].per_question is None:
        return None
    values = [per_question(samples, metric) for samples in sources]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    strata, weights = strata_of_all(sources)
    images = np.concatenate([samples.image_id for samples in sources])
    try:
        return clustered_standard_error(np.concatenate(known), images, strata=strata, weights=weights)
    except MetricError:  # one image only in a source
        return None

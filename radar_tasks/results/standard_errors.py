"""Standard errors of a source, clustered by image, and of the unweighted mean of an ability's sources."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri

from radar_metrics.errors import MetricError
from radar_metrics.options import FloatArray
from radar_metrics.uncertainty import clustered_standard_errors
from radar_tasks.results.model import SourceSamples
from radar_tasks.results.strata import strata_of

HALF_WIDTH = float(ndtri(0.975))
"""Standard errors in half of a 95 % interval: the normal quantile, 1.96."""


def standard_error(samples: SourceSamples, values: FloatArray | None) -> float | None:
    """Of a source's headline, the mean of (N,) values; None where it has but one image, or for no values."""
    return None if values is None else standard_errors(samples, values[None])[0]


def standard_errors(samples: SourceSamples, values: FloatArray) -> list[float | None]:
    """The same of (K, N) values, K metrics of the same questions at once."""
    strata, weights = strata_of(samples)
    try:
        found = clustered_standard_errors(values, samples.image_id, strata=strata, weights=weights)
    except MetricError:
        return [None] * len(values)
    return [float(error) for error in found]


def error_of_mean(errors: Sequence[float | None]) -> float | None:
    """Of the unweighted mean of several sources, whose questions are independent: sqrt(sum SE^2) / n; None where one of
    the errors is not known."""
    known = [error for error in errors if error is not None]
    return float(np.sqrt(np.sum(np.square(known)))) / len(errors) if known and len(known) == len(errors) else None

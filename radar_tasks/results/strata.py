"""How the questions of a source are resampled: together, or category by category where the headline is their mean."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from radar_metrics.clusters import bootstrap_means, group, stratified_mean
from radar_metrics.options import FloatArray
from radar_tasks.results.metrics import question_weights
from radar_tasks.results.model import SourceSamples

_ONE_IMAGE = "categories of one image"


def strata_of(samples: SourceSamples) -> tuple[np.ndarray | None, dict[str, float] | None]:
    """The stratum of each question and what each stratum weighs; None for both where the source is one stratum.

    Categories are strata where the headline is the mean over them (MMBench, MMMU-Pro). Those with a single image are
    resampled together, as the spread of one alone cannot be known.
    """
    if not samples.by_category:
        return None, None
    labels = samples.category.astype(object)
    names, of = np.unique(samples.category, return_inverse=True)
    alone = [len(np.unique(samples.image_id[of == k])) < 2 for k in range(len(names))]
    weights = {str(name): 1.0 for name, single in zip(names, alone, strict=True) if not single}
    if any(alone):
        labels[np.isin(of, np.flatnonzero(alone))] = _ONE_IMAGE
        weights[_ONE_IMAGE] = float(sum(alone))
    return labels.astype(str), weights


def resampled_headlines(
    samples: SourceSamples, table: FloatArray, rng: np.random.Generator, resamples: int
) -> tuple[FloatArray, FloatArray]:
    """(K,) headlines of K numbers of each question, (K, N), and (B, K) bootstrap replicates, all K of the same draws.

    Raises:
        MetricError: too few questions for an interval.
    """
    labels, weights = strata_of(samples)
    strata = group(table, samples.image_id, labels, weights)
    exact = table @ question_weights(samples)
    # With categories of one image resampled together the bootstrap's mean is another weighting of them: its spread is
    # kept and moved to the headline.
    return exact, bootstrap_means(strata, rng, resamples) + (exact - stratified_mean(strata))


def strata_of_all(sources: Sequence[SourceSamples]) -> tuple[np.ndarray, dict[str, float]]:
    """The same for several sources side by side, whose unweighted mean is an ability: strata `source/category`."""
    labels: list[np.ndarray] = []
    weights: dict[str, float] = {}
    for samples in sources:
        of, shares = strata_of(samples)
        labels.append(np.char.add(f"{samples.source}/", np.full(len(samples), "") if of is None else of))
        within = shares or {"": 1.0}
        total = len(sources) * sum(within.values())
        weights |= {f"{samples.source}/{name}": weight / total for name, weight in within.items()}
    return np.concatenate(labels), weights

"""What trackers are told about one checkpoint: the same names from a callback, `radar track` and `radar export`.

    radar/<source>_<metric>                     a source's headline, e.g. radar/mmbench_sds
    radar/<ability>_<metric>                    unweighted mean over the ability's sources that were asked
    radar/<...>_sds_half_width                  half the width of its 95 % interval
    radar/<...>_sds_change, _change_half_width  difference from an earlier result, paired by question
    radar/<ability>_verdict                     with `until=`: 1 rose, -1 fell, 0 no change, absent where undecided
    radar/<ability>_questions                   with `until=`: questions asked

Half-widths of a measurement with `until=` are no less than its record has them, which hold however it came to stop.
What cannot be had (a pooled metric's interval, that of a source with one image) is absent, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radar_tasks.questions import ABILITIES
from radar_tasks.results.metrics import METRICS, per_question, question_weights, value
from radar_tasks.results.model import SourceSamples
from radar_tasks.results.standard_errors import HALF_WIDTH, error_of_mean, standard_error
from radar_tasks.results.until_record import UntilRecord

Sources = Mapping[str, SourceSamples]

LOGGED = ("sds", "acc", "margin", "nll")
"""Metrics that a measurement in training logs."""

SIGNS = {"rose": 1.0, "fell": -1.0, "no change": 0.0}
"""Verdicts as numbers."""


@dataclass(frozen=True)
class _Estimate:
    """A mean and its standard error, None where there is none."""

    mean: float
    error: float | None


def tracker_values(
    sources: Sources,
    earlier: Sources | None = None,
    metrics: Sequence[str] = LOGGED,
    until: UntilRecord | None = None,
) -> dict[str, float]:
    """The numbers of a result by the names above.

    Args:
        sources: the samples of a checkpoint by source, as in `CheckpointResult`.
        earlier: those that changes of SDS are told from; questions that both hold are compared.
        metrics: names of `radar_tasks.results.metrics.METRICS`.
        until: the record of a measurement with `until=`; changes are told from it and not from `earlier`.
    """
    numbers: dict[str, float] = {}
    for metric in metrics:
        of_source = {
            source: _Estimate(
                number, standard_error(samples, per_question(samples, metric)) if _has_questions(metric) else None
            )
            for source, samples in sources.items()
            if (number := value(samples, metric)) is not None
        }
        for name, estimate in _with_abilities(sources, of_source).items():
            numbers[f"radar/{name}_{metric}"] = estimate.mean
            if metric == "sds" and estimate.error is not None:
                numbers[f"radar/{name}_sds_half_width"] = HALF_WIDTH * estimate.error
    if until is not None:
        return numbers | _of_record(until, numbers)
    if earlier is not None and "sds" in metrics:
        for name, estimate in _with_abilities(sources, _changes(sources, earlier)).items():
            numbers[f"radar/{name}_sds_change"] = estimate.mean
            if estimate.error is not None:
                numbers[f"radar/{name}_sds_change_half_width"] = HALF_WIDTH * estimate.error
    return numbers


def _of_record(until: UntilRecord, numbers: Mapping[str, float]) -> dict[str, float]:
    """What a measurement with `until=` knows of SDS.

    The ordinary half-width, for other questions of the kind, is kept where it is the larger: where all were asked."""
    found: dict[str, float] = {}
    for name, band in until.sds.items():
        if (mean := numbers.get(f"radar/{name}_sds")) is not None:
            ordinary = numbers.get(f"radar/{name}_sds_half_width", 0.0)
            found[f"radar/{name}_sds_half_width"] = max(ordinary, band.half_width(mean))
    changes = until.source_changes | {change.ability: change.change for change in until.changes}
    for name, band in changes.items():
        found[f"radar/{name}_sds_change"] = band.estimate
        found[f"radar/{name}_sds_change_half_width"] = band.half_width(band.estimate)
    for change in until.changes:
        found[f"radar/{change.ability}_questions"] = change.asked
        if change.verdict in SIGNS:
            found[f"radar/{change.ability}_verdict"] = SIGNS[change.verdict]
    return found


def _has_questions(metric: str) -> bool:
    return METRICS[metric].per_question is not None


def _changes(sources: Sources, earlier: Sources) -> dict[str, _Estimate]:
    """SDS of each source minus the earlier one's on the same questions."""
    changes = {}
    for source in sources.keys() & earlier.keys():
        now, then = sources[source], earlier[source]
        _, rows, old_rows = np.intersect1d(now.q_id, then.q_id, return_indices=True)
        now, then = now.take(rows), then.take(old_rows)
        new, old = per_question(now, "sds"), per_question(then, "sds")
        if new is None or old is None or not len(rows):
            continue
        changes[source] = _Estimate(float((new - old) @ question_weights(now)), standard_error(now, new - old))
    return changes


def _with_abilities(sources: Sources, of_source: dict[str, _Estimate]) -> dict[str, _Estimate]:
    """The estimates by source, then the unweighted means over each ability's sources, which are independent."""
    estimates = dict(of_source)
    for ability in ABILITIES:
        members = [estimate for source, estimate in of_source.items() if sources[source].ability == ability]
        if members:
            error = error_of_mean([member.error for member in members])
            estimates[ability] = _Estimate(float(np.mean([member.mean for member in members])), error)
    return estimates

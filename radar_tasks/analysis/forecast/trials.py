"""Trials: a forecast of one source by every law, with its rivals, and the truth where that is known.

A forecast is tried where its end is known before it is believed: on finished runs, each from the same step to the same
end, with the run itself left out; where there are few of these, on the run's own earlier part, over the same factor of
steps; and for a larger model on the largest that there is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from radar_metrics.forecast import accuracy_ahead, line_ahead
from radar_metrics.options import FloatArray
from radar_tasks.analysis.forecast.laws import gains_of_size, means_ahead, possible
from radar_tasks.analysis.forecast.margin_tracks import RunTrack
from radar_tasks.questions import Ability

FEWEST = 4
"""Checkpoints after step 0 that a run needs before anything is forecast from it."""
ENOUGH_RUNS = 2
"""So many finished runs, and a forecast is tried on them alone."""
SAME_FACTOR = 1.2
"""By so much the factor of steps of a trial may differ from that of the forecast."""
MOST_CUTS = 12
"""From so many of a run's own earlier steps, the last ones, its forecast is tried: more say the same again."""
LATE = 1 / 3
"""Sizes are compared at checkpoints after this part of training."""


@dataclass(frozen=True, eq=False)
class Trial:
    """A forecast of one source; arrays have SDS and accuracy in the last place.

    Attributes:
        run: the training run that is forecast.
        source, ability: of what.
        step: of the last checkpoint that is known.
        start, at: from where to where: steps, or sizes.
        last: (2,) the scores at `start`: what copying forecasts.
        line: (2,) a least-squares line through the scores so far, in log step or log size.
        ahead: (K, 2) by each law; NaN where a law had nothing to go by.
        truth: (2,) the scores at `at`; NaN where they are not known.
    """

    run: str
    source: str
    ability: Ability
    step: float
    start: float
    at: float
    last: FloatArray
    line: FloatArray
    ahead: FloatArray
    truth: FloatArray


_UNKNOWN = np.full(2, np.nan)


def end_trials(run: RunTrack, start: float, at: float, others: Sequence[RunTrack]) -> list[Trial]:
    """Every source of a run, seen until `start`; the truth is there where the run goes on to `at`.

    Args:
        run: a training run.
        start: one of its steps, the `FEWEST`th after 0 or later.
        at: a later step.
        others: runs that go on to `at`.
    """
    made = []
    for source, track in run.sources.items():
        seen = track.until(start)
        after = seen.steps > 0
        beside = [other.sources[source] for other in others if source in other.sources]
        made.append(
            Trial(
                run=run.name,
                source=source,
                ability=track.ability,
                step=float(start),
                start=float(start),
                at=float(at),
                last=seen.scores[-1],
                line=np.clip(line_ahead(seen.steps[after], seen.scores[after], at), 0.0, 1.0),
                ahead=_with_accuracy(
                    seen.margins[-1].sds(means_ahead(seen, at, beside)),
                    [seen.scores, *(other.scores for other in beside)],
                    seen.scores[-1],
                ),
                truth=track.scores[track.place_of(at)] if at in track.steps else _UNKNOWN,
            )
        )
    return made


def _with_accuracy(sds: FloatArray, seen: Sequence[FloatArray], last: FloatArray) -> FloatArray:
    """(K, 2) SDS and the accuracy that goes with it, NaN where SDS is."""
    return np.stack([sds, accuracy_ahead(sds, np.concatenate(seen), last)], axis=1)


def tried_ends(run: RunTrack, at: float, finished: Sequence[RunTrack]) -> list[Trial]:
    """The same forecast where its end is known.

    Args:
        run: as far as it is known.
        at: the step that is forecast.
        finished: other runs that go on to `at`.
    """
    start = run.steps[-1]
    made: list[Trial] = []
    if len(finished) < ENOUGH_RUNS:
        cuts = []
        for k, step in enumerate(run.steps[:-1]):
            wanted, later = step * at / start, run.steps[k + 1 :]
            if is_long_enough(run, step):
                end = later[np.abs(np.log(later / wanted)).argmin()]
                if abs(np.log(end / wanted)) <= np.log(SAME_FACTOR):
                    cuts.append((step, end))
        made = [trial for step, end in cuts[-MOST_CUTS:] for trial in end_trials(run, step, end, [])]
    for other in finished:
        begin = other.steps[other.steps <= start]
        if at in other.steps and len(begin) and is_long_enough(other, begin[-1]):
            made += end_trials(other, begin[-1], at, [one for one in finished if one is not other])
    return made


def is_long_enough(run: RunTrack, start: float) -> bool:
    """Whether so much of a run is enough to draw on."""
    return int(((run.steps > 0) & (run.steps <= start)).sum()) >= FEWEST


def size_trials(
    smaller: Mapping[float, Sequence[RunTrack]], size: float, step: float, larger: RunTrack | None, name: str
) -> list[Trial]:
    """Every source of a larger model at a step that all runs have.

    Args:
        smaller: by size, two or more sizes, the runs of this size.
        size: of the larger model.
        step: at which all are compared.
        larger: the larger model's run, where there is one to say what came out.
        name: of that run, or of what is forecast.
    """
    sizes = np.array(sorted(smaller))
    made = []
    for source, track in smaller[sizes[-1]][0].sources.items():
        by_size = [[run.sources[source] for run in smaller[one] if source in run.sources] for one in sizes]
        if not all(by_size):
            continue
        means = np.array([np.mean([one.means[one.place_of(step)] for one in of], axis=0) for of in by_size])
        scores = np.array([np.mean([one.scores[one.place_of(step)] for one in of], axis=0) for of in by_size])
        gains = gains_of_size(sizes, means, size)
        # Every run of the largest size is continued with its own questions' places, for what a new seed would give.
        largest = [one.margins[one.place_of(step)] for one in by_size[-1]]
        ahead = np.mean([margins.sds(possible(margins.means + gains)) for margins in largest], axis=0)
        known = larger.sources.get(source) if larger is not None else None
        made.append(
            Trial(
                run=name,
                source=source,
                ability=track.ability,
                step=float(step),
                start=float(sizes[-1]),
                at=size,
                last=scores[-1],
                line=np.clip(line_ahead(sizes, scores, size), 0.0, 1.0),
                ahead=_with_accuracy(ahead, [one.scores for of in by_size for one in of], scores[-1]),
                truth=_UNKNOWN if known is None else known.scores[known.place_of(step)],
            )
        )
    return made


def tried_sizes(by_size: Mapping[float, Sequence[RunTrack]], steps: FloatArray) -> list[Trial]:
    """Every run of a size that has two smaller ones, forecast from these, at each of these steps."""
    sizes = sorted(by_size)
    return [
        trial
        for k in range(2, len(sizes))
        for run in by_size[sizes[k]]
        for step in steps
        for trial in size_trials({one: by_size[one] for one in sizes[:k]}, sizes[k], step, run, run.name)
    ]


def shared_late_steps(runs: Sequence[RunTrack]) -> FloatArray:
    """Steps that all runs have, after the first third of training."""
    shared = runs[0].steps
    for run in runs[1:]:
        shared = np.intersect1d(shared, run.steps)
    return np.asarray(shared[shared > LATE * shared[-1]]) if len(shared) else shared

"""Training runs as forecasts read them: the margins of every source at every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from radar_metrics.forecast import Margins
from radar_metrics.options import FloatArray
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results import TrainingRun
from radar_tasks.results.metrics import question_weights, value

METRICS = ("sds", "acc")
"""What is forecast, in the order of the arrays that hold both."""


@dataclass(frozen=True, eq=False)
class MarginTrack:
    """One source over one training run: `steps` (S,), increasing, the margins and the accuracy (S,) at each."""

    source: str
    ability: Ability
    steps: FloatArray
    margins: tuple[Margins, ...]
    accuracy: FloatArray

    @cached_property
    def means(self) -> FloatArray:
        """(S, 3), see `Margins.means`."""
        return np.array([margins.means for margins in self.margins])

    @cached_property
    def scores(self) -> FloatArray:
        """(S, 2) SDS and accuracy."""
        sds = [margins.sds(margins.means) for margins in self.margins]
        return np.stack([np.array(sds), self.accuracy], axis=1)

    def until(self, step: float) -> MarginTrack:
        """The part up to and with a step."""
        n = int((self.steps <= step).sum())
        return replace(self, steps=self.steps[:n], margins=self.margins[:n], accuracy=self.accuracy[:n])

    def means_at(self, steps: FloatArray) -> FloatArray:
        """(len(steps), 3) means, interpolated in log(1 + step)."""
        places, wanted = np.log1p(self.steps), np.log1p(steps)
        return np.stack([np.interp(wanted, places, column) for column in self.means.T], axis=1)

    def place_of(self, step: float) -> int:
        """Which of its checkpoints a step is."""
        return int(np.flatnonzero(self.steps == step)[0])


@dataclass(frozen=True, eq=False)
class RunTrack:
    """One training run: its name, its steps (S,), and the tracks of its sources."""

    name: str
    steps: FloatArray
    sources: dict[str, MarginTrack]

    def until(self, step: float) -> RunTrack:
        """The part up to and with a step."""
        kept = {source: track.until(step) for source, track in self.sources.items()}
        return RunTrack(self.name, self.steps[self.steps <= step], kept)


def run_track(training: TrainingRun) -> RunTrack:
    """The margins of every source that has mean log-probabilities at every checkpoint.

    Raises:
        ResultsError: no source has.
    """
    sources: dict[str, MarginTrack] = {}
    for source in training.sources:
        samples = [result.sources[source] for result in training.results]
        scores = [part.logprob for part in samples if part.logprob is not None]
        if len(scores) < len(samples):
            continue
        margins = tuple(
            Margins.of(score, part.answer, question_weights(part), part.q_id)
            for score, part in zip(scores, samples, strict=True)
        )
        accuracy = np.array([value(part, "acc") for part in samples], dtype=np.float64)
        sources[source] = MarginTrack(source, samples[0].ability, training.steps, margins, accuracy)
    if not sources:
        raise ResultsError(
            f"{training.name}: no source has mean log-probabilities (logprob) at every checkpoint, which a forecast is "
            "made from; lm-eval's results hold sums only."
        )
    return RunTrack(training.name, training.steps, sources)

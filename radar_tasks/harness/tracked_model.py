"""`radar_hf` as `radar track` runs it: a failure is the checkpoint's, not the job's, and progress is told outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from lmms_eval.api.instance import GenerationResult, Instance

from radar_tasks.harness.radar_hf import RadarHF, Scored
from radar_tasks.harness.ranks import failing_together


class TrackedModel(RadarHF):
    """One checkpoint of a run.

    With several ranks every one of them must be asked, which holds without lmms-eval's response cache.

    Args:
        on_scored: called after every question of this rank.
        settings: arguments of `RadarHF`.

    Raises:
        RadarError: from the constructor, `load` and `loglikelihood`, on every rank when one has met it.
    """

    def __init__(self, on_scored: Callable[[], None], **settings: Any) -> None:
        self._on_scored = on_scored
        with failing_together():
            super().__init__(**settings)
            self.load()

    def loglikelihood(self, requests: list[Instance]) -> list[GenerationResult]:
        """See `RadarHF`."""
        with failing_together():
            return self.answers(requests)

    def _progress(self, scored: Iterable[Scored], total: int) -> Iterator[Scored]:
        for question in scored:
            yield question
            self._on_scored()

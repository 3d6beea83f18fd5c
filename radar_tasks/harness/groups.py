"""The average of an ability: the unweighted mean over its sources, as in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class MeanOf:
    """Mean over exactly `sources` leaves; where some are missing there is no average, rather than another one.

    lmms-eval calls it with the leaves' values, their numbers of questions and a weight flag; only the values count.
    """

    sources: int

    def __call__(self, values: Sequence[float], sizes: Sequence[int], weight_by_size: bool) -> float | str:
        return sum(values) / len(values) if len(values) == self.sources else "N/A"


mean_of_4 = MeanOf(4)
mean_of_5 = MeanOf(5)

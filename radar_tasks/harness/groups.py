"""The average of an ability: the unweighted mean over its sources, as in the paper."""

from __future__ import annotations

from collections.abc import Sequence


class MeanOf:
    """Mean over exactly `sources` leaves; where some are missing there is no average, rather than another one.

    lmms-eval calls it with the leaves' values, their numbers of questions and a weight flag; only the values count.
    Not a dataclass: lmms-eval turns its groups into dictionaries, and every dataclass inside them too.
    """

    def __init__(self, sources: int) -> None:
        self._sources = sources

    def __call__(self, values: Sequence[float], sizes: Sequence[int], weight_by_size: bool) -> float | str:  # noqa: ARG002
        return sum(values) / len(values) if len(values) == self._sources else "N/A"


mean_of_4 = MeanOf(4)
mean_of_5 = MeanOf(5)

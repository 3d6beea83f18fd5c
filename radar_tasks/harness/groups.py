"""The average of an ability: the unweighted mean over its sources, as in the paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

GroupMean = Callable[[Sequence[float], Sequence[int], bool], "float | str"]


def mean_of(sources: int) -> GroupMean:
    """Mean over exactly so many leaves; where some are missing there is no average, rather than another one.

    lmms-eval calls the result with the leaves' values, their numbers of questions and a weight flag; only the values
    count. (A function, since lmms-eval turns any dataclass in a group's configuration into a dictionary.)
    """

    def mean(values: Sequence[float], sizes: Sequence[int], weight_by_size: bool) -> float | str:  # noqa: ARG001
        return sum(values) / len(values) if len(values) == sources else "N/A"

    return mean


mean_of_4 = mean_of(4)
mean_of_5 = mean_of(5)

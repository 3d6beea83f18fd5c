"""What a measurement with `until=` keeps beside its samples: what was decided, and intervals that its stopping allows.

It stands under `scoring` of the results: `until`, the delta, and `until_record`, what `UntilRecord` says. Samples of
such a measurement are of the questions that were asked. Their mean is an ordinary one, but an ordinary interval is too
narrow for it, since the outcome decided how many they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from radar_metrics.anytime import Verdict
from radar_metrics.uncertainty import Interval
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.validation import validation_problems

UNTIL, RECORD = "until", "until_record"
"""Their names in `CheckpointResult.scoring`."""

_Count = Annotated[int, Field(ge=0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Band(_Frozen):
    """An estimate of SDS or of a change of it, and the ends of its interval."""

    estimate: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat

    @classmethod
    def of(cls, interval: Interval) -> Band:
        """As a file keeps it."""
        return cls(estimate=interval.estimate, low=interval.low, high=interval.high)

    def half_width(self, around: float) -> float:
        """The least +- around a number that spans the interval."""
        return max(around - self.low, self.high - around, 0.0)


class AbilityChange(_Frozen):
    """How an ability's SDS changed since an earlier measurement, on the questions that both asked.

    Attributes:
        ability: perception or reasoning.
        verdict: `rose`, `fell`, `no change` (by more than the delta), `undecided`.
        since: the name of the earlier measurement, such as `step-000500`.
        change: with an interval of which each end holds as the verdicts do: for all abilities of 100 measurements at
            once with a chance of 95 %, however often one looked.
        decided_after: questions after which the verdict stood; all that both asked where it is `undecided`.
        compared: questions that both asked.
        asked: questions asked of the ability.
        questions: how many there would have been.
    """

    ability: Ability
    verdict: Verdict
    since: str
    change: Band
    decided_after: _Count
    compared: _Count
    asked: _Count
    questions: _Count

    def __str__(self) -> str:
        what = {"no change": "did not change", "undecided": "undecided"}.get(self.verdict, self.verdict)
        band = f"{self.change.estimate:+.3f}, {self.change.low:+.3f} to {self.change.high:+.3f}"
        return f"{self.ability} {what} since {self.since} ({band}; {self.decided_after} of {self.questions} questions)"


class UntilRecord(_Frozen):
    """What was decided, and what is known however the measurement came to stop.

    Attributes:
        delta: a change of at most so much SDS is none.
        changes: an ability each; none for the first measurement.
        sds: by ability and source, each interval of 95 %.
        source_changes: by source, each interval of 95 %.
    """

    delta: FiniteFloat
    changes: list[AbilityChange] = []
    sds: dict[str, Band] = {}
    source_changes: dict[str, Band] = {}

    @property
    def scoring(self) -> dict[str, Any]:
        """What goes into results under `scoring`."""
        return {UNTIL: self.delta, RECORD: self.model_dump()}


def until_of(scoring: Mapping[str, Any]) -> float | None:
    """The delta of a measurement that asked only as much as it took; None where all questions were asked."""
    until = scoring.get(UNTIL)
    return float(until) if isinstance(until, (int, float)) else None


def until_record(scoring: Mapping[str, Any]) -> UntilRecord | None:
    """The record of a measurement; None where all questions were asked.

    Raises:
        ResultsError: the results say something else there.
    """
    if until_of(scoring) is None:
        return None
    try:
        return UntilRecord.model_validate(scoring.get(RECORD))
    except ValidationError as error:
        place, said = validation_problems(error)[0]
        raise ResultsError(f"results of until={scoring[UNTIL]}: scoring.{RECORD}.{place}: {said}") from None

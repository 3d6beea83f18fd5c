"""The shapes of results and samples files: what is read is checked by these, and what they do not name is not read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, FiniteFloat, ValidationError, model_validator

from radar_metrics.likelihood import ROUNDING
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.questions import Ability
from radar_tasks.results.model import LOGPROBS, SCORES
from radar_tasks.suite import Suite
from radar_tasks.validation import validation_problems

_Object = dict[str, Any]

SCORE_TOLERANCE = 1e-6
"""By so much a printed number may differ from what the samples say; more is no rounding."""


class HarnessConfig(BaseModel):
    """What `config` says of how the harness was run; further keys are kept."""

    limit: FiniteFloat | None = None
    model_args: str | _Object | None = None


class ResultsFile(BaseModel):
    """Where a results file has objects; what is in them is looked at when it is needed."""

    results: dict[str, _Object]
    groups: dict[str, _Object] | None = None
    configs: _Object | None = None
    config: HarnessConfig | None = None
    n_samples: dict[str, _Object] | None = Field(None, alias="n-samples")


class RadarSettings(BaseModel):
    data: _Object
    scoring: _Object | None = None


class LeafConfig(BaseModel):
    """One of `configs` that a task of this project has written."""

    radar: RadarSettings
    metadata: _Object | None = None


class DataDescription(BaseModel):
    """`configs[leaf]["radar"]["data"]`; further keys are kept."""

    source: str
    ability: Ability
    task: str
    checksum: str = ""
    suite: Suite | None = None


_Scores = Annotated[list[FiniteFloat], Field(min_length=2)]
_Count = Annotated[int, Field(gt=0, lt=2**31)]
_Counts = Annotated[list[_Count], Field(min_length=2)]


class Record(BaseModel):
    """The record under `sds` (lm-eval: `sds_bytes`) of a samples line."""

    q_id: str
    image_id: str
    category: str = ""
    options: Annotated[list[str], Field(min_length=2)]
    answer: int
    logprob: _Scores | None = None
    logprob_sum: _Scores | None = None
    logit: _Scores | None = None
    logprob_blind: _Scores | None = None
    logit_blind: _Scores | None = None
    tokens: _Counts | None = None
    bytes: _Counts
    score: FiniteFloat | None = None

    @model_validator(mode="after")
    def _one_value_an_option(self) -> Record:
        for name in (*SCORES, "tokens", "bytes"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.options):
                raise ValueError(f"{len(values)} values of {name} for {len(self.options)} options")
        if not 0 <= self.answer < len(self.options):
            raise ValueError(f"the answer is option {self.answer}, there are {len(self.options)}")
        if self.logprob is None and self.logprob_sum is None:
            raise ValueError("neither logprob nor logprob_sum")
        for name in LOGPROBS:
            for k, value in enumerate(getattr(self, name) or ()):
                if value > ROUNDING:
                    raise ValueError(f"{name} of option {k} is {value:g}; a log-probability is not above 0")
        return self

    def require_score(self, scores: list[float]) -> None:
        """ValueError where the printed score of the question is not what its options' scores say of the answer."""
        said = float(answer_probability([scores], [self.answer])[0])
        if self.score is not None and abs(self.score - said) > SCORE_TOLERANCE:
            raise ValueError(
                f"the score is {self.score:.6g}, and by the options' scores the answer, option {self.answer}, has "
                f"{said:.6g}: one of them was changed after scoring"
            )


class SamplesLine(BaseModel):
    sds: Record | None = None
    sds_bytes: Record | FiniteFloat | None = None
    input: Any = ""
    arguments: Any = None

    @model_validator(mode="after")
    def _score_is_of_the_answer(self) -> SamplesLine:
        if self.sds is not None and self.sds.logprob is not None:
            self.sds.require_score(self.sds.logprob)
        elif self.sds is None and (record := self.record) is not None and record.logprob_sum is not None:
            record.require_score([total / n for total, n in zip(record.logprob_sum, record.bytes, strict=True)])
        return self

    @property
    def record(self) -> Record | None:
        return self.sds or (self.sds_bytes if isinstance(self.sds_bytes, Record) else None)

    @property
    def prompt(self) -> str:
        if isinstance(self.arguments, dict):  # lm-eval
            return str(self.arguments.get("gen_args_0", {}).get("arg_0", ""))
        return self.input if isinstance(self.input, str) else ""


def first_problem(error: ValidationError) -> str:
    """The first thing that was wrong, with its place."""
    place, said = validation_problems(error)[0]
    return f"{place}: {said}" if place else said

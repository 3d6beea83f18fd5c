"""The shapes of results and samples files: what is read is checked by these, and what they do not name is not read."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, FiniteFloat, PositiveInt, ValidationError, model_validator

from radar_tasks.questions import Ability

_Object = dict[str, Any]


class ResultsFile(BaseModel):
    """Where a results file has objects; what is in them is looked at when it is needed."""

    results: dict[str, _Object]
    groups: dict[str, _Object] | None = None
    configs: _Object | None = None
    config: _Object | None = None
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


_Scores = Annotated[list[FiniteFloat], Field(min_length=2)]
_Counts = Annotated[list[PositiveInt], Field(min_length=2)]


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
    tokens: _Counts | None = None
    bytes: _Counts

    @model_validator(mode="after")
    def _one_value_an_option(self) -> Record:
        for name in ("logprob", "logprob_sum", "logit", "tokens", "bytes"):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.options):
                raise ValueError(f"{len(values)} values of {name} for {len(self.options)} options")
        if not 0 <= self.answer < len(self.options):
            raise ValueError(f"the answer is option {self.answer}, there are {len(self.options)}")
        if self.logprob is None and self.logprob_sum is None:
            raise ValueError("neither logprob nor logprob_sum")
        return self


class SamplesLine(BaseModel):
    sds: Record | None = None
    sds_bytes: Record | FiniteFloat | None = None
    input: Any = ""
    arguments: Any = None

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
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg']}" if place else problem["msg"]

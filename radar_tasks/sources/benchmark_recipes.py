"""The recipes of public benchmarks: one YAML each in `recipes/`, read into a `BenchmarkRecipe`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from radar_tasks.questions import Ability
from radar_tasks.sources.answer_conventions import AnswerConvention
from radar_tasks.sources.benchmark import BenchmarkSettings

_FOLDER = Path(__file__).resolve().parent / "recipes"

Role = Literal["question", "options", "answer", "image", "hint", "id", "category", "group", "marks"]


class BenchmarkRecipe(BaseModel):
    """How a public benchmark becomes a source.

    Attributes:
        title: what it is called.
        dataset: its name on the Hub; `configs` and `split` within it.
        homepage, licence: as its authors give them; a user has to agree with the licence.
        ability, task: of its questions, see `Question`.
        columns: columns by role, see `benchmark_columns`.
        note: what a user should know; "" for nothing.

    The others are those of `BenchmarkSettings`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    dataset: str
    configs: tuple[str, ...] = ()
    split: str
    homepage: str
    licence: str
    ability: Ability
    task: str
    columns: dict[Role, str] = {}
    answer_as: AnswerConvention | None = None
    options_in_question: bool = False
    options: tuple[str, ...] = ()
    answer: int | None = Field(default=None, ge=0)
    question: str = ""
    only: dict[str, str] = {}
    needs_image: bool = False
    note: str = ""

    def settings(self) -> BenchmarkSettings:
        """What the recipe says, as `BenchmarkSource` takes it."""
        return BenchmarkSettings(
            ability=self.ability,
            task=self.task,
            columns={str(role): column for role, column in self.columns.items()},
            answer_as=self.answer_as,
            options_in_question=self.options_in_question,
            options=self.options,
            answer=self.answer,
            question=self.question,
            only=self.only,
            needs_image=self.needs_image,
        )


@cache
def benchmark_recipes() -> dict[str, BenchmarkRecipe]:
    """All recipes by the name of their source, in alphabetical order."""
    return {
        file.stem: BenchmarkRecipe.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted(_FOLDER.glob("*.yaml"))
    }

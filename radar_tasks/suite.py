"""`Suite`: sources of one's own that make up averages together, as M3-Bench's nine and the sample's ten do.

It is declared in the store (`radar_tasks.store.own_suites`) and told by results. Here and not there, since who reads
results needs none of what makes a store.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from radar_tasks.questions import SOURCE_NAME

_Name = Annotated[str, Field(pattern=f"^{SOURCE_NAME}$")]


class Suite(BaseModel):
    """Which sources are averaged.

    Attributes:
        name: the averages are called `<name> perception` and `<name> reasoning`, the group of tasks `radar_<name>`.
        perception, reasoning: the members of each ability, in the order of the tables.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: _Name
    perception: tuple[_Name, ...] = ()
    reasoning: tuple[_Name, ...] = ()

    @property
    def sources(self) -> tuple[str, ...]:
        """All members."""
        return self.perception + self.reasoning

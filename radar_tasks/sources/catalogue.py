"""The nine sources of M3-Bench as the paper counts them (arXiv 2602.12892, its table of the benchmark)."""

from __future__ import annotations

from dataclasses import dataclass

from radar_tasks.questions import Ability


@dataclass(frozen=True)
class Published:
    """A source of the benchmark.

    Attributes:
        name: what it is called here; its leaf task is `radar_<name>`.
        ability: perception or reasoning.
        task: the benchmark's task.
        folder: its folder in the official release.
        count: the number of questions the paper gives.
        public: whether `radar data rebuild` can make it from a public data set.
    """

    name: str
    ability: Ability
    task: str
    folder: str
    count: int
    public: bool = False


_SOURCES = (
    Published("mmbench", "perception", "General VQA", "general_visual_question_answering", 1164, public=True),
    Published("wiki_animal", "perception", "Natural concept identification", "Wiki_animal_identification", 2000),
    Published("wiki_plant", "perception", "Natural concept identification", "Wiki_plant_identification", 2000),
    Published("wiki_celebrity", "perception", "Cultural concept identification", "Wiki_celebrity_identification", 2000),
    Published(
        "wiki_attraction", "perception", "Cultural concept identification", "Wiki_attraction_identification", 2000
    ),
    Published("spatial", "reasoning", "Spatial reasoning", "spatial_reasoning", 2000),
    Published("mathvista", "reasoning", "Mathematical reasoning", "mathematical_reasoning", 1000, public=True),
    Published("seephys", "reasoning", "Physical reasoning", "physical_reasoning", 2000, public=True),
    Published("mmmu_pro", "reasoning", "Multi-discipline VQA", "multiple_discipline_reasoning", 1730, public=True),
)

PUBLISHED: dict[str, Published] = {source.name: source for source in _SOURCES}
"""The nine by name, in the order of the paper's tables."""

"""A prompt seen from its images: runs of images between runs of text, and the tokens that stand for the former.

part        Image Image  Text Control Text   Image  Text          (the last run is the option's, too)
run         `---------'  `---------------'   `---'  `--'
layout      2 images     before the first    1      before the second: (2, 1)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from radar_tasks.scoring.encoding.prompt_formats import Control, Image, Part, Text

Layout = tuple[int, ...]
"""For each run of text the number of images directly in front of it."""


@dataclass(frozen=True)
class Segment:
    """What stands before a run of text: the tokens of its images, and of the sequence's begin.

    Attributes:
        ids: the tokens; those of images hold placeholders for features.
        inputs: the model's further inputs along the tokens, each (len(ids), ...): token types, masks over the images.
        on_text: their value on every token of the run of text that follows, each (...).
    """

    ids: tuple[int, ...]
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    on_text: Mapping[str, Tensor] = field(default_factory=dict)

    def without_last(self, count: int) -> Segment:
        """The segment less its last `count` tokens."""
        kept = len(self.ids) - count
        return replace(self, ids=self.ids[:kept], inputs={name: value[:kept] for name, value in self.inputs.items()})


@dataclass(frozen=True)
class Run:
    """A run of text with the images in front of it, by their index in the question."""

    images: tuple[int, ...]
    text: tuple[Text | Control, ...]


def runs_of(parts: Sequence[Part]) -> list[Run]:
    """The runs of a prompt; the last holds at least the place for an option, also where an image is the last part."""
    runs: list[tuple[list[int], list[Text | Control]]] = [([], [])]
    for part in parts:
        if isinstance(part, Image):
            if runs[-1][1]:
                runs.append(([], []))
            runs[-1][0].append(part.index)
        else:
            runs[-1][1].append(part)
    return [Run(tuple(images), tuple(text)) for images, text in runs]

"""What a task has to tell about itself so that its results can be read without it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class MeasuredTask(ABC):
    """A task whose records under `sds` hold all that was measured of a question, so that its results get a `radar`
    entry (see `radar_tasks.harness.patches.run_record`) and can be analysed."""

    @property
    @abstractmethod
    def data(self) -> dict[str, Any]:
        """What results say about the questions: `source`, `ability`, `task`, `checksum`, `questions`, ...; `missing`
        where there are none."""

    @property
    @abstractmethod
    def by_category(self) -> bool:
        """Whether the headline is the mean over categories."""

"""The errors that a user can act on.

Every message says what was wrong, where (file, question, option) and what to do. The command line prints the message
alone; any other exception is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

QUESTIONS_LEFT_OUT = 3
"""Exit status of a run that has its results, but not for all questions: the checkpoint refused some of them."""


ALARMED = 4
"""Exit status of `radar guard` and `radar track --guard` where an ability fell."""


class RadarError(Exception):
    """Base of all errors that come from a user's input, data, checkpoint or machine rather than from a bug."""


class QuestionError(RadarError, ValueError):
    """A question breaks rules of the benchmark (see `radar_tasks.questions`), each of them a text in `problems`."""

    def __init__(self, message: str, problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.problems = tuple(problems) or (message,)


class DataError(RadarError):
    """A data source is missing, damaged, or not what its manifest says."""


class CheckpointError(RadarError):
    """A checkpoint cannot be loaded or scored as it is."""


class ResultsError(RadarError):
    """A results folder or samples file is incomplete, damaged, or does not fit the others."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that does not exist: ` Did you mean NAME?`, or nothing where none is near."""
    near = difflib.get_close_matches(name, list(known), n=2, cutoff=0.7)
    return f" Did you mean {' or '.join(near)}?" if near else ""

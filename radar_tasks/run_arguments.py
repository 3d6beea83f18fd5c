"""How the arguments of a run are read, wherever they turn up: on a command line, or in a results file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from radar_tasks.errors import CheckpointError, RadarError


def limit_of(config: Mapping[str, Any]) -> int | float | None:
    """The `--limit` in a harness's `config`: a number of questions per source, or a share of them; None for all.

    lmms-eval's command line writes no limit as -1.
    """
    limit = config.get("limit")
    if limit is None or limit == -1:
        return None
    return int(limit) if limit == int(limit) else float(limit)


def questions_asked(limit: float | None, questions: int) -> int:
    """How many questions of a source a limit leaves.

    Args:
        limit: a number of questions, or a share of them between 0 and 1 (rounded up, each source its own share); None
            leaves all.
        questions: how many the source has.

    Raises:
        RadarError: any other number.
    """
    if limit is None:
        return questions
    if 0 < limit < 1:
        return math.ceil(questions * limit)
    if limit < 1 or limit != int(limit):
        raise RadarError(f"--limit {limit:g}: give a number of questions from 1, or a share between 0 and 1.")
    return min(int(limit), questions)


def model_arguments(given: str | Mapping[str, Any] | None) -> dict[str, Any]:
    """`--model_args` as names and values, from `a=1,b=2` as it is typed or from what a harness has made of it.

    A value may hold `=`. Values of a text stay texts.

    Raises:
        CheckpointError: an argument without a value.
    """
    if not isinstance(given, str):
        return dict(given or {})
    pairs = [part.partition("=") for part in given.split(",") if part.strip()]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise CheckpointError(f"model arguments: {', '.join(wrong)} has no value; write name=value,name=value.")
    return {name.strip(): value.strip() for name, _, value in pairs}

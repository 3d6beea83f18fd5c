"""What a harness's responses mean: signs, means and sums, texts that were numbers.

* This project's model answers one text per option, the JSON of an `OptionScore`. lmms-eval 0.7.3 turns everything that
  is not a text into `str(...)`, so a text is what survives, also through its response cache.
* A question that the checkpoint cannot be asked (its processor refuses a picture, say) gets the reason instead, so
  that the others are scored.
* A stock lmms-eval model answers `(loss, is_greedy)`: the *mean loss* over the option's tokens in nats, lower is
  better, against lmms-eval's own docstring (its issue 370); here it arrives as the text of that tuple.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from radar_tasks.errors import RadarError
from radar_tasks.scoring.types import OptionScore

Response = dict[str, Any]
"""What is known of one option: `logprob` always; the other fields of `OptionScore` where the model gives them."""


NOT_ASKED = "not asked, since what it was to decide was decided before"
"""What stands in the place of a score where a run ended before a question's turn; no refusal of the checkpoint's."""


def to_response(score: OptionScore) -> str:
    """The text that this project's model hands to lmms-eval for one option; floats survive the round trip exactly."""
    known = {name: value for name, value in asdict(score).items() if value is not None}
    return json.dumps(known, allow_nan=False)


def to_refusal(reason: str) -> str:
    """The text that stands in the place of a score where a question could not be asked."""
    return json.dumps({"refused": reason})


def refusal(responses: Sequence[Any]) -> str | None:
    """Why a question was not scored, from the responses to its options; None where it was."""
    for response in responses:
        value = _parse(response)
        if isinstance(value, dict) and "refused" in value:
            return str(value["refused"])
    return None


def read_response(response: Any, where: str) -> Response:
    """What a model said about one option.

    Args:
        response: what lmms-eval hands to `process_results` for one request.
        where: the question and the option, for the error.

    Raises:
        RadarError: the response is neither form described above, or its score is not a finite number.
    """
    value = _parse(response)
    if isinstance(value, dict) and "logprob" in value:
        read: Response = value
    elif isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[0], (int, float)):
        read = {"logprob": -float(value[0])}
    else:
        raise RadarError(
            f"{where}: the model answered {response!r}, which is not a log-likelihood. RADAR needs a model that scores "
            "given answers, such as this project's `--model radar_hf`."
        )
    for name in ("logprob", "logit", "logprob_blind", "logit_blind"):
        if name in read and not math.isfinite(read[name]):
            raise RadarError(
                f"{where}: the model's {name} is {read[name]}. Check the checkpoint's weights, and try dtype=float32."
            )
    return read


def _parse(response: Any) -> Any:
    if not isinstance(response, str):
        return response
    try:
        return json.loads(response)
    except json.JSONDecodeError:
        pass
    try:
        return ast.literal_eval(response)
    except (ValueError, SyntaxError):
        pass
    return _stock_tuple(response)


def _stock_tuple(response: str) -> Any:
    """`(inf, False)`, `(nan, True)` and torch's `(tensor(3.3), False)` are no Python literals; read them as well."""
    first = response.strip().removeprefix("(").split(",", 1)[0].removeprefix("tensor(").rstrip(")")
    try:
        return (float(first), None)
    except ValueError:
        return None

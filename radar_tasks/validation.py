"""What pydantic found wrong, in words for a user."""

from __future__ import annotations

from pydantic import ValidationError


def validation_problems(error: ValidationError) -> list[tuple[str, str]]:
    """Each problem: the field's place (its names with dots between; "" for the whole), and what is wrong with it.

    What a validator of ours raised is told in its own words, without the "Value error, " that pydantic puts before it.
    """
    return [
        (
            ".".join(map(str, problem["loc"])),
            str(problem["ctx"]["error"]) if problem["type"] == "value_error" else problem["msg"],
        )
        for problem in error.errors(include_url=False, include_input=False)
    ]

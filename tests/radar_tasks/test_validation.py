"""What pydantic found, in words: no prefix of its own in anything that this package tells."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator

import radar_tasks
from radar_tasks.validation import validation_problems


class Inner(BaseModel):
    count: int = Field(ge=1)


class Outer(BaseModel):
    inner: list[Inner] = []
    low: int = 0

    @model_validator(mode="after")
    def _order(self):
        if self.low > 9:
            raise ValueError("low is more than 9")
        return self


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"low": 10}, [("", "low is more than 9")]),
        ({"inner": [{"count": 0}]}, [("inner.0.count", "Input should be greater than or equal to 1")]),
        ({"low": "x", "inner": 3}, [
            ("inner", "Input should be a valid list"),
            ("low", "Input should be a valid integer, unable to parse string as an integer"),
        ]),
    ],
)  # fmt: skip
def test_places_and_words(values, expected):
    with pytest.raises(ValidationError) as caught:
        Outer(**values)
    assert validation_problems(caught.value) == expected


def test_every_room_tells_problems_this_way():
    """`errors()` and `msg` of pydantic are read in one place."""
    root = Path(radar_tasks.__file__).parent
    readers = [
        str(file.relative_to(root))
        for file in root.rglob("*.py")
        if re.search(r"\.errors\(|\[['\"]msg['\"]\]", file.read_text(encoding="utf-8"))
    ]
    assert readers == ["validation.py"]

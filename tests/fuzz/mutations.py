"""Ways to spoil input that was good: a value of a JSON document, or bytes of a file."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

HOSTILE = ["", " ", "\0", "../../x", "<|im_end|>", "NaN", "1e999", "\ud7ff\U0001f600", "a" * 3000, "{}", "None", "-1"]

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(HOSTILE), st.text(max_size=8))
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
REMOVED = object()


@st.composite
def spoiled(draw: Any, document: Any) -> Any:
    """The JSON document with one to three of its values replaced or removed."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            return document
        holder, key = draw(st.sampled_from(places))
        new = draw(st.just(REMOVED) | values)
        if new is not REMOVED:
            holder[key] = new
        elif isinstance(holder, dict):
            del holder[key]
        else:
            holder.pop(key)
    return document


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield value, key
            yield from _places(inner)


@st.composite
def damaged(draw: Any, data: bytes) -> bytes:
    """The bytes with some overwritten, inserted or cut off."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(0, len(changed) - 1)))
        kind = draw(st.sampled_from(["overwrite", "insert", "cut", "remove"]))
        if kind == "cut":
            del changed[place:]
        elif kind == "remove":
            del changed[place : place + draw(st.integers(1, 8))]
        else:
            new = draw(st.binary(min_size=1, max_size=6))
            changed[place : place + (len(new) if kind == "overwrite" else 0)] = new
    return bytes(changed)

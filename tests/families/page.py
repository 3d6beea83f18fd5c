"""`docs/families.md`: what was measured of every family, and why the others are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from families.measurement import WAYS, Measured
from families.questions import GROUPS

HEAD = """# Families

Every type of transformers' `MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING`, measured by `make families` with transformers
{transformers} and torch {torch}: a small random checkpoint of each (`tests/tiny_models`), saved and loaded in the
ordinary way in float32, and {count} questions of 3 to 30 words with 2 to 4 options of one to five words, one by one and
in batches of six. Scores are compared with one plain forward pass per option of what the family's own processor makes
of prompt, option and pictures (`tests/families/reference.py`), which shares no code with the engine.

{scored} types are scored: {equal} of them within {limit:g} nats per token of that forward pass by
`scoring=independent`, {shared} within {shared_limit:g} by `scoring=shared`. {refused} are refused when they are loaded,
for the reason given below.

| column | meaning |
| --- | --- |
| independent, shared, auto | largest difference of a mean log-probability; a dash where this way ends in an error |
| `auto` takes | the way that `scoring=auto` ends up with |
| prompt | whether the tokens of prompt and options are the processor's own (differences: `docs/prompts.md`) |
| pictures | 1: one, all of the same size; s: several sizes in a batch; 2: two, at their places in the text; 0: none |
| in memory | largest difference when the model is scored in memory, as the callback does |
| features | runs of the vision part for four questions on one picture (`shared`); a dash where they cannot be counted |
"""

LIMIT, SHARED_LIMIT = 1e-5, 1e-4
SIGNS = dict(zip(GROUPS, "1s20", strict=True))


def faults(measured: Measured) -> list[str]:
    """What is wrong with a family, in words; nothing for one that is scored right or refused."""
    if measured.refused:
        return []
    found = [f"{way}: {error}" for way, error in measured.errors.items() if way != "shared"]
    for way, limit in (("independent", LIMIT), ("shared", SHARED_LIMIT), ("auto", SHARED_LIMIT)):
        difference = measured.differences.get(way)
        if difference is not None and not difference <= limit:
            found.append(f"{way}: differs by {difference:.1e}")
    if measured.pictures is None:
        found.append("no picture is seen")
    if measured.callback is None or not measured.callback <= SHARED_LIMIT:
        found.append(f"in memory: {measured.callback}")
    found += [f"{group}: {text}" for group, text in measured.refused_groups.items() if text.startswith("TRACEBACK")]
    return found


def page(measured: Mapping[str, Measured], count: int, versions: Mapping[str, str], missing: Sequence[str] = ()) -> str:
    """The whole page; `missing` are types that are not measured yet."""
    scored = {family: found for family, found in sorted(measured.items()) if not found.refused}
    refused = {family: found for family, found in sorted(measured.items()) if found.refused}
    lines = [
        HEAD.format(
            count=count,
            scored=len(scored),
            refused=len(refused),
            limit=LIMIT,
            shared_limit=SHARED_LIMIT,
            equal=sum(_within(found, "independent", LIMIT) for found in scored.values()),
            shared=sum(_within(found, "shared", SHARED_LIMIT) for found in scored.values()),
            **versions,
        ),
        "## Scored",
        "",
        "| type | independent | shared | auto | `auto` takes | prompt | pictures | in memory | features |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(family, found) for family, found in scored.items()),
        "",
        "## What does not work",
        "",
        "| type | what | why |",
        "| --- | --- | --- |",
        *(line for family, found in scored.items() for line in _notes(family, found)),
        "",
        "## Refused",
        "",
        "| type | what is said |",
        "| --- | --- |",
        *(f"| {family} | {_cell(found.refused)} |" for family, found in refused.items()),
    ]
    if missing:
        lines += ["", "## Not measured yet", "", f"{', '.join(missing)}: `make families` goes on with them."]
    return "\n".join(lines) + "\n"


def _within(found: Measured, way: str, limit: float) -> bool:
    difference = found.differences.get(way)
    return difference is not None and difference <= limit


def _row(family: str, found: Measured) -> str:
    cells = [family, *(_number(found.differences.get(way)) for way in WAYS), found.auto or "–"]
    cells += ["differs" if found.prompts else "the same", " ".join(SIGNS[group] for group in found.groups)]
    cells += [_number(found.callback), "–" if found.encoded is None else "once" if found.encoded == 1 else "every time"]
    return f"| {' | '.join(cells)} |"


def _notes(family: str, found: Measured) -> list[str]:
    notes = [("shared", found.fallback)] if found.fallback else []
    notes += [(way, error) for way, error in found.errors.items() if not (way == "shared" and found.fallback)]
    notes += [("prompt", found.prompts)] if found.prompts else []
    notes += list(found.refused_groups.items())
    return [f"| {family} | {what} | {_cell(why)} |" for what, why in notes]


def _number(value: float | None) -> str:
    """Rounded up to one digit, so that the page stays the same while nothing changes for the worse."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(value))
    return f"{math.ceil(value / 10**exponent) * 10**exponent:.0e}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")

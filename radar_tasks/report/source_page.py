"""Questions to look at: one HTML page that needs nothing beside itself, pictures inlined."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from PIL import Image, ImageOps

from radar_tasks.pixels import in_8_bits
from radar_tasks.questions import Question
from radar_tasks.report.templates import template
from radar_tasks.store.table import QuestionTable

THUMBNAIL = 320
"""Longest side in pixels on a page of many questions."""


@dataclass(frozen=True)
class _Card:
    """A question as the template takes it; `images` are data addresses."""

    q_id: str
    category: str
    marked: bool
    text: tuple[str, ...]
    images: tuple[str, ...]
    options: tuple[str, ...]
    answer: int
    rule: str


def page(table: QuestionTable, places: Iterable[int]) -> str:
    """A page of the questions at these places, the right option marked. One alone has its pictures in full size."""
    chosen = list(places)
    return template("source_page.html.j2").render(
        source=table.source,
        task=table.manifest.task,
        ability=table.manifest.ability,
        shown=len(chosen),
        count=len(table),
        cards=_cards(table, chosen),
    )


def evenly_spread(count: int, shown: int) -> list[int]:
    """Places of `shown` questions out of `count`, at even distances, so that all categories have a chance."""
    shown = min(count, shown)
    return [place * count // shown for place in range(shown)]


def _cards(table: QuestionTable, places: list[int]) -> Iterator[_Card]:
    longest = THUMBNAIL if len(places) > 1 else None
    for place in places:
        question = table[place]
        yield _Card(
            q_id=question.q_id,
            category=question.category,
            marked=question.images_are_marked,
            text=question.text,
            images=_addresses(question, longest),
            options=question.options,
            answer=question.answer,
            rule=question.rule,
        )


def _addresses(question: Question, longest: int | None) -> tuple[str, ...]:
    return tuple(data_address(image, longest) for image in question.images)


def data_address(data: bytes, longest: int | None) -> str:
    """The picture as PNG or JPEG, which all browsers show, turned as its EXIF says."""
    with Image.open(io.BytesIO(data)) as opened:
        image = in_8_bits(ImageOps.exif_transpose(opened))
    if longest:
        image.thumbnail((longest, longest))
    opaque = image.mode in ("RGB", "CMYK", "YCbCr")
    encoded = io.BytesIO()
    if opaque:
        image.convert("RGB").save(encoded, "JPEG", quality=85)
    else:
        image.convert("RGBA").save(encoded, "PNG")
    kind = "jpeg" if opaque else "png"
    return f"data:image/{kind};base64,{base64.b64encode(encoded.getvalue()).decode()}"

"""Questions to look at: one HTML page that needs nothing beside itself, pictures inlined."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import jinja2
from PIL import Image, ImageOps

from radar_tasks.questions import Question
from radar_tasks.store.table import QuestionTable

THUMBNAIL = 320
"""Longest side in pixels on a page of many questions."""

_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ source }}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
  body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
  main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)); }
  main.one { grid-template-columns: 1fr; }
  article { border: 1px solid #8886; border-radius: .5rem; padding: 1rem; overflow-wrap: anywhere; }
  h2 { font-size: .85rem; font-weight: 600; margin: 0 0 .5rem; }
  img { max-width: 100%; height: auto; vertical-align: middle; background: #fff; }
  .prompt { white-space: pre-wrap; margin: .5rem 0; }
  ol { list-style: none; padding: 0; margin: .5rem 0; }
  li { padding: .1rem .5rem; border-left: .25rem solid #8884; margin: .2rem 0; white-space: pre-wrap; }
  li.answer { border-color: #1a7f37; font-weight: 600; }
  li.answer::after { content: " \\2713"; color: #1a7f37; }
  small { opacity: .75; }
</style>
<h1>{{ source }}</h1>
<p>{{ task }}, {{ ability }}. {{ shown }} of {{ count }} questions. Each option is
scored as the text that follows the prompt.</p>
<main{% if shown == 1 %} class="one"{% endif %}>
{%- for card in cards %}
<article>
  <h2>{{ card.q_id }}{% if card.category %} <small>{{ card.category }}</small>{% endif %}</h2>
  {%- if not card.marked %}
  <div>{% for image in card.images %}<img src="{{ image }}" alt="image {{ loop.index }}"> {% endfor %}</div>
  {%- endif %}
  <div class="prompt">
    {%- for piece in card.text %}{{ piece }}
      {%- if card.marked and not loop.last %}<img src="{{ card.images[loop.index0] }}" alt="image {{ loop.index }}">
      {%- endif %}
    {%- endfor %}</div>
  <ol>{% for option in card.options %}<li{% if loop.index0 == card.answer %} class="answer"{% endif %}>{{ option }}</li>
    {%- endfor %}</ol>
  {%- if card.rule %}
  <small>Distractor: {{ card.rule }}</small>
  {%- endif %}
</article>
{%- endfor %}
</main>
</html>
"""


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
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_TEMPLATE).render(
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
        image = ImageOps.exif_transpose(opened)
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

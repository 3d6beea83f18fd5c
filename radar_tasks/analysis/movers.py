"""The questions that moved most between two runs, as a page: what a model learned, or lost, to look at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jinja2
import numpy as np

from radar_metrics.options import FloatArray
from radar_tasks.analysis.paired_questions import paired, refuse_unless_comparable
from radar_tasks.errors import DataError, ResultsError
from radar_tasks.questions import Question
from radar_tasks.results import CheckpointResult
from radar_tasks.results.metrics import option_probabilities

THUMBNAIL = 420
"""Longest side of a picture in pixels."""


@dataclass(frozen=True)
class Mover:
    """One question in two runs.

    Attributes:
        source, q_id, category: which question.
        prompt: its text as the harness logged it.
        options, answer: the candidate answers and the index of the right one.
        first, second: (M,) probability of each option in both runs.
    """

    source: str
    q_id: str
    category: str
    prompt: str
    options: list[str]
    answer: int
    first: FloatArray
    second: FloatArray

    @property
    def change(self) -> float:
        """Probability of the right option, second run minus first, in [-1, 1]."""
        return float(self.second[self.answer] - self.first[self.answer])


@dataclass(frozen=True)
class _Card:
    """A question as the template takes it."""

    mover: Mover
    text: tuple[str, ...]
    images: tuple[str, ...]
    problem: str


def movers(
    first: CheckpointResult, second: CheckpointResult, count: int, sources: Sequence[str] = ()
) -> tuple[str, list[Mover]]:
    """The metric that was used (`sds`, or `sds_bytes` with a language model) and the questions that moved most.

    Args:
        first, second: comparable runs, see `radar_tasks.analysis.settings`.
        count: how many questions, the largest change in either direction first.
        sources: only these; all that both have without.

    Raises:
        ResultsError: runs that cannot be paired, an unknown source, or questions with other options.
    """
    shared = refuse_unless_comparable(first, second)
    if unknown := [source for source in sources if source not in shared]:
        raise ResultsError(f"both runs have no {', '.join(unknown)}; they have {', '.join(shared)}.")
    chosen = list(sources) or shared
    by_bytes = any(run.sources[source].logprob is None for run in (first, second) for source in chosen)
    found = [mover for source in chosen for mover in _of_source(first, second, source, by_bytes)]
    found.sort(key=lambda mover: (-abs(mover.change), mover.source, mover.q_id))
    metric = (
        "sds" if all(run.sources[s].logprob is not None for run in (first, second) for s in chosen) else "sds_bytes"
    )
    return metric, found[:count]


def page(first: CheckpointResult, second: CheckpointResult, metric: str, found: Sequence[Mover]) -> str:
    """The page, which needs nothing beside itself; pictures come from the store where it has the same data."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.from_string(_TEMPLATE).render(
        first=first.label, second=second.label, metric=metric, cards=list(_cards(second, found))
    )


def _of_source(first: CheckpointResult, second: CheckpointResult, source: str, by_bytes: bool) -> Iterator[Mover]:
    a, b = paired(first.sources[source], second.sources[source])
    if a.options != b.options or not np.array_equal(a.answer, b.answer):
        raise ResultsError(f"{source}: the two runs had other options; their probabilities cannot stand side by side.")
    probabilities = zip(option_probabilities(a, by_bytes), option_probabilities(b, by_bytes), strict=True)
    for i, (p, q) in enumerate(probabilities):
        prompt = b.prompts[i] or a.prompts[i]
        yield Mover(source, str(b.q_id[i]), str(b.category[i]), prompt, b.options[i], int(b.answer[i]), p, q)


def _cards(run: CheckpointResult, found: Sequence[Mover]) -> Iterator[_Card]:
    from radar_tasks.report.source_page import data_address

    stores = {source: _Store(run, source) for source in dict.fromkeys(mover.source for mover in found)}
    for mover in found:
        question, problem = stores[mover.source].question(mover.q_id)
        if question is None:
            yield _Card(mover, (mover.prompt,), (), problem)
            continue
        try:
            images = tuple(data_address(image, THUMBNAIL) for image in question.images)
        except (OSError, ValueError, SyntaxError) as error:  # what PIL raises on damaged files
            yield _Card(mover, question.text, (), f"A picture cannot be decoded: {error}")
            continue
        yield _Card(mover, question.text, images, "")


class _Store:
    """The questions of a source, where the store has those that the run was scored on."""

    def __init__(self, run: CheckpointResult, source: str) -> None:
        from radar_tasks.store import open_source

        self._problem = ""
        try:
            self._table = open_source(source)
        except DataError as error:
            self._problem = f"No picture: {str(error).splitlines()[0]}"
            return
        if self._table.checksum != run.data[source].get("checksum"):
            self._problem = f"No picture: the data of {source} here is not what the run was scored on."

    def question(self, q_id: str) -> tuple[Question | None, str]:
        """The question, or None and why not."""
        if self._problem:
            return None, self._problem
        try:
            return self._table[self._table.index_of(q_id)], ""
        except DataError as error:
            return None, f"No picture: {error}"


_TEMPLATE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ second }} against {{ first }}</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.45 system-ui, sans-serif; }
  body { margin: 2rem auto; max-width: 76rem; padding: 0 1rem; }
  main { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(min(23rem, 100%), 1fr)); }
  article { border: 1px solid #8886; border-radius: .5rem; padding: 1rem; overflow-wrap: anywhere; }
  h2 { font-size: .85rem; font-weight: 600; margin: 0 0 .5rem; display: flex; gap: .5rem; }
  h2 b { margin-left: auto; font-variant-numeric: tabular-nums; }
  .up { color: #1a7f37; } .down { color: #c2410c; }
  img { max-width: 100%; height: auto; vertical-align: middle; background: #fff; }
  .prompt { white-space: pre-wrap; margin: .5rem 0; }
  table { width: 100%; border-collapse: collapse; font-size: .9rem; }
  th { text-align: left; font-weight: 400; opacity: .75; }
  td, th { padding: .15rem .25rem; vertical-align: top; }
  td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
  tr.answer td:first-child { font-weight: 600; } tr.answer td:first-child::after { content: " \\2713"; color: #1a7f37; }
  small { opacity: .75; }
</style>
<h1>{{ second }} against {{ first }}</h1>
<p>The {{ cards|length }} questions whose right answer moved most. Numbers are each option's probability ({{ metric }})
in the first and the second run.</p>
<main>
{%- for card in cards %}{% set mover = card.mover %}
<article>
  <h2>{{ mover.source }} {{ mover.q_id }}{% if mover.category %} <small>{{ mover.category }}</small>{% endif %}
    <b class="{{ 'up' if mover.change > 0 else 'down' }}">{{ "%+.3f"|format(mover.change) }}</b></h2>
  {%- if card.text|length == 1 %}
  <div>{% for image in card.images %}<img src="{{ image }}" alt="image {{ loop.index }}"> {% endfor %}</div>
  {%- endif %}
  <div class="prompt">
    {%- for piece in card.text %}{{ piece }}
      {%- if not loop.last and card.images %}<img src="{{ card.images[loop.index0] }}" alt="image {{ loop.index }}">
      {%- endif %}
    {%- endfor %}</div>
  {%- if card.problem %}
  <small>{{ card.problem }}</small>
  {%- endif %}
  <table><tr><th>option</th><th>first</th><th>second</th></tr>
  {%- for option in mover.options %}
  <tr{% if loop.index0 == mover.answer %} class="answer"{% endif %}><td>{{ option }}</td>
    <td class="number">{{ "%.3f"|format(mover.first[loop.index0]) }}</td>
    <td class="number">{{ "%.3f"|format(mover.second[loop.index0]) }}</td></tr>
  {%- endfor %}
  </table>
</article>
{%- endfor %}
</main>
</html>
"""

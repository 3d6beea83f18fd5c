"""The questions of the page: pictures, options, and their probabilities at every checkpoint, as compact plain values.

Pictures are kept once however many questions show them. Where they or the questions are too many for one file, a
random part is taken, equal over sources, and the page says so.
"""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from radar_metrics.ragged import Ragged
from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.results import CheckpointResult, SourceSamples
from radar_tasks.results.metrics import option_probabilities
from radar_tasks.results.origin import short_names
from radar_tasks.store import OtherVersionError, QuestionTable, open_version

BUDGET = 2_900_000
"""Bytes of text, probabilities and pictures: with the charts' library (0.9 MB) a page stays below 5 MB."""
MAX_QUESTIONS = 4_000
SMALL_IMAGE = 6_000
"""Bytes up to which a picture is kept as it is; a larger one becomes a preview."""
PREVIEW_SIDE = 360


@dataclass
class Gallery:
    """What the page's script reads.

    Attributes:
        runs: `label`, `experiment`, `training` (its short name) and `step` of each run: columns of the probabilities.
        sources: `name`, `ability` of each source.
        images: pictures as data addresses.
        questions: a list each: source (index), q_id, category, text pieces, pictures (indices), options, answer
            (index), per run the options' probabilities in thousandths, or None where the run lacks the question, and
            the prompt as the harness logged it, or None where that is the text.
        prompt_formats: how questions were put, in words of the results.
        total: number of questions that the runs answered.
        notes: what is not shown and why.
    """

    runs: list[dict[str, Any]]
    sources: list[dict[str, str]] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    questions: list[list[Any]] = field(default_factory=list)
    prompt_formats: list[str] = field(default_factory=list)
    total: int = 0
    notes: list[str] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return dict(self.__dict__)


def gallery(runs: Sequence[CheckpointResult], rng: np.random.Generator, budget: int = BUDGET) -> Gallery:
    """The questions that these runs answered, or as many as the budget of bytes holds."""
    short = short_names([run.experiment for run in runs])
    made = Gallery(
        [
            {"label": run.label, "experiment": run.experiment, "training": short[run.experiment], "step": run.step}
            for run in runs
        ]
    )
    formats = [str(run.scoring["prompt_format"]) for run in runs if run.scoring.get("prompt_format")]
    made.prompt_formats.extend(dict.fromkeys(formats))
    names = list(dict.fromkeys(name for run in runs for name in run.sources))
    lacking: dict[str, list[str]] = {}
    shelves = [_Shelf(name, runs, made, lacking) for name in names]
    made.notes.extend(f"{', '.join(sources)}: no pictures, {why}" for why, sources in lacking.items())
    made.total = sum(len(shelf.q_ids) for shelf in shelves)
    pictures = _Pictures(made.images)
    spent = 0
    for shelf, q_id in _in_turns(shelves, rng):
        question, text, images = shelf.question(q_id)
        spent += _size(question, text, len(runs)) + pictures.cost(images)
        if spent > budget or len(made.questions) == MAX_QUESTIONS:
            break
        made.questions.append([*question[:3], text, pictures.places(images), *question[3:]])
    made.questions.sort(key=lambda row: (row[0], row[1]))
    if len(made.questions) < made.total:
        shown = f"{len(made.questions):,} of {made.total:,} questions are shown: a random part, equal over sources."
        made.notes.append(f"{shown} All of them are in the results files.")
    return made


class _Shelf:
    """One source: its samples in every run, and its questions in the store where they are the same version."""

    def __init__(
        self, name: str, runs: Sequence[CheckpointResult], made: Gallery, lacking: dict[str, list[str]]
    ) -> None:
        self.samples = [run.sources.get(name) for run in runs]
        first = next(samples for samples in self.samples if samples is not None)
        self._index = len(made.sources)
        made.sources.append({"name": name, "ability": first.ability})
        # Checkpoints that were asked the same questions share the array of their names, and its index.
        indices = {id(samples.q_id): _places(samples) for samples in self.samples if samples is not None}
        self._places = [{} if samples is None else indices[id(samples.q_id)] for samples in self.samples]
        self._thousandths = [None if samples is None else _thousandths(samples) for samples in self.samples]
        self.q_ids = list(dict.fromkeys(q_id for places in self._places for q_id in places))
        self._table = _table(name, runs, lacking)

    def question(self, q_id: str) -> tuple[list[Any], list[str], tuple[bytes, ...]]:
        """The row without text and pictures, the text, the pictures."""
        held = zip(self.samples, self._places, strict=True)
        samples, place = next((s, places[q_id]) for s, places in held if s is not None and q_id in places)
        stored = self._stored(q_id)
        text = list(stored.text) if stored else [samples.prompts[place]]
        row = [
            self._index,
            q_id,
            str(samples.category[place]),
            samples.options[place],
            int(samples.answer[place]),
            [
                None if numbers is None or q_id not in places else numbers[places[q_id]].tolist()
                for numbers, places in zip(self._thousandths, self._places, strict=True)
            ],
            prompt if (prompt := samples.prompts[place]) != "".join(text) else None,
        ]
        return row, text, stored.images if stored else ()

    def _stored(self, q_id: str) -> Question | None:
        return self._table[self._table.index_of(q_id)] if self._table is not None else None


class _Pictures:
    """Pictures as data addresses, each once."""

    def __init__(self, addresses: list[str]) -> None:
        self._addresses = addresses
        self._place: dict[bytes, int] = {}
        self._preview: dict[bytes, str] = {}

    def cost(self, images: Sequence[bytes]) -> int:
        """Bytes that these would add."""
        fresh = {key: image for image in images if (key := _digest(image)) not in self._place}
        for key, image in fresh.items():
            self._preview[key] = _address(image)
        return sum(len(self._preview[key]) for key in fresh)

    def places(self, images: Sequence[bytes]) -> list[int]:
        """Where they are among the addresses."""
        for key in map(_digest, images):
            if key not in self._place:
                self._place[key] = len(self._addresses)
                self._addresses.append(self._preview.pop(key))
        return [self._place[_digest(image)] for image in images]


def _in_turns(shelves: Sequence[_Shelf], rng: np.random.Generator) -> Iterator[tuple[_Shelf, str]]:
    """Questions in random order, one of each source in turn."""
    orders = [(shelf, [shelf.q_ids[k] for k in rng.permutation(len(shelf.q_ids))]) for shelf in shelves]
    for turn in range(max(len(order) for _, order in orders)):
        yield from ((shelf, order[turn]) for shelf, order in orders if turn < len(order))


def _table(name: str, runs: Sequence[CheckpointResult], lacking: dict[str, list[str]]) -> QuestionTable | None:
    """The source in the store, if it is the version that was scored; else its name goes into `lacking`, with why."""
    checksums = {str(run.data[name].get("checksum")) for run in runs if name in run.data}
    try:
        # Runs on several versions: a picture of one of them would stand beside the numbers of another.
        return open_version(name, checksums.pop() if len(checksums) == 1 else None)
    except OtherVersionError:
        why = "the store has another version of the data than the one that was scored."
    except DataError:
        why = "the data is not here. `radar data` brings it; then make the page again."
    lacking.setdefault(why, []).append(name)
    return None


def _places(samples: SourceSamples) -> dict[str, int]:
    return {q_id: k for k, q_id in enumerate(samples.q_id.tolist())}


def _thousandths(samples: SourceSamples) -> Ragged:
    """Each option's probability in thousandths, as whole numbers."""
    probabilities = option_probabilities(samples, by_bytes=samples.logprob is None)
    return probabilities.with_values(np.rint(1000.0 * probabilities.values).astype(np.int16))


def _size(question: list[Any], text: Sequence[str], runs: int) -> int:
    options, prompt = question[3], question[-1]
    texts = sum(len(part) for part in (*options, *text, prompt or ""))
    return 60 + texts + runs * (3 + 4 * len(options))


def _digest(image: bytes) -> bytes:
    return hashlib.sha256(image).digest()


def _address(image: bytes) -> str:
    kind, data = _preview(image)
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _preview(image: bytes) -> tuple[str, bytes]:
    """A small picture as it is where a browser can show it, else a WebP preview."""
    from PIL import Image, ImageOps

    from radar_tasks.pixels import in_8_bits

    with Image.open(io.BytesIO(image)) as opened:
        kind = (opened.format or "").lower()
        if len(image) <= SMALL_IMAGE and kind in {"png", "jpeg", "webp", "gif"}:
            return kind, image
        picture = in_8_bits(ImageOps.exif_transpose(opened))
        small = picture.convert("RGBA" if "A" in picture.getbands() or "transparency" in picture.info else "RGB")
        small.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
        into = io.BytesIO()
        small.save(into, "WEBP", quality=72)
    return "webp", into.getvalue()

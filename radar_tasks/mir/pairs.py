"""Image-text pairs for MIR: questions of the benchmark with their right answers, or a folder of pictures and texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.store import open_source, sample_names
from radar_tasks.store.document_order import document_order

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


def pairs_of_sources(names: Sequence[str], count: int) -> list[Question]:
    """`count` questions with images, as many of each source as of the others (as far as they go), the same ones always.

    Without names: the embedded sample.

    Raises:
        DataError: a source is not there, or there are fewer questions with images.
    """
    chosen = list(names) or sample_names()
    tables = [open_source(name) for name in chosen]
    queues = []
    for table in tables:
        headers = table.headers()
        queues.append([row for row in document_order(headers) if headers[row]["n_images"]])
    places = sorted((k, source) for source, queue in enumerate(queues) for k in range(len(queue)))[:count]
    if len(places) < count:
        raise DataError(f"{len(places)} questions with images in {', '.join(chosen)}, {count} pairs were requested.")
    return [tables[source][queues[source][k]] for k, source in places]


def pairs_of_folder(folder: Path, count: int) -> list[Question]:
    """The first `count` pictures of a folder by name, each with the text in the file of its name that ends in `.txt`.

    Raises:
        DataError: no such folder, a picture without a text, an empty text, or fewer pictures.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder.")
    pictures = sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURES)
    if len(pictures) < count:
        raise DataError(f"{len(pictures)} pictures in {folder}, {count} pairs were requested.")
    return [_pair(picture) for picture in pictures[:count]]


def _pair(picture: Path) -> Question:
    caption = picture.with_suffix(".txt")
    try:
        text = caption.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{picture} needs its text beside it in {caption.name}: {error}") from None
    if not text:
        raise DataError(f"{caption} is empty: {picture.name} needs a text.")
    # MIR reads the right answer only; a question needs a second option to be one.
    return Question(
        q_id=picture.name,
        text=("",),
        images=(picture.read_bytes(),),
        options=(text, f"not {text}"),
        answer=0,
        ability="perception",
        task="image and text",
        source="folder",
        category="",
        image_id=picture.name,
    )

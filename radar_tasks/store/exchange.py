"""A source as a file of other tools: VLMEvalKit's TSV, or parquet as `datasets` reads it.

Both say all that `radar data import` needs to make the same questions again. What cannot be said so that it is read
back as it was is refused, and not written in another way.
"""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.store.table import QuestionTable
from radar_tasks.store.writer import GROUP_BYTES, GROUP_ROWS

Progress = Callable[[int], None]
"""Called with the number of questions just written."""

_MARK = re.compile(r"<image ?\d*>")

# What pandas, and so VLMEvalKit, takes for a missing value.
_MISSING = {
    *("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A"),
    *("NA", "NULL", "NaN", "None", "n/a", "nan", "null"),
}

_PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("question", pa.string()),
        ("options", pa.list_(pa.string())),
        ("answer", pa.string()),
        ("images", pa.list_(_PICTURE)),
        ("category", pa.string()),
        ("image_id", pa.string()),
        ("rule", pa.string()),
    ]
)


def write_vlmevalkit(table: QuestionTable, path: Path, progress: Progress) -> None:
    """Write a source as VLMEvalKit keeps one: a row per question, an option a column, pictures in base64.

    Raises:
        DataError: a question cannot be written so that it is read back as it is; or the file cannot be written.
    """
    most = max(len(header["options"]) for header in table.headers())
    if most > 26:
        raise DataError(f"{table.source}: {most} options; VLMEvalKit's table has a letter for 26")
    letters = [chr(ord("A") + k) for k in range(most)]
    with _file_of(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(["index", "image", "question", *letters, "answer", "category", "image_id", "rule"])
        for question in table:
            rest = _rest(question)
            for text in (question.q_id, _text(question), *question.options, *filter(None, rest)):
                if text in _MISSING:
                    raise _refused(question, f"the text {text!r} is a missing value to pandas, and so to VLMEvalKit")
            pictures = [base64.b64encode(image).decode() for image in question.images]
            writer.writerow(
                [
                    question.q_id,
                    json.dumps(pictures) if len(pictures) > 1 else "".join(pictures),
                    _text(question),
                    *question.options,
                    *[""] * (most - len(question.options)),
                    letters[question.answer],
                    *rest,
                ]
            )
            progress(1)


def write_parquet(table: QuestionTable, path: Path, progress: Progress) -> None:
    """Write a source as parquet that `datasets` reads, its pictures as `Image` features.

    Raises:
        DataError: as `write_vlmevalkit`.
    """
    if any(len(header["options"]) > 26 for header in table.headers()):
        raise DataError(f"{table.source}: a question has more options than there are letters for its answer")
    features = {"images": {"feature": {"_type": "Image"}, "_type": "List"}}
    features |= {name: {"dtype": "string", "_type": "Value"} for name in _SCHEMA.names if name not in features}
    features["options"] = {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"}
    ordered = {"info": {"features": {name: features[name] for name in _SCHEMA.names}}}
    schema = _SCHEMA.with_metadata({"huggingface": json.dumps(ordered)})
    # Without dictionaries: Arrow would put every picture of a row group into one.
    with _file_of(path) as partial, pq.ParquetWriter(partial, schema, use_dictionary=False) as writer:
        rows: list[dict[str, Any]] = []
        size = 0
        for question in table:
            category, image_id, rule = _rest(question)
            rows.append(
                {
                    "id": question.q_id,
                    "question": _text(question),
                    "options": list(question.options),
                    "answer": chr(ord("A") + question.answer),
                    "images": [{"bytes": image, "path": None} for image in question.images],
                    "category": category,
                    "image_id": image_id,
                    "rule": rule,
                }
            )
            size += sum(map(len, question.images))
            if len(rows) == GROUP_ROWS or size > GROUP_BYTES:
                writer.write_table(pa.Table.from_pylist(rows, schema))
                rows, size = [], 0
            progress(1)
        if rows:
            writer.write_table(pa.Table.from_pylist(rows, schema))


def _text(question: Question) -> str:
    """The prompt as one text, with `<image 1>`, `<image 2>`, ... where pictures stand in it."""
    marked = [*question.text[:1]]
    for k, piece in enumerate(question.text[1:], 1):
        marked += [f"<image {k}>", piece]
    text = "".join(marked)
    marks = sum(len(_MARK.findall(piece)) for piece in (text, *question.options))
    if marks != len(question.text) - 1 or any(map(_MARK.search, question.text)):
        raise _refused(question, "a text holds what would be read as the mark of an image, like <image 1>")
    if not text.strip():
        raise _refused(question, "it has no text beside its pictures")
    return text


def _rest(question: Question) -> tuple[str, str, str]:
    if "\0" in "".join((*question.text, *question.options, question.q_id, question.category, question.image_id)):
        raise _refused(question, "a text holds a null byte")
    if not question.q_id.strip() or not question.image_id.strip():
        raise _refused(question, "its q_id or image_id is blank")
    if any(text and not text.strip() for text in (question.category, question.rule)):
        raise _refused(question, "its category or rule is blank")
    return question.category, question.image_id, question.rule


def _refused(question: Question, why: str) -> DataError:
    return DataError(f"question {question.q_id!r} of {question.source!r} cannot be exported: {why}")


@contextmanager
def _file_of(path: Path) -> Iterator[Path]:
    """A file beside `path` that takes its place when all has been written, and is removed where that fails."""
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        partial.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)

"""A samples file as columns: what was asked (texts, answers, counts) and what the model said (scores of the options).

A file is read by Arrow's JSON reader and checked in whole columns. Whatever is out of order there is read again line by
line by the pydantic shapes, which say what is wrong and in which line, or accept what is only written unusually (a
count as `1.0`). So the quick way only has to be as strict as the slow one, and every message comes from one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pyarrow import json as arrow_json
from pydantic import ValidationError

from radar_metrics.likelihood import ROUNDING
from radar_metrics.ragged import FloatArray, IntArray, Ragged
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Ability
from radar_tasks.results.model import LOGPROBS, SCORES, SourceSamples
from radar_tasks.results.schema import SCORE_TOLERANCE, Record, SamplesLine, first_problem
from radar_tasks.suite import Suite

COUNTS = ("tokens", "bytes")

_RECORD = pa.struct(
    [
        *((name, pa.string()) for name in ("q_id", "image_id", "category")),
        ("options", pa.list_(pa.string())),
        ("answer", pa.int64()),
        *((name, pa.list_(pa.float64())) for name in SCORES),
        *((name, pa.list_(pa.int64())) for name in COUNTS),
        ("score", pa.float64()),
    ]
)
_FIRST_ARGUMENT = pa.struct([("gen_args_0", pa.struct([("arg_0", pa.string())]))])
_LINE = pa.schema([("sds", _RECORD), ("sds_bytes", _RECORD), ("input", pa.string()), ("arguments", _FIRST_ARGUMENT)])
_BLOCK = 1 << 24
"""Bytes that Arrow parses at once; a line must fit."""


@dataclass(frozen=True)
class Asked:
    """What was asked: the same for all checkpoints of a training, and then held once.

    Attributes: as those of `radar_tasks.results.SourceSamples`.
    """

    q_id: NDArray[np.str_]
    image_id: NDArray[np.str_]
    category: NDArray[np.str_]
    answer: IntArray
    options: list[list[str]]
    prompts: list[str]
    bytes: Ragged
    tokens: Ragged | None

    @classmethod
    def of(cls, table: pa.Table) -> Asked:
        """From a table of the columns `q_id`, `image_id`, `category`, `answer`, `options`, `prompt`, `bytes`, `tokens`.

        Raises:
            MetricError: counts that do not fit the options.
        """
        offsets = offsets_of(table["options"])
        return cls(
            q_id=_texts(table["q_id"]),
            image_id=_texts(table["image_id"]),
            category=_texts(table["category"]),
            answer=np.asarray(table["answer"]).astype(np.int64),
            options=table["options"].to_pylist(),
            prompts=table["prompt"].to_pylist(),
            bytes=Ragged(flat(table["bytes"]), offsets),
            tokens=Ragged(flat(table["tokens"]), offsets) if "tokens" in table.column_names else None,
        )

    def scored(
        self,
        scores: Mapping[str, Ragged],
        *,
        source: str,
        ability: Ability,
        task: str,
        leaf: str,
        by_category: bool,
        suite: Suite | None,
    ) -> SourceSamples:
        """The questions with what a checkpoint said of them (a name of `SCORES` each) and the source they belong to."""
        return SourceSamples(
            source=source,
            ability=ability,
            task=task,
            leaf=leaf,
            by_category=by_category,
            q_id=self.q_id,
            image_id=self.image_id,
            category=self.category,
            answer=self.answer,
            options=self.options,
            prompts=self.prompts,
            bytes=self.bytes,
            tokens=self.tokens,
            logprob=scores.get("logprob"),
            logprob_sum=scores.get("logprob_sum"),
            logit=scores.get("logit"),
            logprob_blind=scores.get("logprob_blind"),
            logit_blind=scores.get("logit_blind"),
            suite=suite,
        )


@dataclass(frozen=True)
class SamplesTable:
    """The columns of one samples file, by q_id.

    Attributes:
        asked: a row per question, see `Asked.of`.
        scores: a row per option, question after question; float64 columns, those of `SCORES` that the file has.
    """

    asked: pa.Table
    scores: pa.Table


def parse(data: bytes, file: Path) -> SamplesTable:
    """The columns of a samples file.

    Args:
        data: its content.
        file: its name, for messages.

    Raises:
        ResultsError: the file is empty, a line is damaged or breaks a rule; names the line.
    """
    quick = _quickly(data)
    if quick is None:
        quick = _line_by_line(data, file)
    return _table(*quick, file)


def table_of(records: Iterable[dict[str, Any]], file: Path) -> SamplesTable:
    """The same from the records of a run that has no file yet; raises pydantic's ValidationError for a bad one."""
    made = [Record.model_validate(record) for record in records]
    return _table(_as_struct(made), pa.array([""] * len(made), pa.string()), file)


def _quickly(data: bytes) -> tuple[pa.StructArray, pa.StringArray] | None:
    """Records and prompts, or None where anything is not as it should be."""
    try:
        if _has_null_line(data):
            return None
        data.decode("utf-8")
        parsed = arrow_json.read_json(
            pa.BufferReader(data),
            read_options=arrow_json.ReadOptions(block_size=_BLOCK),
            parse_options=arrow_json.ParseOptions(explicit_schema=_LINE, unexpected_field_behavior="ignore"),
        ).combine_chunks()
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    in_mean = parsed["sds"].null_count == 0
    context = parsed["arguments"].null_count
    if (
        parsed.num_rows != lines
        or b"\n\n" in data
        or not (in_mean or parsed["sds_bytes"].null_count == 0)  # lines of both kinds, or of none
        or context not in (0, lines)
    ):
        return None
    record = parsed["sds" if in_mean else "sds_bytes"].chunk(0)
    prompts = parsed["input"] if context else pc.struct_field(parsed["arguments"], [0, 0])
    return (record, pc.fill_null(prompts.chunk(0), "")) if _sound(record, in_mean) else None


def _has_null_line(data: bytes) -> bool:
    """Whether a `null` may stand in place of an object, on which pyarrow 26 ends the process.

    It stands behind a line feed or an object's end; `}null` within a text is taken for one, too, which does no harm.
    """
    for found in re.finditer(rb"null", data):
        before = data[max(0, found.start() - 32) : found.start()].rstrip(b" \t\r")
        if not before or before[-1:] in (b"}", b"\n"):
            return True
    return False


def _sound(record: pa.StructArray, in_mean: bool) -> bool:
    """Whether the records keep every rule of `radar_tasks.results.schema.Record`."""
    columns = {name: record.field(name) for name in (field.name for field in _RECORD)}
    held = {name: columns[name] for name in (*SCORES, "tokens") if columns[name].null_count < len(record)}
    offsets = sound_questions(columns)
    if offsets is None or not ("logprob" in held or "logprob_sum" in held):
        return False
    ragged = {name: sound_numbers(name, column, offsets) for name, column in held.items()}
    answer = np.asarray(columns["answer"])
    scores = {name: column for name, column in ragged.items() if column is not None}
    return len(scores) == len(held) and _scores_agree(record, scores, answer, in_mean)


def sound_questions(columns: Mapping[str, pa.Array | pa.ChunkedArray]) -> IntArray | None:
    """(N+1,) offsets of the options where what was asked keeps the rules, None where it does not.

    Args:
        columns: `q_id`, `image_id`, `category`, `options`, `answer`, `bytes` of the types of a samples line.
    """
    needed = ("q_id", "image_id", "category", "options", "answer", "bytes")
    if any(columns[name].null_count for name in needed) or len(columns["q_id"].unique()) < len(columns["q_id"]):
        return None
    offsets = offsets_of(columns["options"])
    counts, answer = np.diff(offsets), np.asarray(columns["answer"])
    sound = (
        len(counts) > 0
        and counts.min() >= 2
        and pc.list_flatten(columns["options"]).null_count == 0
        and bool(((answer >= 0) & (answer < counts)).all())
        and sound_numbers("bytes", columns["bytes"], offsets) is not None
    )
    return offsets if sound else None


def sound_numbers(name: str, column: pa.Array | pa.ChunkedArray, offsets: IntArray) -> Ragged | None:
    """A column of numbers of options where they keep the rules: one per option, finite, counts above 0, and
    log-probabilities not."""
    if column.null_count or not np.array_equal(offsets_of(column), offsets) or pc.list_flatten(column).null_count:
        return None
    values = flat(column)
    if name in COUNTS:
        sound = bool((values > 0).all())
    else:
        sound = bool(np.isfinite(values).all() and (name not in LOGPROBS or (values <= ROUNDING).all()))
    return Ragged(values, offsets) if sound else None


def _scores_agree(record: pa.StructArray, ragged: Mapping[str, Ragged], answer: IntArray, in_mean: bool) -> bool:
    printed = record.field("score").to_numpy(zero_copy_only=False)  # NaN where there is none
    said = ragged.get("logprob" if in_mean else "logprob_sum")
    if said is None:
        return True
    if not in_mean:
        said = said.with_values(said.values / flat(record.field("bytes")))
    return not (np.abs(printed - answer_probability(said, answer)) > SCORE_TOLERANCE).any()


def _line_by_line(data: bytes, file: Path) -> tuple[pa.StructArray, pa.StringArray]:
    records: list[Record] = []
    prompts: list[str] = []
    seen: set[str] = set()
    for number, line in enumerate(_lines(data), 1):
        record, prompt = _read_line(line, f"{file}, line {number}")
        if record.q_id in seen:
            raise ResultsError(f"{file}, line {number}: question {record.q_id!r} comes twice.")
        seen.add(record.q_id)
        records.append(record)
        prompts.append(prompt)
    return _as_struct(records), pa.array(prompts, pa.string())


def _lines(data: bytes) -> list[bytes]:
    """Lines that end with a line feed; a carriage return alone does not end one."""
    *whole, last = data.split(b"\n")
    return [line + b"\n" for line in whole] + ([last] if last else [])


def _read_line(line: bytes, where: str) -> tuple[Record, str]:
    try:
        parsed = SamplesLine.model_validate_json(line)
    except ValidationError as error:
        cut = "" if line.endswith(b"\n") else " (the file ends here: was it cut short?)"
        raise ResultsError(f"{where}{cut}: {first_problem(error)}") from None
    if parsed.record is None:
        raise ResultsError(f"{where}: there is no `sds` record; the line was not written by a RADAR task.")
    return parsed.record, parsed.prompt


def _as_struct(records: Sequence[Record]) -> pa.StructArray:
    return pa.array([record.model_dump() for record in records], _RECORD)


def _table(record: pa.StructArray, prompts: pa.StringArray, file: Path) -> SamplesTable:
    if len(record) == 0:
        raise ResultsError(f"{file} is empty.")
    order = pc.sort_indices(record.field("q_id"))
    record, prompts = record.take(order), prompts.take(order)
    names = ("q_id", "image_id", "category", "answer", "options")
    asked = {name: record.field(name) for name in names} | {"prompt": prompts, "bytes": record.field("bytes")}
    if _held(record, "tokens", file):
        asked["tokens"] = record.field("tokens")
    scores = {name: flat(record.field(name)) for name in SCORES if _held(record, name, file)}
    return SamplesTable(pa.table(asked), pa.table(_with_sum(scores, asked)))


def _with_sum(scores: dict[str, FloatArray], asked: dict[str, Any]) -> dict[str, FloatArray]:
    """The sums follow from means and counts where the file does not give them."""
    if "logprob_sum" not in scores and "logprob" in scores and "tokens" in asked:
        scores["logprob_sum"] = scores["logprob"] * flat(asked["tokens"])
    return scores


def _held(record: pa.StructArray, name: str, file: Path) -> bool:
    """Whether every question has a column; ResultsError where only some have."""
    column = record.field(name)
    if 0 < column.null_count < len(column):
        first = record.field("q_id")[pc.index(column.is_null(), True).as_py()].as_py()
        raise ResultsError(
            f"{file}: {name} is missing for {column.null_count} of {len(column)} questions, e.g. {first!r}."
        )
    return bool(column.null_count == 0)


def _texts(column: pa.ChunkedArray) -> NDArray[np.str_]:
    return np.array(column.to_pylist(), dtype=np.str_)


def offsets_of(column: pa.ListArray | pa.ChunkedArray) -> IntArray:
    """(N+1,) where each list of a column without nulls begins."""
    offsets = np.zeros(len(column) + 1, dtype=np.int64)
    np.cumsum(np.asarray(pc.list_value_length(column)), out=offsets[1:])
    return offsets


def flat(column: pa.ListArray | pa.ChunkedArray) -> NDArray[Any]:
    """The numbers of all lists of a column, one after the other."""
    return np.asarray(pc.list_flatten(column))

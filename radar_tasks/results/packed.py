"""A packed file: the results of one or more trainings in one parquet file, to publish, attach or commit.

A row is a question, with its texts and counts; each checkpoint adds a column for each score that it has, a list of one
number an option. Questions that several checkpoints were asked stand there once. Questions asked alike are a row group
("block"), so that a checkpoint that was asked others, or fewer, has a block of its own and leaves the rest empty. What
is said of checkpoints (settings, data, printed numbers) is JSON in the file's metadata. Everything that `analyze`,
`compare`, `report`, `export`, `leaderboard` and `samples` read is there, and no path of the machine it was made on.

Scores are float32, which a model's are. A column in which rounding would change which option is best, or a probability
by 1e-6, is kept as float64.

The file may come from anybody: shapes, types, ranges and checksums are looked at before a number is used.
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat, ValidationError

from radar_metrics.discrimination import rank_credit
from radar_metrics.ragged import Ragged
from radar_metrics.soft_discrimination import answer_probability
from radar_tasks.errors import ResultsError
from radar_tasks.files import write_whole
from radar_tasks.questions import Ability
from radar_tasks.results.model import SCORES, CheckpointResult, SourceSamples
from radar_tasks.results.origin import named
from radar_tasks.results.samples_file import Asked, sound_numbers, sound_questions
from radar_tasks.results.schema import first_problem
from radar_tasks.run_arguments import limit_of
from radar_tasks.suite import Suite

_ABOUT, _CHECKSUM = b"radar.results.zlib", b"radar.results.sha256"
_ABOUT_PLAIN = b"radar.results"
"""The same uncompressed, as earlier versions wrote it."""
_MAX_QUESTIONS = 10_000_000
_MAX_ABOUT = 256 << 20
"""Bytes of metadata: 100 checkpoints of M3-Bench take 2 MB."""

_NOTICEABLE = 1e-6
"""A probability that rounding changes by more is kept in full."""

_ASKED = pa.schema(
    [
        *((name, pa.string()) for name in ("source", "q_id", "image_id", "category")),
        ("options", pa.list_(pa.string())),
        ("answer", pa.int32()),
        ("prompt", pa.string()),
        ("bytes", pa.list_(pa.int32())),
        ("tokens", pa.list_(pa.int32())),
    ]
)


class PackedSource(BaseModel):
    """A source at a checkpoint: which block its questions are, and which scores it has."""

    source: Annotated[str, Field(min_length=1)]
    ability: Ability
    task: str
    leaf: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    by_category: bool
    block: Annotated[int, Field(ge=0)]
    scores: Annotated[
        list[Literal["logprob", "logprob_sum", "logit", "logprob_blind", "logit_blind"]], Field(min_length=1)
    ]


class PackedCheckpoint(BaseModel):
    """What is said of a checkpoint, see `radar_tasks.results.CheckpointResult`."""

    name: Annotated[str, Field(min_length=1)]
    experiment: Annotated[str, Field(min_length=1)]
    step: Annotated[int, Field(ge=0)] | None
    date: str
    written: FiniteFloat
    harness: Literal["lmms-eval", "lm-eval"]
    harness_version: str
    limit: FiniteFloat | None
    data: dict[str, dict[str, Any]]
    scoring: dict[str, Any]
    metrics: dict[str, dict[str, tuple[FiniteFloat, FiniteFloat | None]]]
    sources: Annotated[list[PackedSource], Field(min_length=1)]


class PackedAbout(BaseModel):
    """The metadata of a packed file."""

    version: Literal[1] = 1
    blocks: Annotated[list[Annotated[int, Field(gt=0, le=_MAX_QUESTIONS)]], Field(min_length=1)]
    checkpoints: Annotated[list[PackedCheckpoint], Field(min_length=1)]


def pack(results: Sequence[CheckpointResult], file: Path) -> None:
    """Writes results into one file, whole or not at all.

    Args:
        results: from `radar_tasks.results.find_runs`.
        file: its name ends with `.parquet`.

    Raises:
        RadarError: another ending, nothing to pack, or the file cannot be written.
    """
    if file.suffix != ".parquet":
        raise ResultsError(f"{file}: the name of a packed file ends with .parquet, by which commands recognise it.")
    if not results:
        raise ResultsError("there are no results to pack.")
    blocks: dict[int, _Block] = {}
    for result in results:
        for samples in result.sources.values():
            # Checkpoints that were asked the same hold the same lists (see `ColumnCache`).
            block = blocks.setdefault(id(samples.options), _Block(len(blocks), samples))
            block.members[id(result)] = samples
    about = PackedAbout(
        blocks=[len(block.asked) for block in blocks.values()],
        checkpoints=[_packed_checkpoint(result, blocks) for result in results],
    )
    text = about.model_dump_json().encode()  # much the same for every checkpoint: a tenth of it is left
    columns = {
        _column(k, result.name, name): (result, name)
        for k, result in enumerate(results)
        for name in SCORES
        if any(is_given(samples, name) for samples in result.sources.values())
    }
    kinds = {column: pa.list_(_kind(*of)) for column, of in columns.items()}
    metadata = {_ABOUT: zlib.compress(text, 9), _CHECKSUM: hashlib.sha256(text).hexdigest()}
    schema = pa.schema([*_ASKED, *kinds.items()])
    into = io.BytesIO()
    with pq.ParquetWriter(
        into,
        schema,
        compression="zstd",
        compression_level=9,
        use_dictionary=["source", "category"],
        use_byte_stream_split=[f"{column}.list.element" for column in columns],
        write_statistics=False,
        write_page_checksum=True,
        store_schema=False,  # it would hold the metadata a second time
    ) as writer:
        writer.add_key_value_metadata(metadata)
        for block in blocks.values():
            writer.write_table(block.table(schema, columns), row_group_size=len(block.asked))
    write_whole(file, into.getvalue())


def read_packed(file: Path) -> list[CheckpointResult]:
    """The results in a packed file.

    Raises:
        ResultsError: not a parquet file, not written by `pack`, damaged, or breaking a rule that samples keep.
    """
    if not file.is_file():
        raise ResultsError(f"{file} is {'a folder' if file.is_dir() else 'not there'}: a packed file is needed.")
    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            about = _about(opened, file)
            return _results(opened, about, file)
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
        raise ResultsError(f"{file} cannot be read as packed results, it is damaged or cut short: {error}") from None


@dataclass
class _Block:
    """Questions asked alike, and what checkpoints said of them."""

    place: int
    asked: SourceSamples

    def __post_init__(self) -> None:
        self.members: dict[int, SourceSamples] = {}
        """By identity of the result."""

    def table(self, schema: pa.Schema, columns: Mapping[str, tuple[CheckpointResult, str]]) -> pa.Table:
        asked, n = self.asked, len(self.asked)
        made = {
            "source": pa.array([asked.source] * n, pa.string()),
            **{name: pa.array(getattr(asked, name), pa.string()) for name in ("q_id", "image_id", "category")},
            "options": pa.array(asked.options, _ASKED.field("options").type),
            "answer": pa.array(asked.answer, pa.int32()),
            "prompt": pa.array(asked.prompts, pa.string()),
            "bytes": _lists(asked.bytes, _ASKED.field("bytes").type),
            "tokens": _lists(asked.tokens, _ASKED.field("tokens").type, n),
        }
        for column, (result, name) in columns.items():
            samples = self.members.get(id(result))
            given = getattr(samples, name) if samples is not None and is_given(samples, name) else None
            made[column] = _lists(given, schema.field(column).type, n)
        return pa.table(made, schema=schema)


def _lists(column: Ragged | None, kind: pa.ListType, questions: int = 0) -> pa.Array:
    if column is None:
        return pa.nulls(questions, kind)
    values = pa.array(column.values.astype(kind.value_type.to_pandas_dtype()), kind.value_type)
    return pa.ListArray.from_arrays(pa.array(column.offsets, pa.int32()), values, type=kind)


def _packed_checkpoint(result: CheckpointResult, blocks: Mapping[int, _Block]) -> PackedCheckpoint:
    return PackedCheckpoint(
        **{name: getattr(result, name) for name in ("name", "experiment", "step", "date", "written")},
        harness=result.harness,
        harness_version=result.harness_version,
        limit=limit_of(result.config),
        data=named(result.data),
        scoring=named(result.scoring),
        metrics=result.metrics,
        sources=[
            PackedSource(
                source=samples.source,
                ability=samples.ability,
                task=samples.task,
                leaf=samples.leaf,
                by_category=samples.by_category,
                block=blocks[id(samples.options)].place,
                scores=[name for name in SCORES if is_given(samples, name)],
            )
            for samples in result.sources.values()
        ],
    )


def _column(k: int, checkpoint: str, score: str) -> str:
    return f"{k} {checkpoint} {score}"


def is_given(samples: SourceSamples, score: str) -> bool:
    """Whether a score is there and does not follow from others: sums do from means and numbers of tokens."""
    if score == "logprob_sum" and samples.logprob is not None and samples.tokens is not None:
        return False
    return getattr(samples, score) is not None


def _kind(result: CheckpointResult, score: str) -> pa.DataType:
    """float32, or float64 where rounding would show in a metric."""
    given = [samples for samples in result.sources.values() if is_given(samples, score)]
    return pa.float64() if any(_shows(samples, score) for samples in given) else pa.float32()


def _shows(samples: SourceSamples, score: str) -> bool:
    """Whether the metrics of one question would be others with a score rounded to float32."""
    exact: Ragged = getattr(samples, score)
    with np.errstate(over="ignore"):
        rounded = exact.with_values(exact.values.astype(np.float32).astype(np.float64))
    if not np.isfinite(rounded.values).all():
        return True
    scales: list[NDArray[Any]] = [np.ones(len(exact.values)), 1.0 / samples.bytes.values]
    if samples.tokens is not None and score == "logprob":
        scales += [samples.tokens.values * 1.0, samples.tokens.values / samples.bytes.values]
    for scale in scales:
        first, second = (scores.with_values(scores.values * scale) for scores in (exact, rounded))
        if not np.array_equal(rank_credit(first, samples.answer), rank_credit(second, samples.answer)):
            return True
        change = answer_probability(first, samples.answer) - answer_probability(second, samples.answer)
        if np.abs(change).max() > _NOTICEABLE:
            return True
    return False


def _about(opened: pq.ParquetFile, file: Path) -> PackedAbout:
    metadata = opened.metadata.metadata or {}
    text = _inflated(metadata[_ABOUT], file) if _ABOUT in metadata else metadata.get(_ABOUT_PLAIN)
    if text is None:
        raise ResultsError(f"{file} is a parquet file, but was not written by `radar results pack`.")
    if len(text) > _MAX_ABOUT or hashlib.sha256(text).hexdigest().encode() != metadata.get(_CHECKSUM):
        raise ResultsError(f"{file} is damaged: its description of the checkpoints has been changed.")
    try:
        about = PackedAbout.model_validate_json(text)
    except ValidationError as error:
        raise ResultsError(f"{file} is not as `radar results pack` writes it: {first_problem(error)}") from None
    rows = [opened.metadata.row_group(k).num_rows for k in range(opened.metadata.num_row_groups)]
    if rows != about.blocks or sum(rows) > _MAX_QUESTIONS:
        raise ResultsError(f"{file} is damaged: it holds {rows} questions and says {about.blocks}.")
    return about


def _inflated(data: bytes, file: Path) -> bytes:
    """The text that `pack` compressed; no more of it than a sound file has, whoever made this one."""
    try:
        return zlib.decompressobj().decompress(data, _MAX_ABOUT + 1)
    except zlib.error as error:
        raise ResultsError(f"{file} is damaged: its description of the checkpoints cannot be read: {error}.") from None


def _results(opened: pq.ParquetFile, about: PackedAbout, file: Path) -> list[CheckpointResult]:
    sources: list[dict[str, SourceSamples]] = [{} for _ in about.checkpoints]
    columns = {k: {score: _column(k, of.name, score) for score in SCORES} for k, of in enumerate(about.checkpoints)}
    _require_types(opened.schema_arrow, about, columns, file)
    for block in range(len(about.blocks)):
        members = [
            (k, source) for k, of in enumerate(about.checkpoints) for source in of.sources if source.block == block
        ]
        wanted = [columns[k][score] for k, source in members for score in source.scores]
        table = opened.read_row_group(block, columns=[*_ASKED.names, *wanted], use_threads=False)
        table.validate(full=True)
        asked = _asked(table, file)
        for k, source in members:
            where = f"{file}, {about.checkpoints[k].name}, {source.source}"
            if table["source"].unique().to_pylist() != [source.source] or source.source in sources[k]:
                raise ResultsError(f"{where}: the questions are not this source's, or come twice.")
            scores: dict[str, Ragged] = {
                score: _numbers(table[columns[k][score]], score, asked, where) for score in source.scores
            }
            sources[k][source.source] = _samples(
                source, asked, scores, _suite(about.checkpoints[k].data[source.source], where), where
            )
    return [
        CheckpointResult(
            name=of.name,
            experiment=of.experiment,
            step=of.step,
            file=file / f"{k}-{of.name}",
            date=of.date,
            harness=of.harness,
            config={"limit": of.limit},
            data=of.data,
            scoring=of.scoring,
            sources={source.source: sources[k][source.source] for source in of.sources},
            metrics=of.metrics,
            harness_version=of.harness_version,
            path=of.experiment,
            written=of.written,
        )
        for k, of in enumerate(about.checkpoints)
    ]


def _suite(data: Mapping[str, Any], where: str) -> Suite | None:
    """The suite that a source was part of, as its data say."""
    try:
        return None if data.get("suite") is None else Suite.model_validate(data["suite"])
    except ValidationError as error:
        raise ResultsError(f"{where}, suite: {first_problem(error)}") from None


def _require_types(schema: pa.Schema, about: PackedAbout, columns: Mapping[int, Mapping[str, str]], file: Path) -> None:
    """ResultsError unless every column that is to be read is there, with a type that `pack` writes."""
    for field in _ASKED:
        if field.name not in schema.names or schema.field(field.name).type != field.type:
            raise ResultsError(f"{file} is damaged: its column {field.name!r} is missing or not of type {field.type}.")
    for k, of in enumerate(about.checkpoints):
        for source in of.sources:
            if source.block >= len(about.blocks) or source.source not in of.data:
                raise ResultsError(f"{file} is damaged: {of.name} has no questions or no data of {source.source}.")
            for score in source.scores:
                name = columns[k][score]
                kinds = (pa.list_(pa.float32()), pa.list_(pa.float64()))
                if name not in schema.names or schema.field(name).type not in kinds:
                    raise ResultsError(
                        f"{file} is damaged: its column {name!r} is missing or holds no lists of floats."
                    )


def _asked(table: pa.Table, file: Path) -> Asked:
    columns = {name: table[name] for name in _ASKED.names}
    offsets = sound_questions(columns)
    counted = columns["tokens"].null_count == 0
    if (
        offsets is None
        or columns["prompt"].null_count
        or (counted and sound_numbers("tokens", columns["tokens"], offsets) is None)
        or (not counted and columns["tokens"].null_count < len(table))
    ):
        raise ResultsError(
            f"{file} is damaged: questions that come twice or have fewer than two options, an answer that is "
            "none of the options, or counts that do not fit them."
        )
    return Asked.of(table if counted else table.drop_columns(["tokens"]))


def _numbers(column: pa.ChunkedArray, score: str, asked: Asked, where: str) -> Ragged:
    numbers = sound_numbers(score, column, asked.bytes.offsets)
    if numbers is None:
        raise ResultsError(f"{where}: {score} is not one finite number per option, or a log-probability is above 0.")
    return Ragged(numbers.values, asked.bytes.offsets)


def _samples(
    source: PackedSource, asked: Asked, scores: Mapping[str, Ragged], suite: Suite | None, where: str
) -> SourceSamples:
    mean, total = scores.get("logprob"), scores.get("logprob_sum")
    if total is None and mean is not None and asked.tokens is not None:
        total = mean.with_values(mean.values.astype(np.float64) * asked.tokens.values)
    if mean is None and total is None:
        raise ResultsError(f"{where}: neither logprob nor logprob_sum.")
    return asked.scored(
        {**scores, **({} if total is None else {"logprob_sum": total})},
        source=source.source,
        ability=source.ability,
        task=source.task,
        leaf=source.leaf,
        by_category=source.by_category,
        suite=suite,
    )

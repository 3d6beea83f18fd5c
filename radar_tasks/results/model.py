"""What was said about questions: by one checkpoint about one source, about all sources, and over one training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from radar_metrics.options import FloatArray, IntArray
from radar_tasks.questions import Ability


@dataclass(frozen=True)
class SourceSamples:
    """What one run said about the questions of one source, in the order of their q_id.

    Scores are one array (M_i,) a question, in option order. A stock model gives no `logit` and perhaps no `tokens`;
    lm-eval gives sums over an option's tokens and neither their number nor a mean.

    Attributes:
        source, ability, task: the source and the benchmark's task it belongs to.
        leaf: the harness's name of the task, e.g. `radar_mmbench`.
        by_category: whether the headline is the mean over categories (MMBench, MMMU-Pro).
        q_id, image_id, category: (N,) texts.
        answer: (N,) index of the right option.
        logprob: mean log-probability a token of each option, nats, or None.
        logprob_sum: summed log-probability of each option, nats, or None.
        logit: mean raw logit a token of each option, or None.
        tokens: number of tokens of each option, or None.
        bytes: UTF-8 length of each option.
        options: the candidate answers.
        prompts: the prompt text as the harness logged it.
    """

    source: str
    ability: Ability
    task: str
    leaf: str
    by_category: bool
    q_id: np.ndarray
    image_id: np.ndarray
    category: np.ndarray
    answer: IntArray
    logprob: list[FloatArray] | None
    logprob_sum: list[FloatArray] | None
    logit: list[FloatArray] | None
    tokens: list[IntArray] | None
    bytes: list[IntArray]
    options: list[list[str]]
    prompts: list[str]

    def __len__(self) -> int:
        return len(self.q_id)

    def take(self, rows: Sequence[int] | IntArray) -> SourceSamples:
        """The questions at these positions, in this order."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        taken: dict[str, Any] = {
            name: column[np.asarray(rows, dtype=int)] if isinstance(column, np.ndarray) else [column[i] for i in rows]
            for name, column in columns.items()
            if column is not None
        }
        return replace(self, **taken)


_COLUMNS = (
    *("q_id", "image_id", "category", "answer"),
    *("logprob", "logprob_sum", "logit", "tokens", "bytes", "options", "prompts"),
)


@dataclass(frozen=True)
class CheckpointResult:
    """One checkpoint on one or more sources.

    Attributes:
        name: the checkpoint's name, the last part of its path (`step-00200`), with `@revision` where one was given.
        experiment: the folder or model that the checkpoint belongs to, as written in the results; checkpoints of one
            training run share it.
        step: the training step that the name or revision ends with, or None.
        file: the results file.
        date: as in the file's name.
        harness: `lmms-eval` or `lm-eval`.
        config: the harness's `config` (model_args, limit, ...).
        data: per source what the results say about the data (checksum, origin, stand_in, ...).
        scoring: how it was scored (prompt_format, blind, dtype, ...); empty for a stock model.
        sources: per source its samples.
        metrics: per task or group and metric `(value, standard error or None)` as the harness printed them.
        harness_version: as the harness wrote it, or `unknown`.
        left_out: older or unfinished results of the same model and settings that this run stands for, in words.
    """

    name: str
    experiment: str
    step: int | None
    file: Path
    date: str
    harness: str
    config: dict[str, Any]
    data: dict[str, dict[str, Any]]
    scoring: dict[str, Any]
    sources: dict[str, SourceSamples]
    metrics: dict[str, dict[str, tuple[float, float | None]]]
    harness_version: str = "unknown"
    left_out: tuple[str, ...] = field(default=(), compare=False)

    @property
    def folder(self) -> Path:
        """Where the results file lies."""
        return self.file.parent

    @property
    def withheld(self) -> str:
        """How the images were kept from the model: "", `blind`, `blank` or `text only` (a language model)."""
        if self.harness == "lm-eval":
            return "text only"
        blind = str(self.scoring.get("blind", False)).lower()
        return {"false": "", "none": "", "true": "blind"}.get(blind, blind)

    @property
    def label(self) -> str:
        """The name, with a word on withheld images."""
        return f"{self.name} ({self.withheld})" if self.withheld else self.name


@dataclass(frozen=True)
class TrainingRun:
    """The results of one training.

    Attributes:
        name: the experiment's name, with a word on withheld images.
        results: its checkpoints' by step, each step once.
        sources: the sources that every checkpoint answered, with the same questions.
        notes: what was left out, in words.
    """

    name: str
    results: tuple[CheckpointResult, ...]
    sources: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> FloatArray:
        """(S,) training steps, increasing."""
        return np.array([result.step for result in self.results], dtype=np.float64)

"""What was said about questions: by one checkpoint about one source, about all sources, and over one training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from radar_metrics.ragged import FloatArray, IntArray, Ragged
from radar_tasks.questions import Ability
from radar_tasks.suite import Suite

if TYPE_CHECKING:
    import pandas as pd

SCORES = ("logprob", "logprob_sum", "logit", "logprob_blind", "logit_blind")
"""What a model says of each option; a run has one or more of them."""

LOGPROBS = ("logprob", "logprob_sum", "logprob_blind")
"""Those of `SCORES` that are log-probabilities, and so never above 0."""


@dataclass(frozen=True, eq=False, repr=False)
class SourceSamples:
    """What one run said about the questions of one source, in the order of their q_id.

    Scores are one number per option, in option order. A stock model gives no `logit` and perhaps no `tokens`; lm-eval
    gives sums over an option's tokens and neither their number nor a mean. Checkpoints that were asked the same
    questions hold the same arrays of texts and counts, not copies.

    Attributes:
        source, ability, task: the source and the benchmark's task it belongs to.
        leaf: the harness's name of the task, e.g. `radar_mmbench`.
        by_category: whether the headline is the mean over categories (MMBench, MMMU-Pro).
        q_id, image_id, category: (N,) texts.
        answer: (N,) index of the right option.
        logprob: mean log-probability per token of each option, nats, or None.
        logprob_sum: summed log-probability of each option, nats, or None.
        logit: mean raw logit a token of each option, or None.
        logprob_blind, logit_blind: the two means for the question without its picture (`prior=…`), or None.
        tokens: number of tokens of each option, or None.
        bytes: UTF-8 length of each option.
        options: the candidate answers.
        prompts: the prompt text as the harness logged it.
        suite: the suite of the user's own that the source was part of when it was scored, or None.
    """

    source: str
    ability: Ability
    task: str
    leaf: str
    by_category: bool
    q_id: NDArray[np.str_]
    image_id: NDArray[np.str_]
    category: NDArray[np.str_]
    answer: IntArray
    logprob: Ragged | None
    logprob_sum: Ragged | None
    logit: Ragged | None
    tokens: Ragged | None
    bytes: Ragged
    options: list[list[str]]
    prompts: list[str]
    logprob_blind: Ragged | None = None
    logit_blind: Ragged | None = None
    suite: Suite | None = None

    def __len__(self) -> int:
        return len(self.q_id)

    def __repr__(self) -> str:
        measured = [name for name in (*SCORES, "tokens") if getattr(self, name) is not None]
        return f"<{self.source}: {len(self):,} questions of {self.ability}, {', '.join(measured)}>"

    def take(self, rows: Sequence[int] | IntArray) -> SourceSamples:
        """The questions at these positions, in this order."""
        places = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            q_id=self.q_id[places],
            image_id=self.image_id[places],
            category=self.category[places],
            answer=self.answer[places],
            logprob=self.logprob and self.logprob.take(places),
            logprob_sum=self.logprob_sum and self.logprob_sum.take(places),
            logit=self.logit and self.logit.take(places),
            tokens=self.tokens and self.tokens.take(places),
            bytes=self.bytes.take(places),
            options=[self.options[i] for i in places],
            prompts=[self.prompts[i] for i in places],
            logprob_blind=self.logprob_blind and self.logprob_blind.take(places),
            logit_blind=self.logit_blind and self.logit_blind.take(places),
        )

    def to_frame(self) -> pd.DataFrame:
        """A row per question: its names, prompt, options, answer (index), and the scores, a list of them in a cell."""
        import pandas as pd  # half a second that only those pay who ask for a frame

        ragged = {name: column for name in (*SCORES, "tokens", "bytes") if (column := getattr(self, name)) is not None}
        return pd.DataFrame(
            {
                "source": self.source,
                "q_id": self.q_id,
                "image_id": self.image_id,
                "category": self.category,
                "prompt": self.prompts,
                "options": self.options,
                "answer": self.answer,
                **{name: [row.tolist() for row in column] for name, column in ragged.items()},
            }
        )


@dataclass(frozen=True, eq=False, repr=False)
class CheckpointResult:
    """One checkpoint on one or more sources.

    Attributes:
        name: the checkpoint's name, the last part of its path (`step-00200`), with `@revision` where one was given.
        experiment: the name of the folder or model that the checkpoint belongs to; checkpoints of one training share
            it. Of a local path no more than is needed to tell trainings apart, so that it can be published.
        step: the training step that the name or revision ends with, or None.
        file: the results file, the newest where there are several; within a packed file, behind its name.
        date: when it was scored, UTC as ISO 8601 (`2026-11-23T02:11:12Z`); as written where that cannot be told.
        harness: `lmms-eval` or `lm-eval`.
        config: the harness's `config` (model_args, limit, ...).
        data: per source what the results say about the data (checksum, origin, stand_in, ...).
        scoring: how it was scored (prompt_format, blind, dtype, ...); empty for a stock model.
        sources: per source its samples.
        metrics: per task or group and metric `(value, standard error or None)` as the harness printed them.
        harness_version: the harness's release, or `unknown`.
        path: where the checkpoint lies, as the results say: a local path, which is not to be published, or a Hub name.
        written: when the results file was written, in seconds since 1970.
        left_out: older or unfinished results of the same model and settings that this run stands for, in words.
        title: what tables call it where `name` alone would not say which training's it is (`exp1/step-00200`), or "".
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
    path: str = ""
    written: float = 0.0
    left_out: tuple[str, ...] = field(default=())
    title: str = ""

    def __repr__(self) -> str:
        questions = sum(len(samples) for samples in self.sources.values())
        return (
            f"<{self.label} of {self.experiment}: {len(self.sources)} source(s), {questions:,} questions, "
            f"{self.harness} {self.harness_version}, {self.date}>"
        )

    @property
    def place(self) -> str:
        """Where the checkpoint itself lies: `path` is its training's where the name tells a step, else its own."""
        return self.path if self.path.split("/")[-1] == self.name else f"{self.path}/{self.name}"

    @property
    def folder(self) -> Path:
        """Where the results file lies."""
        return self.file.parent

    @property
    def refused(self) -> int:
        """How many questions the checkpoint could not be asked (its processor refuses a picture, say)."""
        return sum(int(about.get("refused", 0)) for about in self.data.values())

    @property
    def withheld(self) -> str:
        """How the images were kept from the model: "", `blind`, `blank` or `text only` (a language model)."""
        if self.harness == "lm-eval":
            return "text only"
        blind = str(self.scoring.get("blind", False)).lower()
        return {"false": "", "none": "", "true": "blind"}.get(blind, blind)

    @property
    def label(self) -> str:
        """What tables call it: title or name, with a word on withheld images."""
        shown = self.title or self.name
        return f"{shown} ({self.withheld})" if self.withheld else shown


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.results)} checkpoints of {len(self.sources)} source(s)>"

    @property
    def steps(self) -> FloatArray:
        """(S,) training steps, increasing."""
        return np.array([result.step for result in self.results], dtype=np.float64)

"""Training runs in memory whose per-question margins are given: for simulations, where results folders would be slow.

made_run("run-a", [0, 100], {"mini_sum": margins})        # margins (S, N): log p(right) - log p(wrong)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fake_runs import ABILITIES, SAMPLE

from radar_metrics.ragged import Ragged
from radar_tasks.results import CheckpointResult, SourceSamples, TrainingRun


def made_run(name: str, steps: Sequence[int], margins: Mapping[str, np.ndarray]) -> TrainingRun:
    """A training run of two-option questions, one a picture; the right option stands first and last by turns.

    Args:
        name: of the run.
        steps: (S,) increasing.
        margins: by source (S, N).
    """
    asked = {source: _asked(source, table.shape[1]) for source, table in margins.items()}
    results = [
        CheckpointResult(
            name=f"step-{step:05d}",
            experiment=name,
            step=step,
            file=Path(f"{name}/step-{step:05d}/results.json"),
            date="2026-11-26T00:00:00Z",
            harness="lmms-eval",
            config={},
            data={source: {"checksum": source} for source in margins},
            scoring={"prompt_format": "plain"},
            sources={source: _answered(asked[source], np.asarray(table)[k]) for source, table in margins.items()},
            metrics={},
            path=f"checkpoints/{name}",
        )
        for k, step in enumerate(steps)
    ]
    return TrainingRun(name, tuple(results), tuple(margins))


def _asked(source: str, n: int) -> SourceSamples:
    answer = np.arange(n) % 2
    offsets = np.arange(n + 1) * 2
    return SourceSamples(
        source=source,
        ability=(ABILITIES | SAMPLE)[source],  # type: ignore[arg-type]
        task=source,
        leaf=f"radar_{source}",
        by_category=False,
        q_id=np.array([f"q{i:05d}" for i in range(n)]),
        image_id=np.array([f"image{i:05d}" for i in range(n)]),
        category=np.full(n, ""),
        answer=answer,
        logprob=None,
        logprob_sum=None,
        logit=None,
        tokens=Ragged(np.ones(2 * n), offsets),
        bytes=Ragged(np.full(2 * n, 4), offsets),
        options=[["left", "right"]] * n,
        prompts=["?"] * n,
    )


def _answered(asked: SourceSamples, margins: np.ndarray) -> SourceSamples:
    # log p(right) and log p(wrong), normalised: never above 0.
    right = -np.logaddexp(0.0, -margins)
    wrong = -np.logaddexp(0.0, margins)
    rows = np.stack([np.where(asked.answer == 0, right, wrong), np.where(asked.answer == 0, wrong, right)], axis=1)
    return replace(asked, logprob=Ragged(rows.ravel(), asked.bytes.offsets))

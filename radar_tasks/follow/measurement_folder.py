"""A measurement as a results folder: the same files as `radar track` leaves, without lmms-eval.

    OUTPUT/step-000100/20261123_101112_results.json
                       20261123_101112_samples_radar_mmbench.jsonl

Starting lmms-eval takes longer than a measurement, and is nothing for a process that trains.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from radar_tasks import paths
from radar_tasks.errors import ResultsError
from radar_tasks.harness.aggregation import Record, of_source
from radar_tasks.harness.evaluation import refuse_other_files, replace_folder
from radar_tasks.results import load_run

PRINTED = ("sds", "sds_logit", "acc", "acc_logit", "nll")
"""Metrics in the table of a results file; all others stand beside it."""


@dataclass(frozen=True)
class MeasuredSource:
    """What a measurement says about one source.

    Attributes:
        data: what results say about the data.
        prompts: the prompt of each question, as the harness logs it.
        records: one per question, by metric, as `radar_tasks.harness.aggregation.of_question` makes them.
        refused: why questions were left out, one text per question.
    """

    data: Mapping[str, Any]
    prompts: Sequence[str]
    records: Sequence[Mapping[str, Record]]
    refused: Sequence[str]

    @property
    def leaf(self) -> str:
        """The harness's name of the task."""
        return f"radar_{self.data['source']}"

    @property
    def by_category(self) -> bool:
        """Whether the headline is the mean over categories."""
        return headline_by_category(self.leaf)

    def summary(self) -> dict[str, Any]:
        """Metrics of the source and of its categories."""
        return of_source([record["sds"] for record in self.records], dict(self.data), self.leaf, self.by_category)


@cache
def headline_by_category(leaf: str) -> bool:
    """Whether a task's headline is the mean over categories, as its YAML says; a user's own source has none."""
    for file in paths.task_configs("lmms_eval").rglob(f"{leaf}.yaml"):
        task = yaml.safe_load(file.read_text(encoding="utf-8"))
        # `include` names a file with tags that only lmms-eval reads; the one for categories is known by its name
        return Path(str(task.get("include", ""))).name == "_categories_yaml"
    return False


def write_measurement(
    folder: Path, measured: Sequence[MeasuredSource], scoring: Mapping[str, Any], limit: int | None
) -> None:
    """Writes a results folder whole; an earlier one of the step is replaced.

    Args:
        folder: `OUTPUT/step-000100`.
        measured: the sources.
        scoring: how it was scored.
        limit: questions per source that were asked for, None for all.

    Raises:
        ResultsError: it cannot be written, or the folder holds something else.
    """
    now = datetime.now(UTC)
    date = now.strftime("%Y%m%d_%H%M%S")
    name = f"{folder.parent.name}/{folder.name}"
    summaries = {source.leaf: source.summary() for source in measured}
    results = {
        "results": {leaf: _row(leaf, summary["metrics"]) for leaf, summary in summaries.items()},
        "configs": {
            source.leaf: {
                "task": source.leaf,
                "metadata": {"headline": "categories"} if source.by_category else {},
                "radar": {
                    "data": dict(source.data),
                    "scoring": {"pretrained": name, **scoring},
                    **({"refused": list(source.refused)} if source.refused else {}),
                    **summaries[source.leaf],
                },
            }
            for source in measured
        },
        "config": {"model": "radar_live", "model_args": {"pretrained": name}, "limit": limit},
        "n-samples": {
            source.leaf: {"original": source.data["questions"], "effective": len(source.records)} for source in measured
        },
        "date": now.isoformat(timespec="seconds"),
    }
    refuse_other_files(folder)
    scratch = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        scratch.chmod(0o755)  # mkdtemp's folders are for their owner alone
        for source in measured:
            lines = [
                json.dumps({"doc_id": k, "input": prompt, **record})
                for k, (prompt, record) in enumerate(zip(source.prompts, source.records, strict=True))
            ]
            (scratch / f"{date}_samples_{source.leaf}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (scratch / f"{date}_results.json").write_text(json.dumps(results, indent=2, default=str), encoding="utf-8")
        load_run(scratch)  # a full disk is not always told
        replace_folder(scratch, folder)
    except (OSError, ResultsError) as error:
        raise ResultsError(f"The measurement for {folder} could not be written whole: {error}") from error
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _row(leaf: str, metrics: Mapping[str, float]) -> dict[str, Any]:
    return {"alias": leaf, **{f"{name},none": metrics[name] for name in PRINTED if name in metrics}}

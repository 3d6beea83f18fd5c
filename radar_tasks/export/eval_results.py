"""Hugging Face's `.eval_results/*.yaml`: scores that a model's page and a benchmark's leaderboard show.

One entry a source (or average) and metric; the task id names both (`mmbench.sds`), so that `sds` and `sds_logit` cannot
be taken for each other. Written with huggingface_hub's own types.
"""

from __future__ import annotations

from collections.abc import Sequence

import yaml
from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from radar_tasks.export.values import MEANINGS, Value


def entries(values: Sequence[Value], dataset_id: str) -> list[EvalResultEntry]:
    """The entries of one run.

    Args:
        values: of one run, from `values_of`.
        dataset_id: the benchmark's data set on the Hub, `owner/name`.
    """
    return [
        EvalResultEntry(
            dataset_id=dataset_id,
            task_id=f"{value.name.replace(' ', '_')}.{value.metric}",
            value=round(value.value, 6),
            date=value.date,
            notes=_notes(value),
        )
        for value in values
        if value.metric in MEANINGS
    ]


def to_yaml(values: Sequence[Value], dataset_id: str) -> str:
    """The file's text, for `.eval_results/<name>.yaml` of the model's repository."""
    plain = eval_result_entries_to_yaml(entries(values, dataset_id))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=1000)


def _notes(value: Value) -> str:
    parts = [
        f"{value.metric}: {MEANINGS[value.metric]} ({'higher' if value.higher_is_better else 'lower'} is better)",
        f"{value.questions} questions",
        f"data sha256 {value.data_checksum}",
        f"checkpoint {value.run}",
    ]
    if value.standard_error is not None:
        parts.append(f"standard error {value.standard_error:.6f}")
    if value.prompt_format:
        parts.append(f"prompt {value.prompt_format}")
    if value.withheld:
        parts.append(f"images withheld: {value.withheld}")
    if value.stand_in:
        parts.append("distractors made by a rule that stands in for the paper's own")
    return "; ".join([*parts, f"lmms-eval-radar {value.radar_version}, {value.harness} {value.harness_version}"])

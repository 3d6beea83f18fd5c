"""Results that belong together: several evaluations of one checkpoint as one, and names that tell results apart."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from radar_tasks.results.model import CheckpointResult
from radar_tasks.results.origin import experiment_names, short_names
from radar_tasks.run_arguments import limit_of, model_arguments

SETTINGS = (
    *("name", "revision", "kind", "model_type", "adapter", "weights", "setup"),
    *("dtype", "attn_implementation", "prompt_format", "min_pixels", "max_pixels", "max_tiles", "blind", "until"),
)
"""What must be alike, of what results say about scoring, for evaluations of a checkpoint to be one result."""

_HOW_RUN = ("batch_size", "device", "device_map", "cache_dir")
"""Arguments of a stock model that change how it runs and not what it says."""

_SUMMED = ("seconds", "questions_scored")


def merged(results: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    """Results of one checkpoint on different sources, scored alike, as one: `radar_mini` today, `radar_birds` tomorrow.

    Where both have a source and lie in one folder, the newer counts for it and the older is named in `left_out`; in two
    folders they stay two results, since a user who keeps them apart has a reason.
    """
    alike: dict[str, list[CheckpointResult]] = defaultdict(list)
    for result in results:
        alike[_settings(result)].append(result)
    return [made for group in alike.values() for made in _of_one_checkpoint(group)]


def named_apart(results: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    """Results whose labels differ: what tables and legends are to show of several.

    A checkpoint that is called like one of another training gets its experiment in front (`exp1/checkpoint-1000`); two
    results of one checkpoint get their folders behind. Experiments are named so that trainings can be told apart.
    """
    experiments = experiment_names(result.path for result in results)
    plain = [replace(result, experiment=experiments[result.path], title="") for result in results]
    short = short_names(result.experiment for result in plain)
    among_trainings = _titled(plain, lambda result: f"{short[result.experiment]}/{result.name}")
    folders = short_names(str(result.folder) for result in plain)
    return _titled(among_trainings, lambda result: f"{result.title or result.name} in {folders[str(result.folder)]}")


def _titled(results: Sequence[CheckpointResult], title: Callable[[CheckpointResult], str]) -> list[CheckpointResult]:
    """With titles where the labels of several are the same and their titles would not be."""
    made = []
    for result in results:
        same = [other for other in results if other.label == result.label]
        tell = len({title(other) for other in same}) > 1
        made.append(replace(result, title=title(result)) if tell else result)
    return made


def _settings(result: CheckpointResult) -> str:
    """What results have in common that are one: the checkpoint and how it was asked."""
    if result.scoring:
        about: Any = {name: result.scoring.get(name) for name in SETTINGS}
    else:
        pairs = model_arguments(result.config.get("model_args"))
        about = {name: value for name, value in pairs.items() if name not in _HOW_RUN}
    plain = [result.harness, result.path, result.name, limit_of(result.config), result.config.get("model"), about]
    return json.dumps(plain, sort_keys=True, default=str)


def _of_one_checkpoint(results: Sequence[CheckpointResult]) -> list[CheckpointResult]:
    made: list[CheckpointResult] = []
    for result in sorted(results, key=lambda result: (result.date, str(result.file)), reverse=True):
        for k, newer in enumerate(made):
            if result.folder == newer.folder or not set(result.sources) & set(newer.sources):
                made[k] = _joined(newer, result)
                break
        else:
            made.append(result)
    return made


def _joined(newer: CheckpointResult, older: CheckpointResult) -> CheckpointResult:
    again = [source for source in older.sources if source in newer.sources]
    left_out = (f"left out, older: {', '.join(again)} of {older.file}",) if again else ()
    scoring = {**older.scoring, **newer.scoring}
    for name in _SUMMED:
        first, second = older.scoring.get(name), newer.scoring.get(name)
        if isinstance(first, (int, float)) and isinstance(second, (int, float)):
            scoring[name] = first + second
    return replace(
        newer,
        data={**older.data, **newer.data},
        scoring=scoring,
        sources={**older.sources, **newer.sources},
        metrics={**older.metrics, **newer.metrics},
        left_out=(*newer.left_out, *older.left_out, *left_out),
    )

"""Results files of lmms-eval and lm-eval as one table: the bridge between scoring and every analysis.

    results/                                   a folder that the user names
      ckpts__step-00200/                       one a model (lmms-eval: the last two parts of its path)
        20261123_101112_results.json           what was run, on what, and the averages
        20261123_101112_samples_radar_x.jsonl  one line a question

lm-eval calls the same two `results_{date}.json` and `samples_{task}_{date}.jsonl`. Everything is checked on reading;
an error names the file and the line.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from pydantic import ValidationError

from radar_tasks.errors import CheckpointError, ResultsError
from radar_tasks.results.model import CheckpointResult, SourceSamples
from radar_tasks.results.schema import DataDescription, LeafConfig, Record, ResultsFile, SamplesLine, first_problem
from radar_tasks.run_arguments import model_arguments

_LMMS_EVAL = re.compile(r"(?P<date>.+)_results\.json")
_LM_EVAL = re.compile(r"results_(?P<date>.+)\.json")
_STEP = re.compile(r"(?:step|checkpoint|ckpt|iter|iteration)[-_]?(\d+)|^(\d+)$|[-_](\d{3,})$", re.IGNORECASE)


def load_run(path: Path | str) -> CheckpointResult:
    """The run in a results folder or of one `*_results.json`.

    Raises:
        ResultsError: no run or several (with other models or settings) in the folder, a file missing, cut short or
            damaged, a number that is not finite; names file and line.
    """
    runs = find_runs([path])
    if len(runs) > 1:
        listed = "\n  ".join(f"{run.label}: {run.file}" for run in runs)
        raise ResultsError(f"{path} holds {len(runs)} runs, name one of the files:\n  {listed}")
    return runs[0]


def find_runs(paths: Iterable[Path | str]) -> list[CheckpointResult]:
    """All runs in results folders and files, sorted by step, then name.

    Of several results of one model with the same arguments, tasks and limit the newest complete one counts, unless a
    file is named itself; what is left out stands in `CheckpointResult.left_out`.

    Raises:
        ResultsError: a path without any RADAR results, or see `load_run`.
    """
    runs: dict[Path, CheckpointResult] = {}
    for path in map(Path, paths):
        for run in _runs_at(path):
            runs.setdefault(run.file.resolve(), run)
    return sorted(runs.values(), key=lambda r: (r.experiment, r.step is None, r.step or 0, r.name, r.withheld, r.date))


def samples_of(records: Iterable[dict[str, Any]], data: dict[str, Any], leaf: str, by_category: bool) -> SourceSamples:
    """The same table from the records of a run that is just finishing, before any file is written.

    Args:
        records: what stands under `sds` in the samples lines.
        data: what the results say about the data.
        leaf: the harness's name of the task.
        by_category: whether the headline is the mean over categories.
    """
    rows = [(Record.model_validate(record), "") for record in records]
    return _columns(rows, DataDescription.model_validate(data), leaf, by_category, Path("this run"))


def step_of(name: str) -> int | None:
    """The training step in a checkpoint's name, or None: `step-00200`, `checkpoint-500`, `global_step1000`, `0400`.

    A number of fewer than three digits needs one of these words before it: `Qwen2-VL-7B` and `Llama-3` are no steps.
    """
    matches = _STEP.findall(name)
    return int(next(filter(None, matches[-1]))) if matches else None


def _runs_at(path: Path) -> list[CheckpointResult]:
    if path.is_file():
        return [_read_run(path, _read_results(path))]
    if not path.is_dir():
        raise ResultsError(f"{path} is neither a results folder nor a results file. Give the --output_path of a run.")
    files = sorted(f for f in path.rglob("*.json") if _named(f) and not _in_hidden_folder(f, path))
    if not files:
        raise ResultsError(
            f"no results in {path}: there is no *_results.json. Was the run given --output_path, and did it finish?"
        )
    attempts: dict[tuple[Any, ...], list[tuple[Path, dict[str, Any]]]] = defaultdict(list)
    damaged: list[ResultsError] = []
    for file in files:
        try:
            results = _read_results(file)
        except _NotRadarError:
            continue
        except ResultsError as error:
            damaged.append(error)
            continue
        attempts[_identity(file, results)].append((file, results))
    if not attempts:
        raise damaged[0] if damaged else ResultsError(f"no RADAR task was run in any of the {len(files)} in {path}.")
    unread = tuple(f"left out: {error}" for error in damaged)
    return [_newest_complete(results, unread) for results in attempts.values()]


def _in_hidden_folder(file: Path, root: Path) -> bool:
    """Whether a run was killed while it wrote there: `radar track` gives a folder its name when it is complete."""
    return any(part.startswith(".") for part in file.relative_to(root).parts[:-1])


def _newest_complete(attempts: list[tuple[Path, dict[str, Any]]], left_out: tuple[str, ...]) -> CheckpointResult:
    newest_first = sorted(attempts, key=lambda attempt: _named(attempt[0])[1], reverse=True)
    errors: list[ResultsError] = []
    for k, (file, results) in enumerate(newest_first):
        try:
            run = _read_run(file, results)
        except ResultsError as error:
            errors.append(error)
            left_out += (f"left out, not complete: {error}",)
            continue
        older = tuple(f"left out, older: {other}" for other, _ in newest_first[k + 1 :])
        return replace(run, left_out=left_out + older)
    raise errors[0]


class _NotRadarError(ResultsError):
    """A results file of a harness, without a task of this project."""


def _named(file: Path) -> tuple[str, str]:
    """Harness and date by the file's name, or nothing."""
    if match := _LMMS_EVAL.fullmatch(file.name):
        return "lmms-eval", match["date"]
    if match := _LM_EVAL.fullmatch(file.name):
        return "lm-eval", match["date"]
    return cast("tuple[str, str]", ())


def _identity(file: Path, results: dict[str, Any]) -> tuple[Any, ...]:
    config = results.get("config") or {}
    return (
        file.parent,
        json.dumps(config.get("model_args"), sort_keys=True, default=str),
        str(config.get("limit")),
        tuple(sorted(_leaves(results))),
    )


def _leaves(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    configs = results.get("configs")
    if not isinstance(configs, dict):
        return {}
    return {name: config for name, config in configs.items() if isinstance(config, dict) and "radar" in config}


def _read_results(file: Path) -> dict[str, Any]:
    if not _named(file):
        raise ResultsError(f"{file} is not a results file: lmms-eval calls them <date>_results.json.")
    try:
        results = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ResultsError(f"{file} cannot be read, perhaps it was cut short: {error}") from None
    if not isinstance(results, dict) or "results" not in results:
        raise ResultsError(f"{file} is not a results file of lmms-eval or lm-eval: it has no `results`.")
    try:
        ResultsFile.model_validate(results)
        for config in _leaves(results).values():
            LeafConfig.model_validate(config)
    except ValidationError as error:
        raise ResultsError(f"{file} is not as lmms-eval or lm-eval writes it: {first_problem(error)}") from None
    if not _leaves(results):
        raise _NotRadarError(f"{file} holds no RADAR task (it has {', '.join(results['results']) or 'none'}).")
    return results


def _read_run(file: Path, results: dict[str, Any]) -> CheckpointResult:
    harness, date = _named(file)
    data: dict[str, dict[str, Any]] = {}
    sources: dict[str, SourceSamples] = {}
    scoring: dict[str, Any] = {}
    for leaf, config in _leaves(results).items():
        radar = config["radar"]
        if radar.get("data", {}).get("missing"):
            continue
        try:
            about = DataDescription.model_validate(radar.get("data"))
        except ValidationError as error:
            raise ResultsError(f"{file}, configs.{leaf}.radar.data: {first_problem(error)}") from None
        data[about.source] = radar["data"]
        scoring = radar.get("scoring") or scoring
        name = f"{date}_samples_{leaf}.jsonl" if harness == "lmms-eval" else f"samples_{leaf}_{date}.jsonl"
        sources[about.source] = _read_samples(
            file.parent / name, about, leaf, (config.get("metadata") or {}).get("headline") == "categories",
            _expected(results, leaf),
        )  # fmt: skip
    if not sources:
        raise ResultsError(f"{file}: every source of this run was missing.")
    config = results.get("config") or {}
    checkpoint, revision = _checkpoint(results, scoring, file)
    parts = checkpoint.rstrip("/").split("/")
    name = parts[-1] + (f"@{revision}" if revision else "")
    step = step_of(revision or parts[-1])
    in_folder = step is not None and not revision and len(parts) > 1
    return CheckpointResult(
        name=name,
        experiment="/".join(parts[:-1]) if in_folder else checkpoint,
        step=step,
        file=file,
        date=date,
        harness=harness,
        config=config,
        data=data,
        scoring=scoring,
        sources=sources,
        metrics=_metrics(results),
        harness_version=str(results.get("lmms_eval_version") or results.get("lm_eval_version") or "unknown"),
    )


def _checkpoint(results: dict[str, Any], scoring: dict[str, Any], file: Path) -> tuple[str, str | None]:
    """The checkpoint as the user named it, and the revision."""
    given = (results.get("config") or {}).get("model_args")
    try:
        args = model_arguments(given)
    except (CheckpointError, TypeError, ValueError) as error:
        raise ResultsError(f"{file}: config.model_args is {given!r}, no arguments ({error}).") from error
    pretrained = scoring.get("pretrained") or args.get("pretrained") or results.get("model_name") or file.parent.name
    revision = scoring.get("revision") or args.get("revision")
    return str(pretrained), None if revision in (None, "", "main") else str(revision)


def _expected(results: dict[str, Any], leaf: str) -> int | None:
    """How many questions the harness says it asked; None where it does not say (a limit given as a share)."""
    effective = (results.get("n-samples") or {}).get(leaf, {}).get("effective")
    offset = (results.get("config") or {}).get("offset")
    return effective if isinstance(effective, int) and not offset else None


def _read_samples(
    file: Path, about: DataDescription, leaf: str, by_category: bool, expected: int | None
) -> SourceSamples:
    if not file.is_file():
        raise ResultsError(f"{file} is missing: the run needs --log_samples, and both files must stay together.")
    records: dict[str, tuple[Record, str]] = {}
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            record, prompt = _read_line(line, f"{file}, line {number}")
            if record.q_id in records:
                raise ResultsError(f"{file}, line {number}: question {record.q_id!r} was there before.")
            records[record.q_id] = (record, prompt)
    if expected is not None and len(records) < expected:
        raise ResultsError(f"{file} was cut short: {len(records)} questions of {expected}.")
    if not records:
        raise ResultsError(f"{file} is empty.")
    return _columns([records[q_id] for q_id in sorted(records)], about, leaf, by_category, file)


def _read_line(line: bytes, where: str) -> tuple[Record, str]:
    try:
        parsed = SamplesLine.model_validate_json(line)
    except ValidationError as error:
        cut = "" if line.endswith(b"\n") else " (the file ends here: was it cut short?)"
        raise ResultsError(f"{where}{cut}: {first_problem(error)}") from None
    if parsed.record is None:
        raise ResultsError(f"{where}: there is no `sds` record; the line was not written by a RADAR task.")
    return parsed.record, parsed.prompt


def _columns(
    rows: list[tuple[Record, str]], about: DataDescription, leaf: str, by_category: bool, file: Path
) -> SourceSamples:
    records = [record for record, _ in rows]
    scores = {name: _column(records, name, file) for name in ("logprob", "logprob_sum", "logit", "tokens")}
    if scores["logprob_sum"] is None and scores["logprob"] is not None and scores["tokens"] is not None:
        scores["logprob_sum"] = [a * b for a, b in zip(scores["logprob"], scores["tokens"], strict=True)]
    return SourceSamples(
        source=about.source,
        ability=about.ability,
        task=about.task,
        leaf=leaf,
        by_category=by_category,
        q_id=np.array([r.q_id for r in records]),
        image_id=np.array([r.image_id for r in records]),
        category=np.array([r.category for r in records]),
        answer=np.array([r.answer for r in records]),
        bytes=[np.array(r.bytes) for r in records],
        options=[r.options for r in records],
        prompts=[prompt for _, prompt in rows],
        **scores,
    )


def _column(records: list[Record], name: str, file: Path) -> list[np.ndarray] | None:
    """A column that every question has, or none has."""
    values = [getattr(record, name) for record in records]
    missing = [record.q_id for record, value in zip(records, values, strict=True) if value is None]
    if len(missing) == len(records):
        return None
    if missing:
        raise ResultsError(
            f"{file}: {name} is missing for {len(missing)} of {len(records)} questions, e.g. {missing[0]!r}."
        )
    return [np.array(value) for value in values]


def _metrics(results: dict[str, Any]) -> dict[str, dict[str, tuple[float, float | None]]]:
    tables: dict[str, dict[str, tuple[float, float | None]]] = {}
    for task, row in {**results["results"], **(results.get("groups") or {})}.items():
        names = [key.split(",")[0] for key in row]
        values = {key.split(",")[0]: value for key, value in row.items()}
        tables[task] = {
            name: (float(values[name]), _number(values.get(f"{name}_stderr_clustered"), values.get(f"{name}_stderr")))
            for name in names
            if "_stderr" not in name
            and name not in ("samples", "sample_len", "sample_count")
            and _number(values[name]) is not None
        }
    return tables


def _number(*candidates: Any) -> float | None:
    """The first candidate that is a number; lmms-eval writes "N/A" where it has none."""
    numbers = (float(c) for c in candidates if isinstance(c, (int, float)) and not isinstance(c, bool))
    return next(numbers, None)

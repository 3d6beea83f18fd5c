"""Results files of lmms-eval and lm-eval as one table: the bridge between scoring and every analysis.

    results/                                   a folder that the user names
      ckpts__step-00200/                       one a model (lmms-eval: the last two parts of its path)
        20261123_101112_results.json           what was run, on what, and the averages
        20261123_101112_samples_radar_x.jsonl  one line per question

lm-eval calls the same two `results_{date}.json` and `samples_{task}_{date}.jsonl`. Everything is checked on reading;
an error names the file and the line.
"""

from __future__ import annotations

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from radar_tasks.errors import CheckpointError, ResultsError
from radar_tasks.paths import data_home
from radar_tasks.results.column_cache import ColumnCache, Columns, columns_of
from radar_tasks.results.frames import CheckpointResults
from radar_tasks.results.merging import merged, named_apart
from radar_tasks.results.metrics import value
from radar_tasks.results.model import CheckpointResult, SourceSamples
from radar_tasks.results.origin import date_of, experiment_names, release_of
from radar_tasks.results.packed import read_packed
from radar_tasks.results.samples_file import Asked, table_of
from radar_tasks.results.schema import SCORE_TOLERANCE, DataDescription, LeafConfig, ResultsFile, first_problem
from radar_tasks.run_arguments import model_arguments

_LMMS_EVAL = re.compile(r"(?P<date>.+)_results\.json")
_LM_EVAL = re.compile(r"results_(?P<date>.+)\.json")
_STEP = re.compile(r"(?:step|checkpoint|ckpt|iter|iteration)[-_]?(\d+)|^(\d+)$|[-_](\d{3,})$", re.IGNORECASE)

Progress = Callable[[str, int, int], None]
"""Called as results are read: with the name of what is being read, how much is done, and how much there is."""


def load_run(path: Path | str, progress: Progress | None = None) -> CheckpointResult:
    """The run in a results folder, of one `*_results.json`, or in a packed file of one checkpoint.

    Raises:
        ResultsError: no run or several (with other models or settings) in the folder, a file missing, cut short or
            damaged, a number that is not finite; names file and line.
    """
    runs = find_runs([path], progress)
    if len(runs) > 1:
        listed = "\n  ".join(f"{run.label}: {run.file}" for run in runs)
        raise ResultsError(f"{path} holds {len(runs)} runs, name one of the files:\n  {listed}")
    return runs[0]


def find_runs(paths: Iterable[Path | str], progress: Progress | None = None) -> CheckpointResults:
    """All runs in results folders, results files and packed files, sorted by step, then name.

    Of several results of one model with the same arguments, tasks and limit the newest complete one counts, unless a
    file is named itself; what is left out stands in `CheckpointResult.left_out`. Results of one checkpoint on different
    sources, scored alike, are one run (see `radar_tasks.results.merging`).

    Args:
        paths: folders, `*_results.json`, or files that `radar results pack` wrote.
        progress: called as files are read.

    Raises:
        ResultsError: a path without any RADAR results, or see `load_run`.
    """
    packed: list[CheckpointResult] = []
    places: list[list[_Attempt]] = []
    for given in paths:
        if not str(given).strip():  # Path("") is the current folder
            raise ResultsError("the name of some results is empty: is a variable of the shell not set?")
        path = Path(given)
        if path.is_file() and path.suffix == ".parquet":
            packed += read_packed(path)
        else:
            places += _attempts_at(path)
    cache = ColumnCache(data_home() / "results")
    reading = _Reading(cache, progress, sum(attempts[0].size for attempts in places))
    read = {run.file.absolute(): run for run in packed}
    for attempts in places:
        run = _newest_complete(attempts, reading)
        read.setdefault(run.file.resolve(), run)
    cache.trim()
    runs = named_apart(merged(list(read.values())))
    runs.sort(key=lambda r: (r.experiment, r.step is None, r.step or 0, r.name, r.withheld, r.date, str(r.file)))
    return CheckpointResults(runs)


def samples_of(records: Iterable[dict[str, Any]], data: dict[str, Any], leaf: str, by_category: bool) -> SourceSamples:
    """The same table from the records of a run that is just finishing, before any file is written.

    Args:
        records: what stands under `sds` in the samples lines.
        data: what the results say about the data.
        leaf: the harness's name of the task.
        by_category: whether the headline is the mean over categories.
    """
    table = table_of(records, Path("this run"))
    return source_samples(
        columns_of(Asked.of(table.asked), table.scores), DataDescription.model_validate(data), leaf, by_category
    )


def step_of(name: str) -> int | None:
    """The training step in a checkpoint's name, or None: `step-00200`, `checkpoint-500`, `global_step1000`, `0400`.

    A number of fewer than three digits needs one of these words before it: `Qwen2-VL-7B` and `Llama-3` are no steps.
    """
    matches = _STEP.findall(name)
    return int(next(filter(None, matches[-1]))) if matches else None


@dataclass(frozen=True)
class _Attempt:
    """A results file and what it says."""

    file: Path
    results: dict[str, Any]
    damaged: tuple[str, ...] = ()

    @property
    def harness(self) -> str:
        return _named(self.file)[0]

    @property
    def date(self) -> str:
        return date_of(self.results, _named(self.file)[1])

    @property
    def samples(self) -> dict[str, Path]:
        """By leaf the samples file, of those sources that were not missing."""
        harness, stamp = _named(self.file)
        return {
            leaf: self.file.parent
            / (f"{stamp}_samples_{leaf}.jsonl" if harness == "lmms-eval" else f"samples_{leaf}_{stamp}.jsonl")
            for leaf, config in _leaves(self.results).items()
            if not _is_missing(config)
        }

    @property
    def size(self) -> int:
        """Bytes of the samples files."""
        return sum(file.stat().st_size for file in self.samples.values() if file.is_file())


@dataclass
class _Reading:
    """Reads samples files, and says how far it has come."""

    cache: ColumnCache
    progress: Progress | None
    total: int
    done: int = 0

    def columns(self, file: Path, what: str) -> Columns:
        if self.progress is not None:
            self.progress(what, self.done, self.total)
        try:
            self.done += file.stat().st_size
            return self.cache.read(file)
        except OSError as error:
            raise ResultsError(f"{file} cannot be read: {error.strerror or error}.") from None


def _attempts_at(path: Path) -> list[list[_Attempt]]:
    """The results at a path, those of the same model, settings and tasks together, the newest first."""
    if path.is_file():
        return [[_Attempt(path, _read_results(path))]]
    if not path.is_dir():
        kind = "is neither a results folder nor a results file" if path.exists() else "does not exist"
        raise ResultsError(
            f"{path} {kind}. Give the --output_path of a run, or a file that `radar results pack` wrote."
        )
    files = sorted(f for f in path.rglob("*.json") if _named(f)[0] and not _in_hidden_folder(f, path))
    if not files:
        raise ResultsError(
            f"no results in {path}: there is no *_results.json. Was the run given --output_path, and did it finish?"
        )
    found: dict[tuple[Any, ...], list[_Attempt]] = defaultdict(list)
    damaged: list[ResultsError] = []
    for file in files:
        try:
            results = _read_results(file)
        except _NotRadarError:
            continue
        except ResultsError as error:
            damaged.append(error)
            continue
        found[_identity(file, results)].append(_Attempt(file, results))
    if not found:
        raise damaged[0] if damaged else ResultsError(f"no RADAR task was run in any of the {len(files)} in {path}.")
    unread = tuple(f"left out: {error}" for error in damaged)
    return [
        [replace(attempt, damaged=unread) for attempt in sorted(attempts, key=_age, reverse=True)]
        for attempts in found.values()
    ]


def _age(attempt: _Attempt) -> tuple[str, int, str]:
    """Of several runs of one second, the later have a number behind the stamp: `…-2`, `…-10`."""
    stamp = _named(attempt.file)[1]
    return attempt.date, len(stamp), stamp


def _in_hidden_folder(file: Path, root: Path) -> bool:
    """Whether a run was killed while it wrote there: `radar track` gives a folder its name when it is complete."""
    return any(part.startswith(".") for part in file.relative_to(root).parts[:-1])


def _newest_complete(newest_first: Sequence[_Attempt], reading: _Reading) -> CheckpointResult:
    errors: list[ResultsError] = []
    left_out: tuple[str, ...] = ()
    for k, attempt in enumerate(newest_first):
        try:
            run = _read_run(attempt, reading)
        except ResultsError as error:
            errors.append(error)
            left_out += (f"left out, not complete: {error}",)
            continue
        older = tuple(f"left out, older: {other.file}" for other in newest_first[k + 1 :])
        return replace(run, left_out=attempt.damaged + left_out + older)
    raise errors[0]


class _NotRadarError(ResultsError):
    """A results file of a harness, without a task of this project."""


def _named(file: Path) -> tuple[str, str]:
    """Harness and date by the file's name, both "" for another file."""
    if match := _LMMS_EVAL.fullmatch(file.name):
        return "lmms-eval", match["date"]
    if match := _LM_EVAL.fullmatch(file.name):
        return "lm-eval", match["date"]
    return "", ""


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
    if not _named(file)[0]:
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


def _read_run(attempt: _Attempt, reading: _Reading) -> CheckpointResult:
    file, results = attempt.file, attempt.results
    leaves, printed = _leaves(results), _metrics(results)
    checkpoint, revision = _checkpoint(results, _scoring(leaves), file)
    parts = checkpoint.split("/")
    name = parts[-1] + (f"@{revision}" if revision else "")
    data: dict[str, dict[str, Any]] = {}
    sources: dict[str, SourceSamples] = {}
    for leaf, samples_file in attempt.samples.items():
        config = leaves[leaf]
        try:
            about = DataDescription.model_validate(config["radar"].get("data"))
        except ValidationError as error:
            raise ResultsError(f"{file}, configs.{leaf}.radar.data: {first_problem(error)}") from None
        if not samples_file.is_file():
            raise ResultsError(
                f"{samples_file} is missing: the run needs --log_samples, and both files must stay together."
            )
        columns = reading.columns(samples_file, f"{name}, {about.source}")
        expected = _expected(results, leaf)
        if expected is not None and len(columns[0].q_id) < expected:
            raise ResultsError(f"{samples_file} was cut short: {len(columns[0].q_id)} questions of {expected}.")
        by_category = (config.get("metadata") or {}).get("headline") == "categories"
        made = source_samples(columns, about, leaf, by_category)
        _require_printed(made, printed.get(leaf, {}), samples_file, file)
        data[about.source], sources[about.source] = config["radar"]["data"], made
    if not sources:
        raise ResultsError(f"{file}: every source of this run was missing.")
    step = step_of(revision or parts[-1])
    in_folder = step is not None and not revision and len(parts) > 1
    path = "/".join(parts[:-1]) if in_folder else checkpoint
    return CheckpointResult(
        name=name,
        experiment=experiment_names([path])[path],
        step=step,
        file=file,
        date=attempt.date,
        harness=attempt.harness,
        config=results.get("config") or {},
        data=data,
        scoring=_scoring(leaves),
        sources=sources,
        metrics=printed,
        harness_version=release_of(results),
        path=path,
        written=file.stat().st_mtime,
    )


def source_samples(columns: Columns, about: DataDescription, leaf: str, by_category: bool) -> SourceSamples:
    """Columns with the source that they belong to."""
    asked, scores = columns
    return asked.scored(
        scores,
        source=about.source,
        ability=about.ability,
        task=about.task,
        leaf=leaf,
        by_category=by_category,
        suite=about.suite,
    )


def _require_printed(
    samples: SourceSamples, printed: Mapping[str, tuple[float, float | None]], samples_file: Path, file: Path
) -> None:
    """ResultsError where the samples say another score than the harness printed: one of the two files was changed.

    A source whose headline is the mean over categories may have been printed by a harness that takes the mean over
    questions: either is what the samples say.
    """
    for metric in ("sds", "sds_logit", "sds_bytes"):
        if metric not in printed:
            continue
        said = [value(samples, metric), value(samples, metric, by_question=True)]
        known = [number for number in said if number is not None]
        if known and all(abs(number - printed[metric][0]) > SCORE_TOLERANCE for number in known):
            raise ResultsError(
                f"{samples_file}: its {len(samples)} questions give {metric} {known[0]:.6f}, and {file} says "
                f"{printed[metric][0]:.6f}: one of the two files was changed after scoring."
            )


def _scoring(leaves: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How the sources were scored, alike in one run; empty for a stock model."""
    every = [config["radar"].get("scoring") for config in leaves.values() if not _is_missing(config)]
    return next((dict(scoring) for scoring in reversed(every) if scoring), {})


def _is_missing(config: Mapping[str, Any]) -> bool:
    return bool(config["radar"].get("data", {}).get("missing"))


def _checkpoint(results: dict[str, Any], scoring: dict[str, Any], file: Path) -> tuple[str, str | None]:
    """The checkpoint as the user named it, without the slash that completion puts behind a folder, and the revision."""
    given = (results.get("config") or {}).get("model_args")
    try:
        args = model_arguments(given)
    except (CheckpointError, TypeError, ValueError) as error:
        raise ResultsError(f"{file}: config.model_args is {given!r}, no arguments ({error}).") from error
    pretrained = scoring.get("pretrained") or args.get("pretrained") or results.get("model_name") or file.parent.name
    revision = scoring.get("revision") or args.get("revision")
    name = str(pretrained)
    return name.rstrip("/") or name, None if revision in (None, "", "main") else str(revision)


def _expected(results: dict[str, Any], leaf: str) -> int | None:
    """How many questions the harness says it asked; None where it does not say (a limit given as a share)."""
    effective = (results.get("n-samples") or {}).get(leaf, {}).get("effective")
    offset = (results.get("config") or {}).get("offset")
    return effective if isinstance(effective, int) and not offset else None


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
    """The first candidate that is a number; harnesses write "N/A" or NaN where there is none (of one question)."""
    numbers = (float(c) for c in candidates if isinstance(c, (int, float)) and not isinstance(c, bool))
    return next(filter(math.isfinite, numbers), None)

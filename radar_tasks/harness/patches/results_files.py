"""lmms-eval's results files: each whole or not there, and never those of two runs in one.

As lmms-eval writes them, they are named by the second in which a run started, so that two runs of one checkpoint
in the same second write into each other's; they grow at their place; and what goes wrong is a warning at the end. Here,
for runs with a task of this project,

* a file is written beside its place, looked at, and moved there when it is whole;
* the results file takes a name that no other run has (`…-2_results.json`), and the samples files go by it;
* a file that cannot be written there goes to the system's temporary folder, and an error says so;
* the version is lmms-eval's release, where it writes the commit of whatever git repository lies around its
  installation, and dates are UTC and say so, where it takes Singapore's clock.

An output folder that cannot be written at all is refused before anything is loaded.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loguru import logger

from radar_tasks.errors import ResultsError
from radar_tasks.harness.patches.patch import Patch, replace
from radar_tasks.results.origin import date_of

WRITER = "lmms_eval.loggers.evaluation_tracker"
"""The module whose lines would name places where nothing stays."""


@dataclass
class Saving:
    """How the files of one run are written; it goes with the run's tracker.

    Attributes:
        whole: whether this is a run with a task of this project.
        elsewhere: folder in the system's temporary one for what cannot be written at its place; a name that nobody
            can have taken.
    """

    whole: bool = False
    elsewhere: str = field(default_factory=lambda: f"radar-results-{secrets.token_hex(8)}")


def install() -> None:
    """Make lmms-eval's tracker write files whole."""
    # The plugin is loaded while lmms-eval imports its models; what is used here is imported by then.
    from lmms_eval.loggers import EvaluationTracker

    replace(EvaluationTracker, "__init__", _if_writable)
    replace(EvaluationTracker, "save_results_aggregated", _results_whole)
    replace(EvaluationTracker, "save_results_samples", _samples_whole)


def _if_writable(make: Callable[..., None]) -> Callable[..., None]:
    def make_if_writable(self: Any, output_path: str | None = None, *args: Any, **more: Any) -> None:
        if output_path:
            refuse_unwritable(Path(output_path))
        make(self, output_path, *args, **more)
        self.saving = Saving()

    return make_if_writable


def _results_whole(save_results: Callable[..., None]) -> Callable[..., None]:
    def save_results_whole(self: Any, results: dict[str, Any], samples: Any, datetime_str: str) -> None:
        self.saving.whole = bool(self.output_path) and _is_ours(results)
        if self.saving.whole:
            utc = date_of({"config": results.get("config")}, datetime_str)
            results |= {"lmms_eval_version": version("lmms-eval"), "git_hash": None, "git_branch": None, "date": utc}
            stamp = utc.replace("-", "").replace(":", "").replace("T", "_")  # 20261123_021112Z
            date = _claim(_folder(self), stamp)
            _write(self, f"{date}_results.json", lambda: save_results(self, results, samples, date), _is_json)
        else:
            save_results(self, results, samples, datetime_str)

    return save_results_whole


def _samples_whole(save_samples: Callable[..., None]) -> Callable[..., None]:
    def save_samples_whole(self: Any, task_name: str, samples: Sequence[Mapping[str, Any]]) -> None:
        if samples and self.saving.whole:
            _write(
                self,
                f"{self.date_id}_samples_{task_name}.jsonl",
                # Copies, since lmms-eval takes the samples apart while it writes, and may have to write them again.
                lambda: save_samples(self, task_name, [dict(sample) for sample in samples]),
                lambda file: file.read_bytes().count(b"\n") == len(samples),
            )
        else:
            save_samples(self, task_name, samples)

    return save_samples_whole


def refuse_unwritable(folder: Path) -> None:
    """Raises `ResultsError` if no file can be made in a folder, or where it would have to be made; leaves no trace."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ResultsError(
            f"Results cannot be written to {folder} ({there}: {error.strerror or error}). Give another --output_path."
        ) from None


def _write(tracker: Any, name: str, write: Callable[[], None], is_whole: Callable[[Path], bool]) -> None:
    """Let lmms-eval write one file, and put it in its place; if that fails, into the system's temporary folder."""
    place = _folder(tracker)
    reason = _written(tracker, place / name, write, is_whole)
    if reason is None:
        logger.info(f"Saved {place / name}")
        return
    elsewhere = Path(tempfile.gettempdir(), tracker.saving.elsewhere)
    if (again := _written(tracker, elsewhere / name, write, is_whole)) is None:
        logger.error(f"{place / name} could not be written: {reason}. It is {elsewhere / name} now: move it there.")
        return
    with contextlib.suppress(OSError):  # it is not empty, or was never made
        elsewhere.rmdir()
    logger.error(
        f"{place / name} could not be written: {reason}; nor could {elsewhere / name}: {again}. Make room and start "
        "again; with --use_cache nothing is scored a second time."
    )


def _written(tracker: Any, target: Path, write: Callable[[], None], is_whole: Callable[[Path], bool]) -> str | None:
    """Why a file could not be written, None if it was; nothing but the whole file is left."""
    output, scratch = tracker.output_path, None
    logger.disable(WRITER)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
        tracker.output_path = str(scratch)
        write()
        file = _folder(tracker) / target.name
        if not is_whole(file):
            return f"it was cut short ({shutil.disk_usage(scratch).free >> 20} MiB are free there)"
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.replace(target)
    except (OSError, ValueError) as error:
        return str(error)
    finally:
        logger.enable(WRITER)
        tracker.output_path = output
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        if target.exists() and target.stat().st_size == 0:  # the name was taken for a file that did not come
            target.unlink()
    return None


def _claim(folder: Path, date: str) -> str:
    """A date that no other run's results in this folder have, also of those that write at this moment."""
    name, number = date, 1
    while True:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}_results.json").open("x").close()
        except FileExistsError:
            number += 1
            name = f"{date}-{number}"
        except OSError:
            return name  # said when the file is written
        else:
            return name


def _folder(tracker: Any) -> Path:
    """Where lmms-eval puts the files of this model."""
    return Path(tracker.output_path) / str(tracker.general_config_tracker.model_name_sanitized)


def _is_ours(results: Mapping[str, Any]) -> bool:
    return any(isinstance(about, Mapping) and "radar" in about for about in (results.get("configs") or {}).values())


def _is_json(file: Path) -> bool:
    return isinstance(json.loads(file.read_text(encoding="utf-8")), dict)


PATCH = Patch(
    seen_in="0.7.3",
    changes="results files of runs with a task of this project are written whole, and no two runs share a name",
    install=install,
)

"""lmms-eval from Python: start once, score many checkpoints, keep only whole results.

What is peculiar to lmms-eval 0.7.3 and handled here: its start-up indexes hundreds of task folders (ours alone are
enough when only they are asked for); its bars and log lines; saving problems are swallowed, so results are written
into a folder beside the final one, read back, and moved there in one step.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radar_tasks import paths
from radar_tasks.errors import RadarError, ResultsError, did_you_mean
from radar_tasks.harness import patches
from radar_tasks.harness.patches.progress_bars import quiet_bars
from radar_tasks.harness.plugin import MODEL_ID
from radar_tasks.harness.ranks import ending_job, failing_together, ranks

if TYPE_CHECKING:
    from radar_tasks.harness.tracked_model import Asking, TrackedModel

RESULT_FILES = ("*_results.json", "*_samples_*.jsonl")


class Harness:
    """A started lmms-eval with the tasks that it will run.

    Args:
        tasks: names of tasks or groups of this project.

    Raises:
        RadarError: a task that does not exist.
    """

    def __init__(self, tasks: Sequence[str]) -> None:
        from lmms_eval.tasks import TaskManager
        from loguru import logger

        patches.install()
        logger.remove()  # lmms-eval logs to stdout; errors reach the caller as exceptions
        self._manager = TaskManager(
            verbosity="ERROR", include_path=str(paths.task_configs("lmms_eval")), include_defaults=False
        )
        if unknown := [task for task in tasks if task not in self._manager.all_tasks]:
            near = did_you_mean(unknown[0], self._manager.all_tasks)
            groups = ", ".join(sorted(self._manager.all_groups))
            raise RadarError(
                f"There is no task {', '.join(unknown)}.{near} Groups: {groups}; `lmms-eval tasks list` shows all."
            )
        self.tasks = list(tasks)

    def data(self) -> dict[str, dict[str, Any]]:
        """What the results will say about every source behind the tasks (`checksum`, `questions`, ...), by name.

        Raises:
            DataError: a source is missing.
        """
        from lmms_eval.evaluator_utils import get_task_list
        from lmms_eval.tasks import get_task_dict

        sources = [
            output.task_config["radar"]["data"] for output in get_task_list(get_task_dict(self.tasks, self._manager))
        ]
        return {data["source"]: data for data in sources}

    def evaluate(
        self,
        model_args: Mapping[str, Any],
        output: Path,
        *,
        batch_size: int | str = "auto",
        limit: int | None = None,
        feature_store: Path | None = None,
        on_scored: Callable[[], None] = lambda: None,
        asking: Asking | None = None,
    ) -> None:
        """Score one checkpoint and put its results folder at `output`; on every rank, written by rank 0.

        Args:
            model_args: `pretrained` and whatever else `RadarHF` takes.
            output: the results folder, replaced as a whole.
            batch_size: questions per batch, or `auto`.
            limit: so many questions per source.
            feature_store: folder in which checkpoints with the same vision tower share its features.
            on_scored: called after every question of this rank.
            asking: says which questions are asked, a part at a time; None for all at once.

        Raises:
            RadarError: the checkpoint, the data or the results, on every rank; `output` is as it was then.
            SystemExit: with several ranks, after any other failure of this one.
        """
        from radar_tasks.harness.tracked_model import TrackedModel

        with ending_job():
            model = TrackedModel(on_scored, asking, batch_size=batch_size, feature_store=feature_store, **model_args)
            try:
                results = self._simple_evaluate(model, model_args, batch_size, limit)
            finally:
                model.clean()
            with failing_together():
                if ranks().is_main_process:
                    save(results, output)

    def _simple_evaluate(
        self, model: TrackedModel, model_args: Mapping[str, Any], batch_size: int | str, limit: int | None
    ) -> dict[str, Any]:
        from lmms_eval.evaluator import simple_evaluate

        with quiet_bars():
            results: dict[str, Any] = simple_evaluate(
                model=model,
                model_args=dict(model_args),
                tasks=list(self.tasks),
                task_manager=self._manager,
                batch_size=batch_size,
                limit=limit,
                bootstrap_iters=0,
                distributed_executor_backend="torchrun" if ranks().use_distributed else "accelerate",
            )
        if results is not None:
            results["config"]["model"] = MODEL_ID
        return results


def save(results: dict[str, Any], output: Path) -> None:
    """Write results as lmms-eval does, all or nothing; former results at `output` are replaced.

    Raises:
        ResultsError: the files could not be written whole (a full disk, say), or `output` holds other things than
            results; it is as it was then.
    """
    from lmms_eval.loggers import EvaluationTracker
    from lmms_eval.utils import get_datetime_str

    from radar_tasks.results import load_run

    refuse_other_files(output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    except OSError as error:
        raise ResultsError(f"Cannot write results under {output.parent}: {error}") from error
    try:
        scratch.chmod(0o755)  # mkdtemp's folders are for their owner alone
        tracker = EvaluationTracker(output_path=str(scratch))
        tracker.general_config_tracker.log_experiment_args(
            MODEL_ID, f"pretrained={results['config']['model_args']['pretrained']}", "", "", False
        )
        # The folder takes its place as a whole, so that lmms-eval may write as it does.
        save_results = inspect.unwrap(EvaluationTracker.save_results_aggregated)
        save_samples = inspect.unwrap(EvaluationTracker.save_results_samples)
        samples = results.pop("samples")
        save_results(tracker, results=results, samples=samples, datetime_str=get_datetime_str())
        for task in results["configs"]:
            save_samples(tracker, task_name=task, samples=samples[task])
        load_run(scratch)  # the tracker swallows what goes wrong, so look at what it left
        replace_folder(scratch, output)
    except (OSError, ResultsError) as error:
        raise ResultsError(f"The results for {output} could not be written whole: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def refuse_other_files(output: Path) -> None:
    """Raises `ResultsError` if a folder that results are to replace holds anything but results."""
    for file in output.rglob("*"):
        if file.is_file() and not any(file.match(pattern) for pattern in RESULT_FILES):
            raise ResultsError(
                f"{output} cannot become a results folder, since it holds {file.relative_to(output)}, which is not a "
                "result. Give another --output."
            )


def replace_folder(new: Path, place: Path) -> None:
    """Put a folder in the place of another, which is gone only when the new one is there; also beside others that do.

    Raises:
        OSError: `new` cannot be moved; the former one is back at its place.
    """
    while True:
        former = place.with_name(f".{place.name}-{uuid.uuid4().hex[:8]}-former")
        with contextlib.suppress(FileNotFoundError):
            place.rename(former)
        try:
            new.rename(place)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                shutil.rmtree(former, ignore_errors=True)
                continue  # somebody else's results got there in between, and are replaced in turn
            if former.exists():
                former.rename(place)
            raise
        shutil.rmtree(former, ignore_errors=True)
        return

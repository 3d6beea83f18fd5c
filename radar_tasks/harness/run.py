"""lmms-eval from Python: start once, score many checkpoints, keep only whole results.

What is peculiar to lmms-eval 0.7.3 and handled here: its start-up indexes hundreds of task folders (ours alone are
enough when only they are asked for); its bars and log lines; saving problems are swallowed, so results are written
into a folder beside the final one, read back, and moved there in one step.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from radar_tasks import paths
from radar_tasks.errors import CheckpointError, RadarError, ResultsError


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

        logger.remove()  # lmms-eval logs to stdout; errors reach the caller as exceptions
        self._manager = TaskManager(
            verbosity="ERROR", include_path=str(paths.task_configs("lmms_eval")), include_defaults=False
        )
        if unknown := [task for task in tasks if task not in self._manager.all_tasks]:
            known = ", ".join(sorted(self._manager.all_groups))
            raise RadarError(
                f"There is no task {', '.join(unknown)}. Groups: {known}; `lmms-eval tasks list` shows all."
            )
        self.tasks = list(tasks)

    def data(self) -> dict[str, str]:
        """The checksum of every source behind the tasks, by name.

        Raises:
            DataError: a source is missing.
        """
        from lmms_eval.evaluator_utils import get_task_list
        from lmms_eval.tasks import get_task_dict

        sources = [
            output.task_config["radar"]["data"] for output in get_task_list(get_task_dict(self.tasks, self._manager))
        ]
        return {data["source"]: data["checksum"] for data in sources}

    def evaluate(
        self,
        model_args: Mapping[str, Any],
        output: Path,
        *,
        batch_size: int | str = "auto",
        limit: float | None = None,
        use_cache: Path | None = None,
    ) -> None:
        """Score one checkpoint and put its results folder at `output`; on every rank, written by rank 0.

        Raises:
            RadarError: the checkpoint, the data or the results; nothing is left at `output` then.
        """
        from accelerate import PartialState

        state = PartialState()
        results = self._simple_evaluate(model_args, batch_size, limit, use_cache, state.use_distributed)
        if state.is_main_process:
            save(results, output)
        state.wait_for_everyone()

    def _simple_evaluate(
        self,
        model_args: Mapping[str, Any],
        batch_size: int | str,
        limit: float | None,
        use_cache: Path | None,
        distributed: bool,
    ) -> dict[str, Any]:
        from lmms_eval.evaluator import simple_evaluate

        with _quiet_bars():
            results: dict[str, Any] = simple_evaluate(
                model="radar_hf",
                model_args=_argument_string(model_args),
                tasks=list(self.tasks),
                task_manager=self._manager,
                batch_size=batch_size,
                limit=limit,
                use_cache=None if use_cache is None else str(use_cache),
                bootstrap_iters=0,
                distributed_executor_backend="torchrun" if distributed else "accelerate",
            )
        return results


def save(results: dict[str, Any], output: Path) -> None:
    """Write results as lmms-eval does, all or nothing; what stood at `output` before is replaced.

    Raises:
        ResultsError: the files could not be written whole (a full disk, say).
    """
    from lmms_eval.loggers import EvaluationTracker
    from lmms_eval.utils import get_datetime_str

    from radar_tasks.results import load_run

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{output.name}-", dir=output.parent))
    except OSError as error:
        raise ResultsError(f"Cannot write results under {output.parent}: {error}") from error
    try:
        tracker = EvaluationTracker(output_path=str(scratch))
        tracker.general_config_tracker.log_experiment_args(
            "radar_hf", results["config"]["model_args"], None, None, False
        )
        samples = results.pop("samples")
        tracker.save_results_aggregated(results=results, samples=samples, datetime_str=get_datetime_str())
        for task in results["configs"]:
            tracker.save_results_samples(task_name=task, samples=samples[task])
        load_run(scratch)  # the tracker swallows what goes wrong, so look at what it left
        if output.exists():
            shutil.rmtree(output)
        scratch.rename(output)
    except (OSError, ResultsError) as error:
        raise ResultsError(f"The results for {output} could not be written whole: {error}") from error
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _argument_string(model_args: Mapping[str, Any]) -> str:
    given = {name: value for name, value in model_args.items() if value is not None}
    for name, value in given.items():
        if any(sign in str(value) for sign in ",\"'{}[]"):
            raise CheckpointError(f"{name}={value}: lmms-eval cannot take a comma, quote or bracket in an argument.")
    return ",".join(f"{name}={value}" for name, value in given.items())


@contextlib.contextmanager
def _quiet_bars() -> Iterator[None]:
    """Silence lmms-eval's bars, one a task and each over in a moment, but not the one of the model."""
    from lmms_eval import evaluator
    from tqdm import tqdm

    evaluator.tqdm = lambda *args, **settings: tqdm(*args, **{**settings, "disable": True})
    try:
        yield
    finally:
        evaluator.tqdm = tqdm

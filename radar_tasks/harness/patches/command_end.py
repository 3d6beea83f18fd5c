"""How a run of lmms-eval's command ends, where a task of this project was in it: what it says, and its exit status.

lmms-eval's command prints a table of every metric of every task, and ends with status 0 whatever has happened. Here

* the table is followed by the headline, SDS of each ability with its 95 % interval, by what was left out, and by the
  command that comes next;
* a run that failed ends with status 1, its message alone where it is one of this project's;
* a run in which questions were left out ends with status 3.

Several runs in one command (`--config` with a list) go on as lmms-eval has it, and end with its status.
"""

from __future__ import annotations

import math
import shlex
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from loguru import logger

from radar_tasks.errors import QUESTIONS_LEFT_OUT, RadarError
from radar_tasks.harness.patches.patch import Patch, replace
from radar_tasks.questions import ABILITIES

FAILED = 1

SHOWN = 5
"""So many questions that were left out are named."""

OUR_MODELS = ("radar_hf", "hf")
OUR_TASKS = "radar"


def install() -> None:
    """Make lmms-eval's table end with the headline."""
    # The plugin is loaded while lmms-eval imports its models; what is used here is imported by then.
    from lmms_eval import utils

    replace(utils, "make_table", _with_headline)


def install_in_evaluator() -> None:
    """Make a failed run of lmms-eval's command end with a status that says so."""
    # This waits for lmms-eval to be imported whole.
    from lmms_eval import evaluator

    replace(evaluator, "simple_evaluate", _exiting)


def headline(results: Mapping[str, Any]) -> list[str]:
    """What a reader looks for first in the results of a run, a line each; none where no task of this project was."""
    records = [config["radar"] for config in results["configs"].values() if "radar" in config]
    records = [record for record in records if "metrics" in record]
    lines = []
    for ability in ABILITIES:
        if members := [record for record in records if record["data"]["ability"] == ability]:
            lines.append(_of_ability(ability, members))
    if lines:
        lines.insert(0, "SDS, the mean probability of the right option, with its 95 % interval:")
    refused = left_out(results)
    if refused:
        lines.append(f"Left out, because the checkpoint refuses them: {len(refused)} question(s).")
        lines += [f"  {reason}" for reason in refused[:SHOWN]]
    return [*lines, *_next_command(results)] if lines else []


def left_out(results: Mapping[str, Any]) -> list[str]:
    """Why questions were left out, one text per question."""
    return [reason for config in results["configs"].values() for reason in config.get("radar", {}).get("refused", [])]


def _of_ability(ability: str, members: Sequence[Mapping[str, Any]]) -> str:
    """The unweighted mean over an ability's sources; these are independent, so that their errors add in squares."""
    k = len(members)
    sds = sum(record["metrics"]["sds"] for record in members) / k
    chance = sum(record["chance"] for record in members) / k
    widths = [record["sds_half_width"] for record in members if "sds_half_width" in record]
    width = f" ± {math.hypot(*widths) / k:.3f}" if len(widths) == k else ""
    names = ", ".join(record["data"]["source"] for record in members)
    of = names if k == 1 else f"mean over {names}"
    return f"  {ability:<10} {sds:.3f}{width}   (chance {chance:.3f}; {of})"


def _next_command(results: Mapping[str, Any]) -> list[str]:
    given = _given(results)
    if given.get("output_path") and given.get("log_samples"):
        folder = shlex.quote(str(given["output_path"]))
        return [f"Next: radar analyze {folder}, or radar report {folder} --output report.html"]
    return ["To continue with `radar analyze` and `radar report`, run with --output_path FOLDER --log_samples."]


def _given(results: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of the command, which lmms-eval writes into the results; none for a run from Python."""
    given: Mapping[str, Any] = results.get("config", {}).get("resolved_cli_args", {})
    return given


def _with_headline(make_table: Callable[..., str]) -> Callable[..., str]:
    def make_table_and_headline(result_dict: Mapping[str, Any], column: str = "results", *more: Any) -> str:
        table = make_table(result_dict, column, *more)
        last = column == "groups" or "groups" not in result_dict
        lines = headline(result_dict) if last else []
        if not lines:
            return table
        text = "\n".join([table, *lines])
        given = _given(result_dict)
        if given and not given.get("config") and left_out(result_dict):
            # The table is the last thing that lmms-eval's command does, and it has no other door to an exit status.
            print(text, flush=True)
            raise SystemExit(QUESTIONS_LEFT_OUT)
        return text

    return make_table_and_headline


def _exiting(simple_evaluate: Callable[..., Any]) -> Callable[..., Any]:
    def simple_evaluate_or_exit(*args: Any, cli_args: Any = None, **settings: Any) -> Any:
        try:
            return simple_evaluate(*args, cli_args=cli_args, **settings)
        except Exception as error:
            by_command = cli_args is not None and not cli_args.config and cli_args.verbosity != "DEBUG"
            if not by_command or not _is_ours(cli_args):
                raise
            if not isinstance(error, RadarError):
                traceback.print_exception(error)
            logger.error(f"The run failed: {error}")
            raise SystemExit(FAILED) from error

    return simple_evaluate_or_exit


def _is_ours(cli_args: Any) -> bool:
    tasks = str(cli_args.tasks or "").split(",")
    return cli_args.model in OUR_MODELS or any(task.startswith(OUR_TASKS) for task in tasks)


PATCH = Patch(
    seen_in="0.7.3",
    changes="behind the table stand SDS of each ability, what was left out and the next command; the exit status tells",
    install=install,
    install_in_evaluator=install_in_evaluator,
)

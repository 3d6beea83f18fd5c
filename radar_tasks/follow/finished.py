"""Whether a checkpoint has its results already, why it is scored again, and whether that would destroy others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from radar_tasks.errors import CheckpointError, ResultsError
from radar_tasks.harness.evaluation import refuse_other_files
from radar_tasks.results import CheckpointResult, load_run
from radar_tasks.results.until_record import until_of
from radar_tasks.run_arguments import limit_of, model_arguments
from radar_tasks.scoring.checkpoints import recognise
from radar_tasks.scoring.checkpoints.fingerprints import of_an_earlier_scheme
from radar_tasks.scoring.checkpoints.model_args import options_for

CHOSEN = ("attn_implementation", "prompt_format", "min_pixels", "max_pixels", "max_tiles", "blind")
"""What a user chooses and the results say as `describe` does."""

GIVEN = {"dtype": "auto", "scoring": "auto", "processor": None, "prior": None}
"""Further choices, with what stands for none; they are in the results as arguments."""

FOUND = ("name", "kind", "model_type", "adapter", "weights", "setup", "transformers", "torch", "radar")
"""What is as it is; results made when it was otherwise are out of date."""


def reason_to_score(
    checkpoint: Path,
    model_args: Mapping[str, Any],
    results: Path,
    data: Mapping[str, Mapping[str, Any]],
    *,
    limit: int | None,
    until: float | None,
) -> str | None:
    """Why a checkpoint is to be scored: "" where there are no whole results, None where nothing has changed since.

    Args:
        checkpoint: its folder.
        model_args: arguments of the model without `pretrained`.
        results: its results folder; need not exist.
        data: what is to be asked, by source, with its `checksum`.
        limit: questions per source, None for all.
        until: the delta at which asking ends, None for all questions.

    Raises:
        ResultsError: the folder holds results of other settings, more questions or more sources, or other files:
            scoring would destroy them.
    """
    refuse_other_files(results)
    try:
        run = load_run(results)
    except ResultsError:
        return ""
    try:
        now = recognise(options_for(str(checkpoint), model_args)[0]).describe()
    except CheckpointError:
        return ""  # what is wrong with it is said when it is scored
    _refuse_other_settings(run, {**now, **_given(model_args)}, limit, until)
    if _other_data(run, data):
        return "its questions are others than in its results"
    if limit != limit_of(run.config):
        return f"its results are of {limit_of(run.config) or 'all'} questions per source"
    if until != (before := until_of(run.scoring)):
        return f"its results are of as many questions as until={before:g} took"
    return next(
        (_change(name, run.scoring.get(name), now[name]) for name in FOUND if run.scoring.get(name) != now[name]), None
    )


def _change(name: str, was: Any, now: Any) -> str:
    if name == "weights" and of_an_earlier_scheme(was):
        return "its results are of an earlier version, which told weights apart by samples of large files"
    words = {"weights": "its weights", "setup": "its configuration, processor or tokenizer"}
    return f"{words[name]} are others than in its results" if name in words else f"{name} was {was} and is {now}"


def asked_alike(result: CheckpointResult, now: Mapping[str, Any], data: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a result was asked these sources in the same way, so that its questions can be paired.

    Args:
        result: of another checkpoint.
        now: what this one says of its settings, as `describe` does.
        data: what is asked now, by source, with its `checksum`.
    """
    return all(result.scoring.get(name) == now.get(name) for name in CHOSEN) and _same_data(result, data)


def _refuse_other_settings(
    run: CheckpointResult, now: Mapping[str, Any], limit: int | None, until: float | None
) -> None:
    was = {**run.scoring, **_given(run.config.get("model_args"))}
    pairs = [(name, was.get(name), now[name]) for name in (*CHOSEN, *GIVEN)]
    before = limit_of(run.config)
    if limit is not None and (before is None or before > limit):
        pairs.append(("limit", before, limit))
    delta = until_of(run.scoring)
    if until is not None and (delta is None or delta < until):
        pairs.append(("until", delta, until))
    if changes := [f"{name} was {then} and is {is_} now" for name, then, is_ in pairs if then != is_]:
        raise ResultsError(
            f"{run.folder} holds results made with other settings: {'; '.join(changes)}. They would be lost: give "
            "another --output, or remove them."
        )


def _given(model_args: Any) -> dict[str, Any]:
    """The choices in arguments as this project records them; lmms-eval's command line records a text."""
    given = model_arguments(model_args)
    return {name: given.get(name, default) for name, default in GIVEN.items()}


def _same_data(result: CheckpointResult, data: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether a result has these sources, those left out that are missing, with the same checksums."""
    return all(
        about.get("missing") or result.data.get(source, {}).get("checksum") == about.get("checksum")
        for source, about in data.items()
    )


def _other_data(run: CheckpointResult, data: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether anything asked for is not there, or was made from other data."""
    if _same_data(run, data):
        return False
    if others := sorted(set(run.data) - {source for source, about in data.items() if not about.get("missing")}):
        raise ResultsError(
            f"{run.folder} also holds results of {', '.join(others)}, which would be lost: give another --output, or "
            "ask for these sources, too."
        )
    return True

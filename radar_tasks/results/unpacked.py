"""Results written as a harness leaves them, from a packed file: a folder per checkpoint that every command reads."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from radar_tasks.errors import ResultsError
from radar_tasks.results.metrics import per_question
from radar_tasks.results.model import SCORES, CheckpointResult, SourceSamples
from radar_tasks.results.packed import is_given, read_packed
from radar_tasks.run_arguments import limit_of


def unpack(file: Path, folder: Path) -> list[Path]:
    """Writes the results in a packed file as a harness leaves them, a folder per checkpoint.

    Args:
        file: that `pack` wrote.
        folder: is made; must not be there, or be empty.

    Returns:
        The results files.

    Raises:
        ResultsError: see `read_packed`; or the folder holds something, or cannot be written; nothing is left then.
    """
    results = read_packed(file)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResultsError(f"{folder} is there already: give --output a folder that is new or empty.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
            written = [_write_result(result, Path(scratch, "results"), k) for k, result in enumerate(results)]
            Path(scratch, "results").replace(folder)
            return [folder / path for path in written]
    except OSError as error:
        raise ResultsError(f"{folder} could not be written: {error.strerror or error}.") from None


def _write_result(result: CheckpointResult, folder: Path, k: int) -> str:
    """Both kinds of files of one result; the results file's place below the folder."""
    place = f"{k:03d}-{_file_name(result.name)}"
    stamp = _file_name(result.date)
    ours = result.harness == "lmms-eval"
    (folder / place).mkdir(parents=True)
    for samples in result.sources.values():
        name = f"{stamp}_samples_{samples.leaf}.jsonl" if ours else f"samples_{samples.leaf}_{stamp}.jsonl"
        with (folder / place / name).open("w", encoding="utf-8") as lines:
            lines.writelines(_lines(samples, ours))
    file = f"{place}/{stamp}_results.json" if ours else f"{place}/results_{stamp}.json"
    (folder / file).write_text(json.dumps(_results_json(result), indent=1, ensure_ascii=False), encoding="utf-8")
    return file


def _lines(samples: SourceSamples, ours: bool) -> Iterator[str]:
    ragged = {name: column for name in (*SCORES, "tokens", "bytes") if (column := getattr(samples, name)) is not None}
    if not is_given(samples, "logprob_sum"):
        ragged.pop("logprob_sum", None)
    scores = per_question(samples, "sds" if ours else "sds_bytes")
    for k in range(len(samples)):
        options, answer = samples.options[k], int(samples.answer[k])
        record = {
            "score": None if scores is None else float(scores[k]),
            "q_id": str(samples.q_id[k]),
            "image_id": str(samples.image_id[k]),
            "category": str(samples.category[k]),
            "options": options,
            "answer": answer,
            **{name: column[k].tolist() for name, column in ragged.items()},
        }
        prompt = samples.prompts[k]
        asked = {"sds": record, "input": prompt} if ours else _lm_eval(record, prompt)
        yield json.dumps({"doc_id": k, "target": options[answer], **asked}, ensure_ascii=False) + "\n"


def _lm_eval(record: Mapping[str, Any], prompt: str) -> dict[str, Any]:
    return {"sds_bytes": record, "arguments": {"gen_args_0": {"arg_0": prompt}}}


def _results_json(result: CheckpointResult) -> dict[str, Any]:
    name, _, revision = result.name.partition("@")
    is_model = result.experiment.rstrip("/").split("/")[-1] == name
    pretrained = result.experiment if is_model else f"{result.experiment}/{name}"
    printed = {
        task: {
            key: number
            for metric, (value, error) in of.items()
            for key, number in ((f"{metric},none", value), (f"{metric}_stderr,none", error))
        }
        for task, of in result.metrics.items()
    }
    return {
        "results": {samples.leaf: {} for samples in result.sources.values()} | printed,
        "configs": {
            samples.leaf: {
                "task": samples.leaf,
                "metadata": {"headline": "categories"} if samples.by_category else {},
                "radar": {"data": result.data[source], "scoring": result.scoring},
            }
            for source, samples in result.sources.items()
        },
        "config": {
            "model_args": {"pretrained": pretrained, **({"revision": revision} if revision else {})},
            "limit": limit_of(result.config),
        },
        "n-samples": {s.leaf: {"effective": len(s)} for s in result.sources.values()},
        "lmms_eval_version" if result.harness == "lmms-eval" else "lm_eval_version": result.harness_version,
        "date": result.date,
    }


def _file_name(text: str) -> str:
    """A text as a part of a file's name on every system; never one that leads out of its folder or is hidden."""
    return re.sub(r"[^\w.@+-]+", "-", text).strip(".-")[:100] or "result"

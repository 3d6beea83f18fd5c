"""Results folders in lmms-eval's true layout, from simulated scores: what analysis, report and export are tested on.

    write_run(tmp_path / "exp1" / "step-00200", "step-00200", {"mmbench": simulate("mmbench", 60, skill=0.8)})

Questions of a source (texts, options, pictures, how hard each is) depend on its name alone; a run adds its skill and
its own noise. So two runs of one source are paired, and their difference is known: `skill` is the mean log-odds that
the model gives to the right option.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ABILITIES = {
    **dict.fromkeys(["mmbench", "wiki_animal", "wiki_plant", "wiki_celebrity", "wiki_attraction"], "perception"),
    **dict.fromkeys(["spatial", "mathvista", "seephys", "mmmu_pro"], "reasoning"),
}
SAMPLE = {
    **dict.fromkeys(["mini_digits", "mini_colour", "mini_shape", "mini_background", "mini_object"], "perception"),
    **dict.fromkeys(["mini_side", "mini_count", "mini_most", "mini_larger", "mini_sum"], "reasoning"),
}
BY_CATEGORY = ("mmbench", "mmmu_pro")
SCORING = {
    "kind": "native",
    "model_type": "qwen2_vl",
    "dtype": "float32",
    "prompt_format": "plain",
    "scoring": "shared",
    "blind": False,
    "max_pixels": 602112,
    "weights": "f" * 16,
    "seconds": 1.5,
}

Record = dict[str, Any]


def simulate(
    source: str,
    n: int,
    skill: float,
    *,
    seed: int = 0,
    noise: float = 0.3,
    options: Sequence[int] = (2,),
    per_image: int = 2,
    logit: bool = True,
    tokens: bool = True,
) -> list[Record]:
    """The `sds` records of one run on one source.

    Args:
        source: one of the nine (`ABILITIES`) or of the embedded sample (`SAMPLE`); decides the questions.
        n: number of questions, named q0000 and so on.
        skill: mean of log p(right option) - log p(distractor), a token.
        seed: of the noise that is this run's own.
        noise: its standard deviation.
        options: numbers of options, in turn.
        per_image: questions on one image.
        logit: False for a stock model.
        tokens: False for a stock model that counts none.
    """
    shared = np.random.default_rng(int(hashlib.sha256(source.encode()).hexdigest()[:8], 16))
    own = np.random.default_rng([seed, 7])
    records = []
    for i in range(n):
        m = options[i % len(options)]
        answer = int(shared.integers(m))
        hardness = shared.normal(0, 1.0)
        level = shared.normal(-8.0, 0.4, size=8)[:m]
        counts = shared.integers(1, 5, size=8)[:m]
        logprob = level + own.normal(0, noise / np.sqrt(2), size=8)[:m]
        logprob[answer] = np.delete(logprob, answer).max() + skill + hardness + own.normal(0, noise)
        logprob = np.minimum(logprob, -1e-3)
        texts = [f"{source} answer {i} {'abcdefgh'[k] * int(counts[k])}" for k in range(m)]
        records.append(
            {
                "score": float(np.exp(logprob[answer]) / np.exp(logprob).sum()),
                "q_id": f"q{i:04d}",
                "image_id": f"image{i // per_image:04d}",
                "category": f"category {i % 3}" if source in BY_CATEGORY else "",
                "options": texts,
                "answer": answer,
                "logprob": logprob.tolist(),
                **({"logit": (logprob + 12.0 + own.normal(0, 0.3, size=8)[:m]).tolist()} if logit else {}),
                **({"tokens": counts.tolist()} if tokens else {}),
                "bytes": [len(text.encode()) for text in texts],
            }
        )
    return records


def write_run(
    folder: Path,
    name: str,
    sources: Mapping[str, Sequence[Record]],
    *,
    date: str = "20261123_101112",
    experiment: str = "checkpoints/exp1",
    scoring: Mapping[str, Any] | None = None,
    model_args: Mapping[str, Any] | None = None,
    checksums: Mapping[str, str] | None = None,
    limit: int | None = None,
) -> Path:
    """Writes the two kinds of files as lmms-eval does with `--output_path FOLDER --log_samples`.

    Args:
        folder: the `--output_path`.
        name: the checkpoint's name; its path is `{experiment}/{name}`.
        sources: records of `simulate` by source.
        date: lmms-eval's stamp of the run.
        experiment: where the checkpoint lies.
        scoring: changes to `SCORING`; an empty dictionary stands for itself, a stock model's.
        model_args: further model arguments.
        checksums: of the data of a source, where it should differ.
        limit: as the results give it.

    Returns:
        The results file.
    """
    pretrained = f"{experiment}/{name}"
    into = folder / "__".join(pretrained.split("/")[-2:])
    into.mkdir(parents=True, exist_ok=True)
    leaves = {source: f"radar_{source}" for source in sources}
    for source, records in sources.items():
        lines = [_line(i, record) for i, record in enumerate(records)]
        (into / f"{date}_samples_{leaves[source]}.jsonl").write_text("".join(lines), encoding="utf-8")
    described = {} if scoring == {} else {"name": name, **SCORING, **(scoring or {})}
    arguments = ",".join(f"{k}={v}" for k, v in {"pretrained": pretrained, **(model_args or {})}.items())
    results = {
        "results": {leaves[source]: _row(records, leaves[source]) for source, records in sources.items()},
        "group_subtasks": {leaf: [] for leaf in leaves.values()},
        "configs": {
            leaf: {
                "task": leaf,
                "dataset_name": source,
                "metadata": {"version": 1.0, **({"headline": "categories"} if source in BY_CATEGORY else {})},
                "radar": {
                    "data": _data(source, len(sources[source]), (checksums or {}).get(source)),
                    "scoring": described,
                    "metrics": {"sds": float(np.mean([r["score"] for r in sources[source]]))},
                },
            }
            for source, leaf in leaves.items()
        },
        "n-samples": {
            leaf: {"original": len(sources[source]), "effective": len(sources[source])}
            for source, leaf in leaves.items()
        },
        "config": {"model": "radar_hf", "model_args": arguments, "limit": limit},
        "lmms_eval_version": "0.7.3",
        "model_name": pretrained,
        "date": date,
    }
    file = into / f"{date}_results.json"
    file.write_text(json.dumps(results, indent=2), encoding="utf-8")
    return file


def write_curve(
    folder: Path, steps: Sequence[int], skills: Mapping[str, Sequence[float]], n: int = 40, **more: Any
) -> list[Path]:
    """A tracked run: one results folder a step below `folder`, as `radar track` leaves it.

    Args:
        folder: e.g. `tmp_path / "exp1"`.
        steps: training steps.
        skills: per source its skill at each step.
        n: questions per source.
        more: further arguments of `write_run`.
    """
    more.setdefault("experiment", f"checkpoints/{folder.name}")
    return [
        write_run(
            folder / f"step-{step:05d}",
            f"step-{step:05d}",
            {source: simulate(source, n, values[k], seed=step) for source, values in skills.items()},
            **more,
        )
        for k, step in enumerate(steps)
    ]


def _data(source: str, n: int, checksum: str | None) -> dict[str, Any]:
    return {
        "source": source,
        "ability": (ABILITIES | SAMPLE)[source],
        "task": f"task of {source}",
        "checksum": checksum or hashlib.sha256(source.encode()).hexdigest(),
        "questions": n,
        "origin": {"kind": "sample", "location": "fake"},
        "stand_in": False,
        "skipped": 0,
        "too_many_images": 0,
    }


def _line(doc_id: int, record: Record) -> str:
    groups = {"image_id": record["image_id"], "category": record["category"]}
    line = {
        "doc_id": doc_id,
        "target": record["options"][record["answer"]],
        "filtered_resps": [json.dumps({"logprob": value}) for value in record["logprob"]],
        "doc_hash": hashlib.sha256(record["q_id"].encode()).hexdigest(),
        "sds": record,
        "nll": {"score": -record["logprob"][record["answer"]], **groups},
        "input": f"Question {record['q_id']}?",
    }
    return json.dumps(line, ensure_ascii=False) + "\n"


def _row(records: Sequence[Record], leaf: str) -> dict[str, Any]:
    scores = [record["score"] for record in records]
    return {
        "alias": leaf,
        "samples": len(records),
        "sds,none": float(np.mean(scores)),
        "sds_stderr,none": "N/A",
        "sds_stderr_clustered,none": float(np.std(scores, ddof=1) / np.sqrt(len(scores))),
        "nll,none": float(np.mean([-r["logprob"][r["answer"]] for r in records])),
        "nll_stderr,none": "N/A",
    }

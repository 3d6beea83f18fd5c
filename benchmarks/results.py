"""Reading results: time and memory of `radar analyze` and `radar report`, and the size of a packed file.

    python benchmarks/results.py --checkpoints 8 32 100

Makes results of M3-Bench's size (15,894 questions in 9 sources) as lmms-eval leaves them, for so many checkpoints of
one training, and runs the commands on them in processes of their own: with nothing kept (`cold`), with the columns kept
(`cached`), and on the packed file. Times are wall clock and processor time (user and system) of the process; memory is
its largest resident set. Everything is made in a temporary folder, which takes 15 MB a checkpoint.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SOURCES = {
    "mmbench": ("perception", 1164),
    "wiki_animal": ("perception", 2000),
    "wiki_plant": ("perception", 2000),
    "wiki_celebrity": ("perception", 2000),
    "wiki_attraction": ("perception", 2000),
    "spatial": ("reasoning", 2000),
    "mathvista": ("reasoning", 1000),
    "seephys": ("reasoning", 2000),
    "mmmu_pro": ("reasoning", 1730),
}
BY_CATEGORY = {"mmbench": 20, "mmmu_pro": 30}
QUESTIONS = sum(count for _, count in SOURCES.values())
STAMP = "20261123_101112"


def main() -> None:
    """Make results, measure, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoints", type=int, nargs="+", default=[8, 32, 100])
    parser.add_argument("--folder", type=Path, help="where to make them, and to leave them for another time")
    parser.add_argument("--only", nargs="*", default=["analyze", "report", "pack"], help="what to measure")
    chosen = parser.parse_args()
    folder = chosen.folder or Path(tempfile.mkdtemp(prefix="radar-benchmark-"))
    try:
        print("| checkpoints | command | | wall s | processor s | memory MB | size |")
        print("| ---: | --- | --- | ---: | ---: | ---: | ---: |")
        for checkpoints in chosen.checkpoints:
            made = folder / str(checkpoints)
            if not made.exists():
                make(made, checkpoints)
            measure(made, checkpoints, chosen.only, folder)
    finally:
        if chosen.folder is None:
            shutil.rmtree(folder)


def measure(results: Path, checkpoints: int, only: list[str], folder: Path) -> None:
    """The commands on one training's results."""
    home, packed = folder / f"home-{checkpoints}", folder / f"{checkpoints}.parquet"
    page = str(folder / "page.html")
    for name, command in {"analyze": ["analyze"], "report": ["report", "--output", page]}.items():
        if name in only:
            shutil.rmtree(home, ignore_errors=True)
            for state in ("cold", "cached"):
                row(checkpoints, name, state, run([*command, str(results)], home))
    if "pack" in only:
        row(
            checkpoints, "results pack", "cached", run(["results", "pack", str(results), "--output", str(packed)], home)
        )
        size = packed.stat().st_size / QUESTIONS / checkpoints
        print(f"| {checkpoints} | packed file | | | | | {size:.1f} bytes per question and checkpoint |")
        shutil.rmtree(home, ignore_errors=True)
        row(checkpoints, "analyze", "packed", run(["analyze", str(packed)], home))


def run(command: list[str], home: Path) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and MB of a `radar` command."""
    environment = {**os.environ, "RADAR_HOME": str(home)}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "radar_tasks.cli", *command], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"radar {' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def row(checkpoints: int, command: str, state: str, measured: tuple[float, float, float]) -> None:
    """One line of the table."""
    wall, processor, memory = measured
    print(f"| {checkpoints} | {command} | {state} | {wall:.1f} | {processor:.1f} | {memory:.0f} | |", flush=True)


def make(folder: Path, checkpoints: int) -> None:
    """Results folders of one training, a checkpoint each: abilities that rise, and noise of each checkpoint's own."""
    shared = {source: questions(source, count) for source, (_, count) in SOURCES.items()}
    for k in range(checkpoints):
        step = 200 * (k + 1)
        into = folder / f"step-{step:05d}"
        into.mkdir(parents=True)
        configs, results = {}, {}
        for source, (ability, _) in SOURCES.items():
            skill = (1.5 if ability == "perception" else 0.4) * (1 - np.exp(-(k + 1) / checkpoints * 3))
            lines, score = answers(source, shared[source], skill, np.random.default_rng([k, len(source)]))
            (into / f"{STAMP}_samples_radar_{source}.jsonl").write_text("".join(lines), encoding="utf-8")
            results[f"radar_{source}"] = {"alias": source, "sds,none": score}
            configs[f"radar_{source}"] = config(source, ability, f"step-{step:05d}")
        whole = {
            "results": results,
            "configs": configs,
            "config": {
                "model": "radar_hf",
                "model_args": f"pretrained=checkpoints/exp1/step-{step:05d}",
                "limit": None,
            },
            "lmms_eval_version": "0.7.3",
            "date": "2026-11-23T10:11:12Z",
        }
        (into / f"{STAMP}_results.json").write_text(json.dumps(whole), encoding="utf-8")


def config(source: str, ability: str, name: str) -> dict[str, object]:
    """What a results file says of a source."""
    data = {"source": source, "ability": ability, "task": source, "checksum": source, "questions": SOURCES[source][1]}
    scoring = {"name": name, "prompt_format": "plain", "dtype": "float32", "blind": False}
    headline = {"headline": "categories"} if source in BY_CATEGORY else {}
    return {"task": f"radar_{source}", "metadata": headline, "radar": {"data": data, "scoring": scoring}}


def questions(source: str, count: int) -> dict[str, list]:
    """What is the same at every checkpoint."""
    rng = np.random.default_rng(sum(map(ord, source)))
    options = [[f"{source} answer {i} {'ab'[m] * int(rng.integers(1, 30))}" for m in range(2)] for i in range(count)]
    return {
        "options": options,
        "answer": rng.integers(2, size=count).tolist(),
        "hardness": rng.normal(0, 1, count).tolist(),
        "tokens": rng.integers(1, 8, size=(count, 2)).tolist(),
        "prompt": [
            f"Question {i} of {source}: what does the picture show, and where does it stand?" for i in range(count)
        ],
    }


def answers(source: str, asked: dict[str, list], skill: float, rng: np.random.Generator) -> tuple[list[str], float]:
    """The lines of a samples file, and the score that is printed."""
    count = len(asked["answer"])
    answer = np.array(asked["answer"])
    logprob = rng.normal(-6, 0.5, size=(count, 2))
    gain = skill + np.array(asked["hardness"]) + rng.normal(0, 0.3, count)
    logprob[np.arange(count), answer] = np.minimum(logprob[np.arange(count), 1 - answer] + gain, -1e-3)
    # Scores come out of float32, as a model's do.
    logprob = logprob.astype(np.float32).astype(np.float64)
    logit = (logprob + 12 + rng.normal(0, 0.3, size=(count, 2))).astype(np.float32).astype(np.float64)
    score = 1 / (1 + np.exp(logprob[np.arange(count), 1 - answer] - logprob[np.arange(count), answer]))
    category = [f"category {i % BY_CATEGORY[source]}" if source in BY_CATEGORY else "" for i in range(count)]
    lines = []
    for i in range(count):
        groups = {"image_id": f"{source}-{i // 2:05d}", "category": category[i]}
        measured = {"logprob": logprob[i].tolist(), "logit": logit[i].tolist(), "tokens": asked["tokens"][i]}
        sizes = [len(option.encode()) for option in asked["options"][i]]
        about = {"q_id": f"{source}-{i:05d}", "options": asked["options"][i], "answer": asked["answer"][i]}
        line = {
            "doc_id": i,
            "target": asked["options"][i][asked["answer"][i]],
            "filtered_resps": [json.dumps({"logprob": value}) for value in measured["logprob"]],
            "doc_hash": f"{i:064d}",
            "sds": {"score": float(score[i]), **groups, **about, **measured, "bytes": sizes},
            "acc": {"score": float(score[i] > 0.5), **groups},
            "nll": {"score": -measured["logprob"][asked["answer"][i]], **groups},
            "input": asked["prompt"][i],
        }
        lines.append(json.dumps(line) + "\n")
    names, of = np.unique(category, return_inverse=True)
    mean = float(np.mean([score[of == k].mean() for k in range(len(names))]))
    return lines, mean


if __name__ == "__main__":
    main()

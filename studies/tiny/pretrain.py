"""Train the runs of the plan, two side by side with one thread each; the same command goes on where it stopped.

    python studies/tiny/pretrain.py OUT [RUN ...]

writes OUT/RUN/step-00050, ...; a run that another one starts from is trained first.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
EXAMPLE = HERE.parents[1] / "examples" / "tiny_pretraining"
PLAN = HERE / "plan.yaml"
SIDE_BY_SIDE = 2


def read_plan(file: Path = PLAN) -> dict[str, Any]:
    """The plan, as it is committed."""
    plan: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return plan


def begins_with(run: Mapping[str, Any]) -> list[str]:
    """The runs whose checkpoints a run starts from."""
    return [str(run[part]).split("/")[0] for part in ("language", "tower", "everything") if part in run]


def recipe_of(plan: Mapping[str, Any], name: str, out: Path) -> Any:
    """The `Recipe` of `train.py` that a line of the plan stands for."""
    from train import Recipe

    run = dict(plan["runs"][name])
    mixes = [(0, plan["mixes"][run.pop("mix", "base")])]
    mixes += [(int(step), plan["mixes"][mix]) for step, mix in run.pop("later", {}).items()]
    folders = {part: out / run.pop(part) for part in ("language", "tower", "everything") if part in run}
    common = {name: plan[name] for name in ("steps", "batch", "kept", "tokenizer_seed", "in_order", "log_every")}
    return Recipe(**{**common, **run, **folders, "mixes": mixes})


def is_finished(plan: Mapping[str, Any], name: str, out: Path) -> bool:
    """Whether a run has written its last checkpoint."""
    return (out / name / f"step-{max(kept_steps(plan, name)):05d}").is_dir()


def kept_steps(plan: Mapping[str, Any], name: str) -> list[int]:
    """The steps whose checkpoints a run keeps."""
    return list(plan["runs"][name].get("kept", plan["kept"]))


def fine_tuned(plan: Mapping[str, Any]) -> list[tuple[str, int, int]]:
    """Run, step and seed of each fine-tuning of a plan: every checkpoint kept of its configurations but the untrained
    one, with each seed."""
    asked = plan["fine_tuning"]
    return [
        (run, step, seed)
        for run in asked["configurations"]
        for seed in asked["seeds"][run]
        for step in kept_steps(plan, run)
        if step > 0
    ]


def train_all(out: Path, names: list[str], plan_file: Path = PLAN) -> None:
    """Train runs two at a time, each in a process with one thread; its log lies beside its checkpoints."""
    plan = read_plan(plan_file)
    waiting = [name for name in names if not is_finished(plan, name, out)]
    running: dict[str, subprocess.Popen[bytes]] = {}
    started = time.monotonic()
    done = 0
    failed: list[str] = []
    while waiting or running:
        for name in list(waiting):
            ready = all(is_finished(plan, before, out) for before in begins_with(plan["runs"][name]))
            if ready and len(running) < SIDE_BY_SIDE:
                waiting.remove(name)
                (out / name).mkdir(parents=True, exist_ok=True)
                log = (out / name / "training.log").open("ab")
                command = [sys.executable, __file__, str(out), name, "--here", "--plan", str(plan_file)]
                environment = {**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
                running[name] = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        if not running:
            break
        time.sleep(2)
        for name, process in list(running.items()):
            if process.poll() is None:
                continue
            del running[name]
            if process.returncode:  # the others do not wait for it to be mended
                failed.append(name)
                print(f"{name} failed; see {out / name / 'training.log'}", flush=True)
                continue
            done += 1
            each = (time.monotonic() - started) / done
            left = each * (len(waiting) + len(running)) / 60
            print(f"{name} is trained; {len(waiting) + len(running)} to go, about {left:.0f} min", flush=True)
    if waiting:
        print(f"{', '.join(waiting)} could not start: the runs they start from are not there", flush=True)
    if waiting or failed:
        raise SystemExit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the checkpoints of all runs")
    parser.add_argument("runs", nargs="*", help="names of the plan; all of them by default")
    parser.add_argument("--plan", type=Path, default=PLAN, help="another plan than the committed one")
    parser.add_argument("--here", action="store_true", help="train the one run named in this process")
    options = parser.parse_args()
    if not options.here:
        train_all(options.out, options.runs or list(read_plan(options.plan)["runs"]), options.plan)
        return
    sys.path.insert(0, str(EXAMPLE))
    import torch
    from train import pretrain

    torch.set_num_threads(1)
    (name,) = options.runs
    pretrain(options.out / name, recipe_of(read_plan(options.plan), name, options.out))


if __name__ == "__main__":
    main()

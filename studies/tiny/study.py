"""The whole study: train, score, fine-tune, and make tables and cards; the same command goes on where it stopped.

    python studies/tiny/study.py OUT [--quick]

leaves OUT/runs (checkpoints), OUT/results (a packed file a run), OUT/finetuned and OUT/tables. All of it takes about
four hours of two cores. `--quick` makes a tenth of the plan in minutes: fewer runs, steps, checkpoints and questions.
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
from pretrain import HERE, PLAN, read_plan

QUICK_RUNS = (
    "base-1",
    "base-2",
    "width-064",
    "pool-1-64",
    "text-only",
    "projector-only",
    "onset-0566",
    "groups-tripled",
)
QUICK_SHARE = 10


def quick_plan(plan: Mapping[str, Any]) -> dict[str, Any]:
    """The same plan at a tenth: steps, pools and questions, of every third checkpoint of some of the runs."""
    runs = {name: _shortened(plan["runs"][name]) for name in QUICK_RUNS}
    kept = _kept(plan["kept"])
    # What one run hands to another is its last checkpoint.
    for run in runs.values():
        for part in ("language", "tower", "everything"):
            if part in run:
                giver = run[part].split("/")[0]
                run[part] = f"{giver}/step-{max(runs[giver].get('kept', kept)):05d}"
    asked = plan["fine_tuning"]
    configurations = [name for name in asked["configurations"] if name in QUICK_RUNS]
    return {
        **plan,
        "steps": plan["steps"] // QUICK_SHARE,
        "kept": kept,
        "runs": runs,
        "questions_each": plan["questions_each"] // QUICK_SHARE,
        "fine_tuning": {
            **asked,
            "configurations": configurations,
            "steps": asked["steps"] // QUICK_SHARE,
            "seeds": {name: asked["seeds"][name] for name in configurations},
        },
    }


def _shortened(run: Mapping[str, Any]) -> dict[str, Any]:
    shorter = dict(run)
    for name in ("steps", "pool"):
        if name in shorter:
            shorter[name] //= QUICK_SHARE
    if "kept" in shorter:
        shorter["kept"] = _kept(shorter["kept"])
    if "later" in shorter:
        shorter["later"] = {step // QUICK_SHARE: mix for step, mix in shorter["later"].items()}
    return shorter


def _kept(steps: list[int]) -> list[int]:
    """Every third step from the last one back, at a tenth, and the untrained model where it was kept."""
    return sorted({step // QUICK_SHARE for step in [*steps[::-3], *steps[:1]]})


def make_study(out: Path, plan_file: Path) -> None:
    """All parts, each in a process of its own; a part that fails ends it, and what is finished stays.

    Args:
        out: the folder of the study.
        plan_file: the plan.
    """
    runs, results, finetuned = out / "runs", out / "results", out / "finetuned"
    parts: list[tuple[str, list[str]]] = [
        ("train", ["pretrain.py", str(runs)]),
        ("score", ["score.py", str(runs), str(results)]),
        ("fine-tune", ["finetune.py", str(runs), str(finetuned)]),
        ("report", ["report.py", str(results), str(finetuned), "--output", str(out / "tables")]),
    ]
    environment = {**os.environ, "RADAR_HOME": str(out / "home"), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
    for place, (name, (script, *arguments)) in enumerate(parts, start=1):
        started = time.monotonic()
        print(f"[{place}/{len(parts)}] {name}", flush=True)
        command = [sys.executable, str(HERE / script), *arguments, "--plan", str(plan_file)]
        if subprocess.run(command, env=environment, check=False).returncode:
            raise SystemExit(f"{name} did not end well; the same command goes on from here.")
        print(f"[{place}/{len(parts)}] {name}: {(time.monotonic() - started) / 60:.1f} min", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the study")
    parser.add_argument("--plan", type=Path, default=PLAN, help="another plan than the committed one")
    parser.add_argument("--quick", action="store_true", help="a tenth of it, in minutes")
    options = parser.parse_args()
    plan_file = options.plan
    if options.quick:
        plan_file = options.out / "plan.yaml"
        options.out.mkdir(parents=True, exist_ok=True)
        plan_file.write_text(yaml.safe_dump(quick_plan(read_plan(options.plan)), sort_keys=False), encoding="utf-8")
    make_study(options.out.resolve(), plan_file.resolve())


if __name__ == "__main__":
    main()

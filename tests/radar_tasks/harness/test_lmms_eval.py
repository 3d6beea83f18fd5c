"""The commands that a user types, run as a user types them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from radar_tasks import paths
from radar_tasks.results import load_run

BIN = Path(sys.executable).parent
TASKS = "radar_mini_colour,radar_mini_sum"
CHECKPOINT = max(paths.checkpoints().glob("step-*"))


def run(command, output, *more):
    """An lmms-eval run of a few questions; what it printed."""
    arguments = ["--tasks", TASKS, "--model_args", f"pretrained={CHECKPOINT}", "--limit", "13"]
    arguments += ["--output_path", str(output), "--log_samples", *more]
    quiet = {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run(
        [*map(str, command), *arguments],
        env={**os.environ, **quiet},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def table(printed):
    """The numbers of the printed table, without what belongs to the run (paths, dates)."""
    rows = [line for line in printed.splitlines() if line.startswith("|")]
    assert rows, printed
    return rows


def scores(output):
    samples = sorted(Path(output).rglob("*_samples_*.jsonl"))
    assert len(samples) == 2
    lines = [json.loads(line) for file in samples for line in file.read_text().splitlines()]
    return {(line["sds"]["q_id"]): (line["sds"]["logprob"], line["sds"]["logit"]) for line in lines}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """One process through `lmms_eval`, with the response cache on."""
    output = tmp_path_factory.mktemp("alone")
    return output, run([BIN / "lmms_eval"], output, "--use_cache", str(output / "cache"))


def test_lmms_eval_works_with_no_flag_and_writes_what_the_design_names(alone):
    output, printed = alone
    assert any("radar_mini_colour" in row for row in table(printed))
    loaded = load_run(next(output.glob("*/*_results.json")).parent)
    assert set(loaded.sources) == {"mini_colour", "mini_sum"}
    assert loaded.scoring["questions_scored"] == 26
    # What a guardian looks at to tell another processor or tokenizer.
    assert {"dtype_loaded", "images", "vocabulary"} <= set(loaded.scoring)
    colour = json.loads(loaded.file.read_text())["results"]["radar_mini_colour"]
    for metric in ("sds", "sds_logit", "acc", "acc_logit", "nll"):
        assert isinstance(colour[f"{metric},none"], float)
        assert colour[f"{metric}_stderr_clustered,none"] >= 0
    assert colour["sds_stderr_clustered,none"] > 0


def test_a_second_run_with_the_cache_scores_nothing_anew(alone):
    output, printed = alone
    second = output / "second"
    second.mkdir()
    again = run([BIN / "lmms-eval"], second, "--use_cache", str(output / "cache"))
    assert table(again) == table(printed)
    assert "questions_scored" not in load_run(next(second.glob("*/*_results.json")).parent).scoring
    assert scores(second) == scores(output / next(output.glob("*/*_results.json")).parent.name)


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_print_the_table_of_one(alone, tmp_path, processes):
    """13 questions do not divide by 2 or 3."""
    launcher = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        processes,
        "--master_port",
        29500 + processes,
    ]
    printed = run([*launcher, "-m", "lmms_eval"], tmp_path)
    assert table(printed) == table(alone[1])
    single = scores(alone[0] / next(alone[0].glob("*/*_results.json")).parent.name)
    several = scores(tmp_path)
    assert several.keys() == single.keys()
    for q_id, (logprob, logit) in several.items():
        assert logprob == pytest.approx(single[q_id][0], abs=1e-5)
        assert logit == pytest.approx(single[q_id][1], abs=1e-5)


def test_the_tasks_are_listed():
    done = subprocess.run([str(BIN / "lmms-eval"), "tasks", "list"], capture_output=True, text=True, check=True)
    listed = re.findall(r"\bradar\w*", done.stdout)
    assert {"radar", "radar_perception", "radar_reasoning", "radar_mini", "radar_mini_sum", "radar_mmbench"} <= set(
        listed
    )
    assert "mme" in done.stdout.split()

"""`radar track` under a launcher: two processes on the CPU."""

import os
import shutil
import subprocess
import sys

import pytest
from tiny_models import build

from radar_tasks.results import find_runs

LAUNCH = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
QUIET = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}


def launch(*command, processes=LAUNCH, timeout=200):
    command = [*processes, *map(str, command)]
    env = {**os.environ, **QUIET}
    return subprocess.run(command, check=False, env=env, capture_output=True, text=True, timeout=timeout)


def scores(folder):
    return {
        (run.step, str(q_id)): logprob.tolist()
        for run in find_runs([folder])
        for samples in run.sources.values()
        for q_id, logprob in zip(samples.q_id, samples.logprob, strict=True)
    }


def test_two_processes_share_each_checkpoint_and_a_damaged_one_stops_nobody(tmp_path):
    for step in (0, 200):
        build("qwen2_vl", tmp_path / "run" / f"step-{step:05d}", seed=step)
    shutil.copytree(tmp_path / "run" / "step-00000", tmp_path / "run" / "step-00100")
    os.truncate(tmp_path / "run" / "step-00100" / "model.safetensors", 5000)
    what = ["radar_tasks.cli", "track", tmp_path / "run" / "step-*", "--tasks", "radar_mini_colour", "--limit", 5]
    alone = launch(*what, "--output", tmp_path / "alone", processes=[sys.executable, "-m"])
    together = launch("--master_port", 29671, "-m", *what, "--output", tmp_path / "together")
    for done in (alone, together):
        assert done.returncode != 0
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        assert [line[:5] for line in lines] == ["[1/3]", "[2/3]", "[3/3]"], done.stdout + done.stderr
        assert "step-00100: FAILED: " in lines[1]
        assert "rank" not in lines[1]
    single, both = scores(tmp_path / "alone"), scores(tmp_path / "together")
    assert single.keys() == both.keys()
    assert len(single) == 10
    for key, logprob in single.items():
        assert both[key] == pytest.approx(logprob, abs=1e-5)


SCRIPT = """
import sys
from radar_tasks.errors import RadarError
from radar_tasks.harness.ranks import decided_by_main, ending_job, failing_together, ranks

rank = ranks().process_index

def attempt(label, action, error):
    try:
        with failing_together():
            if rank == 1 and error:
                raise error
            action()
    except RadarError as met:
        print(f"{label} rank{rank}: {met}", flush=True)

attempt("one", lambda: None, RadarError("bad question"))
attempt("none", lambda: print(f"fine rank{rank}", flush=True), None)

def decide():
    raise RadarError("no folder")
try:
    decided_by_main(decide)
except RadarError as met:
    print(f"main rank{rank}: {met}", flush=True)
print(f"value rank{rank}: {decided_by_main(lambda: rank + 7)}", flush=True)
with ending_job():
    if rank == 1:
        raise ValueError("a bug")
    ranks().wait_for_everyone()
print("never")
"""


def test_ranks_agree_on_failures_and_a_bug_on_one_ends_the_job(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = launch("--master_port", 29673, tmp_path / "script.py", timeout=100)
    assert done.returncode != 0
    assert sorted(done.stdout.splitlines()) == [
        "fine rank0",
        "fine rank1",
        "main rank0: no folder",
        "main rank1: no folder",
        "one rank0: rank 1 of 2: bad question",
        "one rank1: rank 1 of 2: bad question",
        "value rank0: 7",
        "value rank1: 7",
    ]
    assert "rank 1 ends the job: ValueError: a bug" in done.stderr

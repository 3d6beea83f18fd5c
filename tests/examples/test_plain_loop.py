"""The example loop, as its README says it is started."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from radar_tasks.results import find_runs

TRAIN = Path(__file__).parents[2] / "examples" / "plain_loop" / "train.py"


@pytest.mark.timeout(400)
def test_two_processes_train_and_leave_results(tmp_path):
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(TRAIN), str(tmp_path), "--steps", "4", "--every", "2", "--questions", "4"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=380,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("step ")]
    assert [line.split(":")[0] for line in lines] == ["step 0", "step 2", "step 4"]
    assert "perception 0." in lines[0]
    runs = find_runs([tmp_path / "results"])
    assert [run.step for run in runs] == [0, 2, 4]
    assert len(TRAIN.read_text().splitlines()) < 100

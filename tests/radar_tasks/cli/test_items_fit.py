"""`radar items fit` from results folders to a bank."""

import pyarrow.parquet as pq
from fake_runs import simulate, write_run
from typer.testing import CliRunner

from radar_tasks.cli import app


def test_a_bank_is_fitted_from_results_folders(tmp_path):
    for seed, run in enumerate(("exp1", "exp2")):
        for k, step in enumerate((100, 200)):
            sources = {"spatial": simulate("spatial", 12, 0.5 * k, seed=10 * seed + k)}
            write_run(tmp_path / "results", f"step-{step:05d}", sources, experiment=f"checkpoints/{run}")
    bank = tmp_path / "bank.parquet"
    done = CliRunner().invoke(app, ["items", "fit", str(tmp_path / "results"), "--output", str(bank)])
    assert done.exit_code == 0, done.output
    assert "12 questions over 4 checkpoints of 2 training run(s)" in done.output
    assert pq.read_table(bank).column("q_id").to_pylist() == [f"q{i:04d}" for i in range(12)]


def test_another_ending_is_refused_before_anything_is_read(tmp_path):
    done = CliRunner().invoke(app, ["items", "fit", "nowhere", "--output", str(tmp_path / "bank.csv")])
    assert done.exit_code == 1
    assert "ends with .parquet" in str(done.exception)

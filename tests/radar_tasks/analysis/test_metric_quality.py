"""Yardsticks over checkpoints, outside columns, and what cannot be judged."""

import numpy as np
import pytest
from fake_runs import simulate, write_curve, write_run

from radar_metrics import signal
from radar_tasks.analysis.metric_quality import ALL_SOURCES, column_quality, metric_qualities
from radar_tasks.analysis.outside_column import read_outside
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.errors import ResultsError
from radar_tasks.results import find_runs
from radar_tasks.results.metrics import value

STEPS = [100, 200, 300, 400, 500]
SKILLS = {"spatial": [0.0, 0.3, 0.6, 0.9, 1.2], "seephys": [0.0, 0.1, 0.1, 0.2, 0.2]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    write_curve(folder / "exp1", STEPS, SKILLS, n=60)
    write_curve(folder / "exp2", STEPS, {name: [s / 2 for s in skills] for name, skills in SKILLS.items()}, n=60)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    return find_runs([folder])


def judged(runs, **more):
    series, _ = training_runs(runs)
    rows = metric_qualities(series, np.random.default_rng(0), n_subsets=20, **more)
    return {(row.metric, row.name): row for row in rows}


def test_yardsticks_are_those_of_radar_metrics_and_losses_are_turned_round(runs):
    one = [run for run in runs if run.experiment.endswith("exp1")]
    rows = judged(one)
    curve = [value(run.sources["spatial"], "nll") for run in one]
    row = rows["nll", "spatial"]
    assert row.monotonicity == signal.monotonicity(-np.array(curve)) > 0.5
    assert row.noise == signal.neighbour_noise(STEPS, curve)
    assert row.signal_to_noise is None  # one run has nothing to compare with
    assert rows["sds", ALL_SOURCES].decided_half_way in (0.0, 0.5, 1.0)


def test_several_training_runs_are_compared(runs):
    row = judged(runs, metrics=["sds"])["sds", "spatial"]
    table = [[value(r.sources["spatial"], "sds") for r in runs if r.experiment.endswith(e)] for e in ("exp1", "exp2")]
    assert row.signal_to_noise == signal.signal_to_noise(table)
    assert row.decided_half_way == signal.prefix_prediction(table)[2]
    assert row.monotonicity == pytest.approx(np.mean([signal.monotonicity(curve) for curve in table]))


def test_more_questions_agree_better(runs):
    subsets = judged(runs, metrics=["acc"])["acc", "spatial"].subsets
    assert [subset.size for subset in subsets] == [25, 50]
    assert subsets[0].spread > subsets[1].spread


def test_correlation_with_an_outside_column(tmp_path, runs):
    rows = [(run, source, value(run.sources[source], "sds")) for run in runs for source in SKILLS]
    lines = [f"{r.experiment.split('/')[-1]}/{r.name},{source},{0.2 + 2 * sds}" for r, source, sds in rows]
    (tmp_path / "sft.csv").write_text("checkpoint,source,sft\n" + "\n".join([*lines, "exp9/step-00100,spatial,0.5"]))
    outside = read_outside(tmp_path / "sft.csv", runs)
    assert outside.unknown == ("exp9/step-00100",)
    made = judged(runs, metrics=["sds", "nll"], outside=outside)
    assert made["sds", "spatial"].correlations["sft"].pearson.estimate == pytest.approx(1.0)
    assert made["sds", ALL_SOURCES].correlations["sft"].n == 20
    assert made["nll", "spatial"].correlations["sft"].pearson.estimate < 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checkpoint,sft\nnobody,0.5\n", "names no checkpoint for which there are results: nobody"),
        ("checkpoint,sft\nstep-00100,0.5\n", "line 2: 'step-00100' fits several checkpoints"),
        ("checkpoint,sft\nexp1/step-00100,high\n", "line 2, column sft: 'high' is not a number"),
        ("checkpoint,sft\nexp1/step-00100,nan\n", "not a finite number"),
        ("checkpoint,sft\nexp1/step-00100,1\nexp1/step-00100,2\n", "line 3: .* comes twice"),
        ("checkpoint,sft, sft\nexp1/step-00100,1,2\n", "'sft' comes more than once"),
        ("step,sft\n1,2\n", "a column `checkpoint` and one of numbers are needed"),
        ("", "a column `checkpoint`"),
    ],
)
def test_bad_csv_files(tmp_path, runs, text, message):
    (tmp_path / "bad.csv").write_text(text)
    with pytest.raises(ResultsError, match=message):
        read_outside(tmp_path / "bad.csv", runs)


def test_mir_of_the_checkpoints_is_judged_as_lower_is_better(tmp_path, runs):
    one = [run for run in runs if run.experiment.endswith("exp1")]
    (tmp_path / "mir.csv").write_text(
        "checkpoint,mir\n" + "".join(f"exp1/{run.name},{4 - run.step / 1000 + run.step % 3 / 50}\n" for run in one)
    )
    row = column_quality("mir", training_runs(runs)[0], read_outside(tmp_path / "mir.csv", runs))[0]
    assert row.monotonicity > 0
    assert row.name == ALL_SOURCES


def test_one_checkpoint_only(tmp_path):
    write_curve(tmp_path / "exp1", [100], {"spatial": [0.2]}, n=4)
    write_run(tmp_path / "x", "final", {"spatial": simulate("spatial", 4, skill=0.2)})
    with pytest.raises(ResultsError, match=r"2 or more checkpoints .*final: left out.*exp1: left out, 1 checkpoint"):
        training_runs(find_runs([tmp_path]))


def test_checkpoints_that_make_no_curve(tmp_path):
    write_curve(tmp_path / "exp1", [100, 200], {"spatial": [0.2, 0.3]}, n=6)
    records = {"spatial": simulate("spatial", 6, skill=0.2)}
    again = write_run(tmp_path / "more", "step-00200", records)
    with pytest.raises(ResultsError, match="two results of step 200"):
        training_runs(find_runs([tmp_path]))
    again.unlink()
    write_run(tmp_path / "more", "step-00300", records, checksums={"spatial": "0" * 64})
    with pytest.raises(ResultsError, match="step-00100 and step-00300 cannot be on one curve: data of spatial"):
        training_runs(find_runs([tmp_path]))


def test_a_source_that_one_checkpoint_lacks_is_left_out_and_named(tmp_path):
    write_curve(tmp_path / "exp1", [100, 200], {"spatial": [0.2, 0.3], "seephys": [0.2, 0.3]}, n=6)
    write_curve(tmp_path / "exp1", [300], {"spatial": [0.2]}, n=6)
    series, _ = training_runs(find_runs([tmp_path]))
    assert series[0].sources == ("spatial",)
    assert series[0].notes == ("exp1: seephys left out, not at every checkpoint",)


def test_an_unknown_metric_is_named(runs):
    with pytest.raises(ResultsError, match="unknown metric sdz; there are sds,"):
        judged(runs, metrics=["sdz"])

"""Metrics against a column from outside: the points, the rivals, and what is said of them."""

import json

import numpy as np
import pytest
from fake_runs import write_curve
from scipy import stats
from typer.testing import CliRunner

from radar_metrics.panel_correlation import Kind
from radar_tasks.analysis.outside_column import read_outside
from radar_tasks.analysis.outside_correlations import CHANCE, LOG_STEP, outside_correlations
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.cli import app
from radar_tasks.report.correlation_table import correlation_table, correlation_words
from radar_tasks.results import find_runs
from radar_tasks.results.metrics import value

STEPS = [100, 200, 300, 400]
SKILLS = {"spatial": 1.2, "seephys": 0.4, "mathvista": 0.8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for k, pace in enumerate((0.6, 1.0, 1.4), 1):
        skills = {source: [top * pace * step / 400 for step in STEPS] for source, top in SKILLS.items()}
        write_curve(folder / f"exp{k}", STEPS, skills, n=40)
    return folder


@pytest.fixture(scope="module")
def runs(folder):
    return find_runs([folder])


def name_of(run):
    return f"{run.experiment.split('/')[-1]}/{run.name}"


def column(path, runs, number):
    """A CSV with `number(run, source)` of every checkpoint and source."""
    lines = [f"{name_of(run)},{source},{number(run, source)}" for run in runs for source in SKILLS]
    path.write_text("checkpoint,source,sft\n" + "\n".join(lines))
    return path


def found(runs, outside, **more):
    rows = outside_correlations(training_runs(runs)[0], outside, **more)
    return rows, {(row.metric, row.correlation.kind): row for row in rows}


def test_points_are_every_checkpoint_on_every_source(tmp_path, runs):
    rng = np.random.default_rng(0)
    numbers = {(run.file, source): rng.normal() for run in runs for source in SKILLS}
    file = column(tmp_path / "sft.csv", runs, lambda run, source: numbers[run.file, source])
    _, by = found(runs, read_outside(file, runs), metrics=["sds", "nll"])
    pairs = [(value(run.sources[s], "nll"), np.log(run.step), numbers[run.file, s]) for run in runs for s in SKILLS]
    nll, step, after = np.array(pairs).T
    pooled = by["nll", Kind.pooled].correlation
    assert (pooled.n, pooled.runs, pooled.sources) == (36, 3, 3)
    assert pooled.r.estimate == pytest.approx(stats.pearsonr(nll, after).statistic)
    assert by[LOG_STEP, Kind.pooled].correlation.r.estimate == pytest.approx(stats.pearsonr(step, after).statistic)
    beyond = abs(stats.pearsonr(nll, after).statistic) - abs(stats.pearsonr(step, after).statistic)
    assert by["nll", Kind.pooled].beyond_step.estimate == pytest.approx(beyond)
    assert by["nll", Kind.between_runs].beyond_step is None
    # The step is the same for all runs; all questions have two options, so that chance never varies.
    assert (LOG_STEP, Kind.between_runs) not in by
    assert (LOG_STEP, Kind.given_step) not in by
    assert (CHANCE, Kind.pooled) not in by


def test_where_everything_rises_with_the_step_it_is_said(tmp_path, runs):
    rng = np.random.default_rng(1)
    file = column(tmp_path / "sft.csv", runs, lambda run, _: 0.2 + np.log(run.step) / 10 + rng.normal(scale=0.01))
    rows, by = found(runs, read_outside(file, runs), metrics=["sds"])
    assert by["sds", Kind.pooled].beyond_step.high < 0
    said = correlation_words(rows)
    assert "Log step alone has a pooled r of +0.9" in said[0]
    assert "no less than the 0.47 to 0.58 that the RADAR paper reports" in said[0]
    assert "may say only that later checkpoints are better" in said[0]
    assert "Pooled, no metric has a stronger r than log step." in said
    assert "Between runs at one step no metric has an r clear of 0." in said
    assert said[-1] == "Intervals rest on 3 runs and 3 sources, not on the number of points."


def test_where_the_metric_knows_more_than_the_step_it_is_said(tmp_path, runs):
    rng = np.random.default_rng(2)
    file = column(
        tmp_path / "sft.csv", runs, lambda run, s: value(run.sources[s], "sds") + rng.normal(scale=0.005)
    )  # fmt: skip
    rows, by = found(runs, read_outside(file, runs), metrics=["sds", "nll"])
    assert by["sds", Kind.between_runs].correlation.r.low > 0.5
    assert by["nll", Kind.within].correlation.r.estimate < 0
    assert "Between runs at one step these have an r clear of 0: sds, nll." in correlation_words(rows)
    assert not any("against their direction" in line for line in correlation_words(rows))
    table = correlation_table(rows)
    assert table.title.startswith("Correlation with sft: 36 points, 3 runs, 3 sources")
    assert [row[0] for row in table.rows] == [LOG_STEP, "sds", "nll"]
    assert all(len(row) == len(table.header) for row in table.rows)


def test_a_metric_that_goes_the_wrong_way_is_said_to(tmp_path, runs):
    rng = np.random.default_rng(2)
    file = column(
        tmp_path / "sft.csv", runs, lambda run, s: value(run.sources[s], "nll") + rng.normal(scale=0.005)
    )  # fmt: skip
    rows, _ = found(runs, read_outside(file, runs), metrics=["sds", "nll"])
    said = correlation_words(rows)
    assert "Within a source no metric has an r clear of 0." in said
    assert "Within a source these have an r against their direction: sds, nll." in said
    assert "Pooled, no metric has a stronger r than log step." in said


def test_losses_of_whole_checkpoints_are_set_beside_the_metrics(tmp_path, folder, runs):
    file = column(tmp_path / "sft.csv", runs, lambda run, s: value(run.sources[s], "sds"))
    lines = [f"{name_of(run)},{3 - run.step / 400}" for run in runs]
    (tmp_path / "losses.csv").write_text("checkpoint,training loss\n" + "\n".join(lines))
    arguments = ["agreement", str(folder), "--outside", str(file), "--losses", str(tmp_path / "losses.csv")]
    done = CliRunner().invoke(app, [*arguments, "--metric", "sds", "--format", "json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    rows = {(row["metric"], row["correlation"]["kind"]): row for row in made["correlations"]}
    assert rows["training loss", "pooled"]["correlation"]["r"]["estimate"] < 0
    assert ("training loss", "between_runs") not in rows  # all runs have the same loss at a step
    loss = next(row for row in made["metrics"] if row["metric"] == "training loss")
    assert loss["monotonicity"] == 1.0
    assert next(row for row in made["metrics"] if row["name"] == "spatial")["subsets"][0]["size"] == 25
    shown = CliRunner().invoke(app, [*arguments, "--metric", "sds", "--format", "markdown"])
    assert "| metric | pooled r | within source | given log step | of changes |" in shown.stdout
    assert "Log step alone has a pooled r of" in shown.stdout


def test_a_column_of_few_checkpoints_of_one_run(tmp_path, runs):
    some = [run for run in runs if run.experiment.endswith("exp1")][:1]
    file = column(tmp_path / "sft.csv", some, lambda run, s: value(run.sources[s], "sds"))
    rows, _ = found(runs, read_outside(file, runs), metrics=["sds"])
    assert rows == []  # three points are too few for anything

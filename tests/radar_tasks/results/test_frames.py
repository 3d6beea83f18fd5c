"""Results as pandas frames, and what they look like in one line."""

import math

import numpy as np
import pytest
from fake_runs import simulate, write_curve, write_run

from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.results import find_runs, load_run
from radar_tasks.results.metrics import METRICS, metric_table


@pytest.fixture
def runs(tmp_path):
    write_curve(tmp_path / "exp1", [100, 200], {"spatial": [0.2, 0.8], "wiki_plant": [0.5, 0.6]}, n=10)
    return find_runs([tmp_path])


def test_runs_as_a_frame(runs):
    frame = runs.to_frame()
    assert list(frame.columns[:5]) == ["experiment", "checkpoint", "step", "withheld", "date"]
    assert list(frame["checkpoint"]) == ["step-00100"] * 2 + ["step-00200"] * 2
    row = frame[(frame["step"] == 200) & (frame["source"] == "spatial")].iloc[0]
    expected = next(row for row in metric_table(runs[1]) if row.name == "spatial").values
    assert {metric: row[metric] for metric in METRICS if metric in expected} == expected
    assert all(math.isnan(row[metric]) for metric in METRICS if metric not in expected)
    assert row["questions"] == 10
    assert row["ability"] == "reasoning"
    assert find_runs([runs[0].file])[:0].__class__ is list
    assert len(runs) == 2
    assert runs[0].name == "step-00100"


def test_a_metric_that_a_run_has_not_is_nan(tmp_path):
    stock = {"spatial": simulate("spatial", 6, 0.4, logit=False, tokens=False)}
    table = metric_table(load_run(write_run(tmp_path, "stock", stock, scoring={})))
    frame = table.to_frame()
    assert math.isnan(frame["sds_logit"][0])
    assert frame["sds"][0] == table[0].values["sds"]


def test_questions_as_a_frame(runs):
    samples = runs[0].sources["spatial"]
    frame = samples.to_frame()
    assert list(frame["q_id"]) == samples.q_id.tolist()
    assert frame["options"][3] == samples.options[3]
    np.testing.assert_array_equal(frame["logprob"][3], samples.logprob[3])
    assert set(frame["source"]) == {"spatial"}


def test_everything_is_shown_in_one_line(runs):
    (training,), _ = training_runs(runs)
    for shown in (
        repr(runs[0]),
        repr(runs[0].sources["spatial"]),
        repr(training),
        repr(runs[0].sources["spatial"].logprob),
    ):
        assert len(shown) < 200
        assert "\n" not in shown
    assert repr(runs[0]).startswith(
        "<step-00100 of checkpoints/exp1: 2 source(s), 20 questions, lmms-eval 0.7.3, 2026-"
    )
    assert (
        repr(runs[0].sources["spatial"]) == "<spatial: 10 questions of reasoning, logprob, logprob_sum, logit, tokens>"
    )

"""Planted onsets: when a metric says so, how late, how often too early and of nothing."""

import numpy as np
import pytest
from made_runs import made_run

from radar_tasks.analysis.development.onsets import onset_detections, onset_qualities, read_onsets
from radar_tasks.errors import ResultsError
from radar_tasks.report.onset_tables import onset_table

STEPS = [0, 100, 200, 400, 800]
NEVER = None


@pytest.fixture(scope="module")
def detections():
    rng = np.random.default_rng(0)

    def grown(*ends):
        return np.array(ends)[:, None] + rng.normal(scale=0.5, size=(5, 200))

    runs = [
        # Taught from 100 on: there at the next checkpoint, and one later. `count` is there too early, `side` never.
        made_run("first", STEPS, {"mini_sum": grown(0, 0, 2, 2, 2), "mini_larger": grown(0, 0, 0, 2, 2)}),
        made_run("second", STEPS, {"mini_sum": grown(0, 0, 0, 0, 2), "mini_count": grown(0, 2, 2, 2, 2)}),
        made_run("third", STEPS, {"mini_side": grown(0, 0, 0, 0, 0), "mini_most": grown(0, 0, 0, 2, 2)}),
    ]
    onsets = {
        "first": {"mini_sum": 100.0, "mini_larger": 100.0},
        "second": {"mini_sum": 200.0, "mini_count": 200.0},
        "third": {"mini_side": NEVER, "mini_most": NEVER},
    }
    return runs, onsets, onset_detections(runs, onsets, ("sds", "margin"), np.random.default_rng(1))


def test_each_source_is_found_where_it_was_planted(detections):
    found = {(row.run, row.source): row for row in detections[2] if row.metric == "sds"}
    assert (found["first", "mini_sum"].first_chance, found["first", "mini_sum"].late) == (200, 0)
    assert (found["first", "mini_larger"].emergence, found["first", "mini_larger"].late) == (400, 1)
    assert (found["second", "mini_sum"].first_chance, found["second", "mini_sum"].late) == (400, 1)
    assert found["second", "mini_count"].late == -2
    assert (found["third", "mini_side"].emergence, found["third", "mini_side"].is_control) == (None, True)
    assert found["third", "mini_most"].emergence == 400


def test_the_table_counts_and_averages(detections):
    rows = onset_qualities(detections[2])
    assert [row.metric for row in rows] == ["sds", "margin"]
    sds = rows[0]
    assert (sds.onsets, sds.found, sds.early, sds.never) == (4, 3, 1, 0)
    # Means of runs .5 and 1; Student's t with one degree of freedom.
    assert sds.delay.estimate == pytest.approx(0.75)
    assert sds.delay.high - sds.delay.estimate == pytest.approx(12.7062 * 0.25, rel=1e-4)
    assert sds.bias == pytest.approx((100 + 300 + 600 - 100) / 4)
    assert (sds.controls, sds.false_alarms) == (2, 1)
    head, body = onset_table(rows)
    assert len(head) == len(body[0])
    assert body[0][-1] == "1 of 2"


def test_what_is_not_there_is_told(detections):
    runs = detections[0]
    for onsets, metrics, said in [
        ({"nobody": {"mini_sum": 1.0}}, ("sds",), "no training run is called 'nobody'"),
        ({"first": {"mini_side": 1.0}}, ("sds",), "first was not scored on mini_side, but on mini_sum"),
        ({"first": {"mini_sum": 800.0}}, ("sds",), "no checkpoint after the onset of mini_sum at step 800"),
        ({"first": {"mini_sum": 100.0}}, ("nll",), "nll has no chance level"),
    ]:
        with pytest.raises(ResultsError, match=said):
            onset_detections(runs, onsets, metrics, np.random.default_rng(0))


def test_a_table_of_onsets_is_read(tmp_path):
    file = tmp_path / "onsets.csv"
    sources = {"first": ["mini_sum", "mini_side"], "second": ["mini_sum"]}
    file.write_text("run, source,onset\nfirst,mini_sum,100\nfirst, mini_side ,never\nsecond,mini_sum,0\n")
    assert read_onsets(file, sources) == {"first": {"mini_sum": 100.0, "mini_side": None}, "second": {"mini_sum": 0.0}}
    for text, said in [
        ("run,source\nfirst,mini_sum\n", "the columns run, source and onset are needed"),
        ("run,source,onset,onset \nfirst,mini_sum,1,2\n", "'onset' comes more than once"),
        ("run,source,onset\n", "no rows below its header"),
        (
            "run,source,onset\nfirst,mini_sum,100\nnobody,mini_sum,1\n",
            "line 3: no training run is called 'nobody'; there are",
        ),
        ("run,source,onset\nsecond,mini_side,1\n", "line 2: second was not scored on 'mini_side', but on mini_sum"),
        ("run,source,onset\nfirst,mini_sum,1\nfirst,mini_sum,2\n", "line 3: mini_sum of first comes twice"),
        ("run,source,onset\nfirst,mini_sum,-5\n", "line 2: the onset must be a step, or never .*not '-5'"),
        ("run,source,onset\nfirst,mini_sum,\n", "line 2: the onset must be a step"),
        ("run,source,onset\nfirst,mini_sum,1,2\n", "row 1"),
    ]:
        file.write_text(text)
        with pytest.raises(ResultsError, match=said):
            read_onsets(file, sources)
    with pytest.raises(ResultsError, match="none.csv"):
        read_onsets(tmp_path / "none.csv", sources)

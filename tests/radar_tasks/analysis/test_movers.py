"""The page of the questions that moved most: the right ones, escaped, with pictures and offline."""

import io
import re

import numpy as np
import pytest
from fake_runs import simulate, write_run
from PIL import Image

from radar_tasks.analysis.movers import movers
from radar_tasks.errors import ResultsError
from radar_tasks.questions import Question
from radar_tasks.report.movers import movers_page
from radar_tasks.results import load_run
from radar_tasks.store import Origin, SourceWriter, source_path

NASTY = '<script>alert("1")</script>'


@pytest.fixture
def store(tmp_path, monkeypatch):
    """The picture of question q0001 of `spatial`, in a store of its own."""
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    picture = io.BytesIO()
    Image.new("RGB", (30, 20), "red").save(picture, "PNG")
    source_path("spatial").parent.mkdir(parents=True)
    with SourceWriter(source_path("spatial")) as writer:
        for i in range(6):
            writer.add(
                Question(
                    q_id=f"q{i:04d}",
                    text=("Look at", f"and {NASTY}"),
                    images=(picture.getvalue(),),
                    options=("a", "b"),
                    answer=0,
                    ability="reasoning",
                    task="Spatial reasoning",
                    source="spatial",
                    category="",
                    image_id=f"image{i}",
                )
            )
        manifest = writer.finish(Origin(kind="table", location="test"))
    return manifest.checksum


def two_runs(folder, checksum=None, edit=lambda records: None):
    runs = []
    for k, skill in enumerate((0.0, 1.0)):
        records = simulate("spatial", 6, skill=skill, seed=k)
        records[1]["options"] = [NASTY, "b"]
        if k:
            edit(records)
        checksums = {"spatial": checksum} if checksum else None
        runs.append(load_run(write_run(folder / "ab"[k], "ab"[k], {"spatial": records}, checksums=checksums)))
    return runs


def test_the_largest_changes_come_first(tmp_path):
    first, second = two_runs(tmp_path)
    metric, found = movers(first, second, 4)
    before, after = ([r["score"] for r in simulate("spatial", 6, skill=s, seed=k)] for k, s in enumerate((0.0, 1.0)))
    expected = sorted(range(6), key=lambda i: -abs(after[i] - before[i]))[:4]
    assert [mover.q_id for mover in found] == [f"q{i:04d}" for i in expected]
    assert found[0].change == pytest.approx(after[expected[0]] - before[expected[0]])
    assert metric == "sds"
    lost = movers(second, first, 4)[1]
    assert [(mover.q_id, mover.change) for mover in lost] == [(mover.q_id, -mover.change) for mover in found]


def test_the_page_has_pictures_from_the_store_and_escapes_data(tmp_path, store):
    first, second = two_runs(tmp_path, store)
    text = movers_page(first, second, *movers(first, second, 6))
    assert text.count("data:image/jpeg;base64,") == 6
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert not re.search(r"""(src|href)=["'](?!data:)""", text)


def test_without_the_data_the_page_says_why_there_is_no_picture(tmp_path, store):
    first, second = two_runs(tmp_path)  # another checksum
    text = movers_page(first, second, *movers(first, second, 2))
    assert "data:image" not in text
    assert "the store has another version of spatial than the one that was scored" in text
    assert "Question q000" in text  # the prompt as the harness logged it


def test_runs_with_other_options_or_sources_are_refused(tmp_path):
    first, second = two_runs(tmp_path, edit=lambda records: records[2].update(options=["x", "y"]))
    with pytest.raises(ResultsError, match="spatial: the two runs had other options"):
        movers(first, second, 2)
    with pytest.raises(ResultsError, match="both runs have no mmbench; they have spatial"):
        movers(first, second, 2, ["mmbench"])


def test_a_question_that_did_not_move_is_not_among_those_that_did(tmp_path):
    records = simulate("spatial", 6, skill=0.0)
    runs = []
    for name in "ab":
        changed = [dict(record) for record in records]
        if name == "b":
            changed[2]["logprob"] = [value - 1.0 for value in records[2]["logprob"]]  # moves both options alike
            changed[4]["logprob"] = [-0.5 if k == records[4]["answer"] else -9.0 for k in range(2)]
            changed[4]["score"] = 1 / (1 + np.exp(-8.5))
        runs.append(load_run(write_run(tmp_path / name, name, {"spatial": changed})))
    assert [mover.q_id for mover in movers(*runs, 60, ["spatial", "spatial"])[1]] == ["q0004"]
    assert movers(runs[0], runs[0], 60)[1] == []

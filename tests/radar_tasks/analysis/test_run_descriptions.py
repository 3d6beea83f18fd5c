"""Files that describe runs: each thing is said once, to the character, and of a run that there is."""

from __future__ import annotations

import pytest
from fake_runs import simulate, write_curve, write_run

from radar_tasks.analysis.run_descriptions import read_descriptions, runs_without_results, with_descriptions
from radar_tasks.analysis.run_factors import configurations_of, factors_of
from radar_tasks.analysis.training_amount import training_amount
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.errors import RadarError
from radar_tasks.results import find_runs


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("runs.csv", "run,images\nexp1,1,000\n", r"row 1: 3 fields, the header has 2 .*line 2"),
        ("runs.csv", "run,images,step\nexp1,5\n", "row 1: 2 fields, the header has 3"),
        ("runs.csv", "run,images,images\nexp1,5,6\n", "'images' comes more than once"),
        ("runs.csv", "run,images, images\nexp1,5,6\n", "'images' comes more than once"),
        ("runs.csv", 'run,images\n"exp1,5\nexp2,6\n', "a quote opens in line 2 and is never closed"),
        ("runs.csv", "run;images\nexp1;5\n", "no column `run`; the header names 'run;images'"),
        ("runs.csv", "Run,images\nexp1,5\n", "no column `run`"),
        ("runs.csv", "run,images\n", "no rows below its header"),
        ("runs.csv", "", "has no rows"),
        ("runs.csv", "run,images\nexp1\0,5\n", "null byte"),
        ("runs.csv", "run,images\nexpé,5\n".encode("latin-1"), "is not UTF-8"),
        ("runs.csv", "run,images\nexp1,5\n".encode("utf-16"), "UTF-16"),
        (
            "runs.csv",
            "run,images\nexp1,5\nexp1,6\n",
            r"row 2 \(line 3\): images of 'exp1' is 6.0 here and 5.0 in .*row 1",
        ),
        ("runs.csv", "run,factor,level\na,mix,x\na,mix,y\n", "mix of 'a' is y here and x"),
        ("runs.csv", "run,step\na,1\na,2\n", "step of 'a' is 2 here and 1"),
        ("runs.csv", "run,group\na,x\na,y\n", "group of 'a' is y here and x"),
        ("runs.yaml", "- {run: exp1, images: 5, images: 6}\n", "'images' comes more than once"),
        ("runs.yaml", "- {run: exp1, ~: 6}\n", "'6' has no name"),
        ("runs.yaml", "- {run: exp1, images: true}\n", "row 1, column 'images'"),
        ("runs.yaml", "[" * 3000, "nested too deeply"),
        ("runs.yaml", "", "row 1: a row with the column `run`"),
        ("runs.yaml", "- !!python/object/apply:os.getcwd []\n", "cannot be read"),
    ],
)
def test_whatever_is_not_one_statement_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RadarError, match=message):
        read_descriptions(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("runs.csv", "run,images\nexp1,5\nexp1,5\n0400,7\n"),
        ("runs.csv", "\ufeffrun , images\r\nexp1/, 5\r\n\r\n0400,7\r\n"),
        ("runs.CSV", '"run","images"\n"exp1","5"\n0400,7\n'),
        ("runs.yaml", "- {run: exp1, images: 5}\n- {run: 0400, images: 7}\n"),
        ("runs.yml", "- &a {run: exp1, images: 5}\n- {<<: *a, run: 0400, images: 7, group: ~}\n"),
    ],
)
def test_the_same_is_read_however_it_is_written(tmp_path, name, content):
    (tmp_path / name).write_text(content, newline="")
    assert {row.run: row.amounts for row in read_descriptions(tmp_path / name)} == {
        "exp1": {"images": 5.0},
        "0400": {"images": 7.0},
    }


@pytest.fixture(scope="module")
def unnumbered(tmp_path_factory):
    """Two trainings whose checkpoints are called alike, without a step."""
    folder = tmp_path_factory.mktemp("unnumbered")
    for training in "AB":
        for name, skill in (("early", 0.2), ("late", 0.9)):
            sources = {"spatial": simulate("spatial", 10, skill)}
            write_run(folder / training / name, name, sources, experiment=f"ck/{training}")
    return find_runs([folder])


@pytest.mark.parametrize(
    "text",
    [
        "run,step\nA/early,100\nA/late,200\nB/early,1\nB/late,2\n",
        "run,step\nck/A/early,100\nck/A/late,200\nck/B/early,1\nck/B/late,2\n",
        "run,experiment,step\nearly,A,100\nlate,A,200\nearly,B,1\nlate,B,2\n",
        "run,experiment,step\nearly,ck/A,100\nlate,ck/A,200\nearly,ck/B,1\nlate,ck/B,2\n",
    ],
)
def test_checkpoints_of_one_name_in_two_trainings_are_told_apart_by_their_paths(tmp_path, unnumbered, text):
    (tmp_path / "runs.csv").write_text(text)
    rows = read_descriptions(tmp_path / "runs.csv")
    described = with_descriptions(unnumbered, rows)
    trainings, _ = training_runs(described)
    assert {t.name: [(r.name, r.step) for r in t.results] for t in trainings} == {
        "A": [("early", 100), ("late", 200)],
        "B": [("early", 1), ("late", 2)],
    }
    assert runs_without_results(described, rows) == []


def test_two_steps_for_one_checkpoint_are_refused(tmp_path, unnumbered):
    (tmp_path / "runs.csv").write_text("run,step\nA/early,100\nearly,1\n")
    with pytest.raises(RadarError, match="ck/A/early more than one step: 100 and 1"):
        with_descriptions(unnumbered, read_descriptions(tmp_path / "runs.csv"))


def test_rows_about_no_result_are_told(tmp_path, unnumbered):
    (tmp_path / "runs.csv").write_text("run,images\nA,5\nAA,6\nB/late,7\nB/lat,8\nAA,6\n")
    assert runs_without_results(unnumbered, read_descriptions(tmp_path / "runs.csv")) == ["AA", "B/lat"]


@pytest.mark.parametrize("name", ["exp1", "ck/exp1", "/data/ck/exp1", "/data/ck/exp1/"])
def test_a_training_is_found_by_as_much_of_its_path_as_the_file_gives(tmp_path, name):
    write_curve(tmp_path / "exp1", [100, 200], {"spatial": [0.2, 0.9]}, n=10, experiment="/data/ck/exp1")
    write_curve(tmp_path / "exp2", [100, 200], {"spatial": [0.2, 0.9]}, n=10, experiment="/data/ck/exp2")
    (tmp_path / "runs.csv").write_text(f"run,images,factor,level\n{name},640,mix,a\nexp2,900,mix,b\n")
    rows = read_descriptions(tmp_path / "runs.csv")
    results = find_runs([tmp_path])
    trainings, _ = training_runs(results)
    assert training_amount("images", results, rows).at("exp1", 100) == 320.0
    assert [level.name for level in factors_of(trainings, rows)[0].levels] == ["a", "b"]
    assert configurations_of(trainings, rows) == ["exp1", "exp2"]
    assert runs_without_results(results, rows) == []

"""Suites of a user's own: declared once, told by results, averaged only when whole."""

import dataclasses

import numpy as np
import pytest
from made_runs import made_run
from typer.testing import CliRunner

from radar_tasks.cli import data
from radar_tasks.errors import DataError
from radar_tasks.harness.documents import Documents
from radar_tasks.harness.own_tasks import own_task_folder
from radar_tasks.questions import Question
from radar_tasks.results.suites import ability_sources, averages_of
from radar_tasks.store import Origin, SourceWriter, open_source, source_path
from radar_tasks.store.own_suites import new_suite, suite_of, suites, write_suite
from radar_tasks.suite import Suite


def write_source(name, ability):
    with SourceWriter(source_path(name)) as writer:
        writer.add(Question("q", ("What?",), (b"p",), ("a", "b"), 0, ability, "task", name, "", "image"))
        writer.finish(Origin(kind="table", location="made"))


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path))
    for name, ability in (("near", "perception"), ("far", "perception"), ("sums", "reasoning")):
        write_source(name, ability)
    return tmp_path


def test_a_suite_holds_its_sources_by_the_ability_of_their_manifests(store):
    suite = new_suite("mine", ["sums", "far", "near"])
    assert (suite.perception, suite.reasoning) == (("far", "near"), ("sums",))
    assert suite_of("far") is None
    write_suite(suite)
    assert suite_of("far") == suite
    assert suites() == [suite]


@pytest.mark.parametrize(
    ("name", "sources", "told"),
    [
        ("mine", ["near", "nowhere"], "nowhere"),
        ("mine", ["near", "near"], "near twice"),
        ("mine", [], "no sources"),
        ("mine", ["near", "mmbench"], "'M3-Bench'"),
        ("mine", ["near", "mini_side"], "'mini'"),
        ("near", ["near", "far"], "source 'near'"),
        ("mini", ["near"], "radar_mini"),
        ("perception", ["near"], "radar_perception"),
        ("No Name", ["near"], "not a name"),
        ("../up", ["near"], "not a name"),
        ("other", ["near"], "'taken'"),
    ],
)
def test_what_cannot_be_a_suite_is_refused_and_nothing_is_written(store, name, sources, told):
    if name == "other":
        write_suite(new_suite("taken", ["near"]))
    before = suites()
    with pytest.raises(DataError, match=told):
        write_suite(new_suite(name, sources))
    assert suites() == before


def test_a_suite_is_declared_anew_under_its_own_name(store):
    write_suite(new_suite("mine", ["near"]))
    write_suite(new_suite("mine", ["near", "sums"]))
    assert suite_of("sums").sources == ("near", "sums")


def test_a_spoilt_file_of_a_suite_is_told_with_its_place(store):
    file = write_suite(new_suite("mine", ["near"]))
    file.write_text('{"name": "mine", "perception": ["../../etc"]}')
    with pytest.raises(DataError, match=r"mine\.json is not a suite"):
        suites()


def test_documents_say_which_suite_their_source_is_part_of(store):
    assert "suite" not in Documents.of(open_source("near")).provenance["data"]
    write_suite(new_suite("mine", ["near", "sums"]))
    assert Documents.of(open_source("near")).provenance["data"]["suite"] == {
        "name": "mine",
        "perception": ["near"],
        "reasoning": ["sums"],
    }


def test_a_suite_is_a_group_of_tasks(store):
    write_suite(new_suite("mine", ["near", "sums"]))
    assert "- radar_near\n  - radar_sums\n" in (own_task_folder() / "radar_mine.yaml").read_text()


def samples_of_a_suite(*names):
    suite = Suite(name="mine", perception=("mmbench", "wiki_animal"), reasoning=("spatial",))
    training = made_run("run", [1], {name: np.zeros((1, 4)) for name in names})
    return [dataclasses.replace(part, suite=suite) for part in training.results[0].sources.values()]


def test_averages_of_a_suite_are_there_only_when_it_is_whole():
    whole = {average.name: average.sources for average in averages_of(samples_of_a_suite("mmbench", "wiki_animal"))}
    assert whole == {"mine perception": ("mmbench", "wiki_animal")}
    assert averages_of(samples_of_a_suite("mmbench", "spatial"))[0].name == "mine reasoning"
    assert averages_of(samples_of_a_suite("mmbench")) == []


def test_a_source_beside_a_whole_suite_is_not_in_its_ability():
    samples = samples_of_a_suite("mmbench", "wiki_animal", "wiki_plant", "spatial")
    assert ability_sources(samples) == {"perception": ("mmbench", "wiki_animal"), "reasoning": ("spatial",)}


def test_the_command_declares_a_suite_and_says_its_averages(store):
    told = CliRunner().invoke(data.app, ["suite", "mine", "sums", "near"], catch_exceptions=False)
    assert told.exit_code == 0
    assert "mine perception: the mean of near\nmine reasoning: the mean of sums\n" in told.stdout
    assert suite_of("near").sources == ("near", "sums")


@pytest.mark.parametrize(
    "command", [["new", "mine", "--table", "none.csv"], ["import", "mine", "--from", "none.csv"]], ids=["new", "import"]
)
def test_a_source_is_not_called_as_a_suite_is(store, command):
    write_suite(new_suite("mine", ["near"]))
    told = CliRunner().invoke(data.app, command)
    assert isinstance(told.exception, DataError)
    assert "there is a suite 'mine'" in str(told.exception)

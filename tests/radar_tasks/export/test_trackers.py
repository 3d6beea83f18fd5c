"""Trackers: one name for one number, one run a training, and nothing twice."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
from fake_runs import simulate, write_curve, write_run

from radar_tasks.errors import RadarError
from radar_tasks.export import trackers
from radar_tasks.results import find_runs
from radar_tasks.results.metrics import value
from radar_tasks.results.tracker_values import tracker_values

SKILLS = {"spatial": [0.0, 1.0], "wiki_animal": [0.5, 1.5], "wiki_plant": [0.2, 1.0]}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))


@pytest.fixture
def results(tmp_path):
    write_curve(tmp_path / "results" / "exp1", [100, 200], SKILLS, n=8)
    return tmp_path / "results"


class FakeTracker(types.ModuleType):
    """What wandb and trackio offer, keeping what it is given."""

    def __init__(self, name):
        super().__init__(name)
        self.inits, self.logs, self.tables, self.axes, self.open = [], [], [], {}, False

    def init(self, **about):
        assert not self.open
        self.open = True
        self.inits.append(about)

    def define_metric(self, name, step_metric=None):
        self.axes[name] = step_metric

    def log(self, values, step=None):
        assert self.open
        (self.tables if "radar/values" in values else self.logs).append((step, values))

    def finish(self):
        self.open = False

    def Table(self, **about):  # noqa: N802 (the trackers' name)
        return about


@pytest.fixture(params=["wandb", "trackio"])
def tracker(request, monkeypatch):
    fake = FakeTracker(request.param)
    monkeypatch.setitem(sys.modules, request.param, fake)
    return fake


@pytest.fixture
def events(monkeypatch):
    """What is given to TensorBoard's writer: folder, step, and number by tag."""
    kept = []

    class EventFileWriter:
        def __init__(self, folder):
            self.folder = folder

        def add_event(self, event):
            kept.append((self.folder, event.step, {v.tag: v.simple_value for v in event.summary.value}))

        def close(self):
            pass

    class Summary(types.SimpleNamespace):
        Value = types.SimpleNamespace

    for name, content in {
        "tensorboard": {},
        "tensorboard.summary.writer.event_file_writer": {"EventFileWriter": EventFileWriter},
        "tensorboard.compat.proto.event_pb2": {"Event": types.SimpleNamespace},
        "tensorboard.compat.proto.summary_pb2": {"Summary": Summary},
    }.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return kept


def test_numbers_have_the_names_that_the_callback_gives_them(results, tracker):
    runs = find_runs([results])
    assert trackers.log_runs(runs, tracker.__name__, "project") == ["checkpoints/exp1"]
    assert [numbers.get("radar/step", step) for step, numbers in tracker.logs] == [100, 200]
    first = tracker.logs[0][1]
    callback = tracker_values(runs[0].sources)
    assert {name: first[name] for name in callback} == callback
    animals, plants = (value(runs[0].sources[source], "sds") for source in ("wiki_animal", "wiki_plant"))
    assert first["radar/perception_sds"] == pytest.approx(np.mean([animals, plants]))
    assert first["radar/spatial_sds_logit"] == value(runs[0].sources["spatial"], "sds_logit")
    columns = tracker.tables[0][1]["radar/values"]
    names = columns.get("columns") or list(columns["dataframe"].columns)
    assert {"metric", "value", "questions", "data_checksum", "radar_version"} <= set(names)


def test_a_repeated_export_goes_on_with_the_same_run_and_logs_what_is_new(results, tracker):
    trackers.log_runs(find_runs([results]), tracker.__name__, "project")
    trackers.log_runs(find_runs([results]), tracker.__name__, "project")
    assert len(tracker.inits) == 1  # nothing new: not even begun
    write_run(results / "more", "step-00300", {s: simulate(s, 8, 2.0) for s in SKILLS})
    trackers.log_runs(find_runs([results]), tracker.__name__, "project")
    assert len(tracker.logs) == 3
    first, again = tracker.inits
    assert again["resume"] == "allow"
    assert (first["name"], first.get("id")) == (again["name"], again.get("id"))
    assert first["project"] == "project"
    trackers.log_runs(find_runs([results]), tracker.__name__, "another project")
    assert len(tracker.logs) == 6


def test_numbers_that_have_changed_are_logged_again(results, tracker):
    trackers.log_runs(find_runs([results]), tracker.__name__, "project")
    again = {s: simulate(s, 8, 2.0, seed=9) for s in SKILLS}
    write_run(results / "again", "step-00200", again, date="20261124_101112")
    trackers.log_runs(find_runs([results / "again"]), tracker.__name__, "project")
    assert len(tracker.logs) == 3


def test_wandb_gets_an_axis_of_its_own(results, monkeypatch):
    fake = FakeTracker("wandb")
    monkeypatch.setitem(sys.modules, "wandb", fake)
    trackers.log_runs(find_runs([results]), "wandb", "project")
    assert fake.axes == {"radar/step": None, "radar/*": "radar/step"}
    assert [numbers["radar/step"] for _, numbers in fake.logs] == [100, 200]


def test_tensorboard_gets_event_files_a_training_a_folder(results, events, tmp_path):
    runs = find_runs([results])
    trackers.log_runs(runs, "tensorboard", "project", tmp_path / "boards")
    trackers.log_runs(runs, "tensorboard", "project", tmp_path / "boards")
    assert [step for _, step, _ in events] == [100, 200]
    folder, _, numbers = events[0]
    assert folder == str(tmp_path / "boards" / "checkpoints-exp1")
    assert numbers["radar/perception_sds"] == tracker_values(runs[0].sources)["radar/perception_sds"]
    trackers.log_runs(runs, "tensorboard", "project", tmp_path / "elsewhere")  # the note goes with the event files
    assert len(events) == 4


def test_checkpoints_are_logged_one_by_one_as_they_finish_each_training_in_its_run(results, tracker):
    write_curve(results / "exp2", [100], {"spatial": [0.5]}, n=8)
    first, second, other = find_runs([results])
    with trackers.TrackerRuns(tracker.__name__, "project", Path("unused")) as runs:
        assert runs.log(first)
        assert runs.log(other)
        assert runs.log(second)
        assert not runs.log(second)
    assert not tracker.open
    assert [about["name"] for about in tracker.inits] == ["checkpoints-exp1", "checkpoints-exp2", "checkpoints-exp1"]


def test_the_table_is_one_that_wandb_takes(results):
    wandb = pytest.importorskip("wandb")
    kept = []
    module = types.SimpleNamespace(
        init=lambda **_: None, define_metric=lambda *_, **__: None, log=kept.append, Table=wandb.Table
    )
    trackers._WandB(module, "project", "training", {}).log_table(trackers.values_of(find_runs([results])[0]))
    assert len(kept[0]["radar/values"].data) > 10


def test_a_tracker_that_is_missing_or_does_not_begin_says_what_to_do(results, monkeypatch):
    run = find_runs([results])[0]
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(RadarError, match="pip install trackio"):
        trackers.log_runs([run], "trackio", "project")
    fake = FakeTracker("wandb")

    def refuse(**_):
        raise RuntimeError("api_key not configured (no-tty)\nlong\ntraceback")

    fake.init = refuse
    monkeypatch.setitem(sys.modules, "wandb", fake)
    with pytest.raises(RadarError, match=r"wandb did not begin .*api_key not configured \(no-tty\)\. Log in with"):
        trackers.log_runs([run], "wandb", "project")
    fake.init = lambda **_: setattr(fake, "open", True)
    trackers.log_runs([run], "wandb", "project")
    assert len(fake.logs) == 1  # the failure had noted nothing


def test_numbers_that_a_tracker_does_not_take_are_said_and_logged_the_next_time(results, tracker):
    first, second = find_runs([results])
    take = tracker.log

    def refuse(*_, **__):
        raise OSError("connection reset\nby peer")

    with trackers.TrackerRuns(tracker.__name__, "project", Path("unused")) as runs:
        tracker.log = refuse
        with pytest.raises(RadarError, match=r"did not take step-00100: connection reset$"):
            runs.log(first)
        tracker.log, tracker.open = take, False
        assert runs.log(second)
        assert runs.log(first)
    assert len(tracker.logs) == 2

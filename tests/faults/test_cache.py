"""Whose responses the cache of lmms-eval gives back, and what is left of it after a fault."""

import contextlib
import importlib.metadata
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys

import pytest
from lmms_eval import utils
from lmms_eval.api.instance import GenerationResult
from lmms_eval.caching.response_cache import ResponseCache
from lmms_eval.evaluator_utils import get_task_list
from lmms_eval.tasks import TaskManager, get_task_dict
from safetensors.torch import load_file, save_file
from tiny_models import build

from radar_tasks import paths
from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.harness import documents
from radar_tasks.harness.patches import response_cache as radar_cache
from radar_tasks.harness.patches.response_cache import ScoresOneByOne
from radar_tasks.harness.radar_hf import RadarHF

LEAF = "radar_mini_colour"
OPTIONS = 3  # of each of the two questions that are asked


@pytest.fixture(autouse=True)
def installed():
    radar_cache.install()


@pytest.fixture(scope="module")
def manager():
    return TaskManager(include_path=str(paths.task_configs("lmms_eval")), include_defaults=False)


@pytest.fixture
def checkpoint(tmp_path):
    return build("qwen2_vl", tmp_path / "checkpoint")


class Model(ScoresOneByOne):
    """Answers every question at once, and counts; `fails_after` so many."""

    identity = "that of the checkpoint, see `responses`"

    def __init__(self, fails_after=None):
        self.asked, self._left = 0, fails_after

    def as_scored(self, requests):
        for first in range(0, len(requests), OPTIONS):
            if self._left is not None and first // OPTIONS >= self._left:
                raise RadarError("the machine was taken away")
            self.asked += 1
            scores = [GenerationResult(f'{{"logprob": -{first + k}.0}}') for k in range(1, OPTIONS + 1)]
            yield requests[first : first + OPTIONS], scores

    def loglikelihood(self, requests):
        raise AssertionError("the cache asks a second time")


def responses(manager, checkpoint, cache, model, run="radar", **settings):
    """What the cache answers for the first two questions, as lmms-eval's evaluator asks it.

    The model's arguments are always the same text here, so that only what the model says of itself and the task's
    fingerprint can tell runs apart.
    """
    model.identity = RadarHF(pretrained=str(checkpoint), **settings).identity
    tasks = get_task_dict([LEAF], manager)
    task = get_task_list(tasks)[0].task
    requests = [request for document in range(2) for request in task.construct_requests(document, "")]
    for request in requests:
        request.task_name, request.doc_id = LEAF, request.args[3]
    store = ResponseCache.create(str(cache), model=run, model_args="pretrained=the same", task_dict=tasks)
    try:
        return store.execute(model, "loglikelihood", requests)
    finally:
        store.close()


def asked(*arguments, **settings):
    model = Model()
    assert len(responses(*arguments, model, **settings)) == 2 * OPTIONS
    return model.asked


def test_the_same_run_is_answered_from_the_cache(manager, checkpoint, tmp_path):
    model = Model()
    first = responses(manager, checkpoint, tmp_path / "cache", model)
    assert model.asked == 2
    assert [json.loads(response)["logprob"] for response in first] == [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]
    shutil.copytree(checkpoint, tmp_path / "elsewhere" / "a-copy")  # the place does not matter, the content does
    assert responses(manager, tmp_path / "elsewhere" / "a-copy", tmp_path / "cache", Model(0)) == first


def test_a_commit_in_the_project_around_the_environment_changes_nothing(manager, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(utils, "get_git_commit_hash", lambda: "656f5a9")
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    monkeypatch.setattr(utils, "get_git_commit_hash", lambda: "1a1a1a1")
    assert asked(manager, checkpoint, tmp_path / "cache") == 0


@pytest.mark.parametrize(
    "settings", [{"prompt_format": "plain"}, {"max_pixels": 50176}, {"min_pixels": 3136}, {"blind": True}]
)
def test_other_settings_are_never_answered_from_it(manager, checkpoint, tmp_path, settings):
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    assert asked(manager, checkpoint, tmp_path / "cache", **settings) == 2
    assert asked(manager, checkpoint, tmp_path / "cache", **settings) == 0


def other_weights(folder):
    weights = load_file(folder / "model.safetensors")
    name = max(weights)
    save_file({**weights, name: weights[name] + 1}, folder / "model.safetensors", metadata={"format": "pt"})


def other_pixel_limit(folder):
    file = folder / "processor_config.json"
    content = json.loads(file.read_text())
    content["image_processor"]["size"]["longest_edge"] //= 2
    file.write_text(json.dumps(content))


def other_vocabulary(folder):
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    content["model"]["merges"].pop()
    file.write_text(json.dumps(content))


def other_configuration(folder):
    file = folder / "config.json"
    content = json.loads(file.read_text())
    content["text_config"]["rms_norm_eps"] = 0.1
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("change", [other_weights, other_pixel_limit, other_vocabulary, other_configuration])
def test_another_checkpoint_under_the_same_path_is_never_answered_from_it(manager, checkpoint, tmp_path, change):
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    change(checkpoint)
    assert asked(manager, checkpoint, tmp_path / "cache") == 2


def test_another_order_of_the_documents_is_never_answered_from_it(manager, checkpoint, tmp_path, monkeypatch):
    """A question is known to the cache by its place; the order may be another one after an upgrade."""
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    order = documents.document_order
    monkeypatch.setattr(documents, "document_order", lambda headers: order(headers)[::-1])
    assert asked(manager, checkpoint, tmp_path / "cache") == 2


def test_another_version_of_this_package_is_never_answered_from_it(manager, checkpoint, tmp_path, monkeypatch):
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: version(name) + ".1" * (name == "lmms-eval-radar"))
    assert asked(manager, checkpoint, tmp_path / "cache") == 2


def test_what_was_scored_before_a_failure_is_kept(manager, checkpoint, tmp_path):
    with pytest.raises(RadarError, match="taken away"):
        responses(manager, checkpoint, tmp_path / "cache", Model(fails_after=1))
    assert asked(manager, checkpoint, tmp_path / "cache") == 1


def test_ruins_of_other_runs_cost_nothing_but_themselves(manager, checkpoint, tmp_path):
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    for name, content in (("empty", b""), ("half", b"SQLite format 3\0" + bytes(50)), ("text", b"no database" * 99)):
        (tmp_path / "cache" / "runs" / name).mkdir()
        (tmp_path / "cache" / "runs" / name / "rank_0.db").write_bytes(content)
    (tmp_path / "cache" / "runs" / "nothing").mkdir()
    assert asked(manager, checkpoint, tmp_path / "cache") == 0


def test_runs_that_share_a_folder_after_a_merge_are_merged_again(manager, checkpoint, tmp_path, monkeypatch):
    """Every `torchrun` on a machine has the same run id, so a folder marked as merged may hold new responses."""
    monkeypatch.setenv("LMMS_CACHE_RUN_ID", "none")
    with pytest.raises(RadarError):
        responses(manager, checkpoint, tmp_path / "cache", Model(fails_after=1))
    radar_cache.recover(tmp_path / "cache")
    assert asked(manager, checkpoint, tmp_path / "cache") == 1
    monkeypatch.setenv("LMMS_CACHE_RUN_ID", "another")
    assert asked(manager, checkpoint, tmp_path / "cache") == 0


def test_a_merge_that_was_killed_is_finished(manager, checkpoint, tmp_path):
    """Its lock is removed, and what lies in the journal of the common database is read."""
    assert asked(manager, checkpoint, tmp_path / "cache") == 2
    radar_cache.recover(tmp_path / "cache")
    script = (
        "import os, sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute('PRAGMA wal_autocheckpoint=0');"
        "d.execute(\"INSERT INTO meta VALUES ('from', 'journal')\"); d.commit(); print(os.getpid(), flush=True);"
        "os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "cache" / "cache.db")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "cache" / "cache.db-wal").stat().st_size > 0
    lock = tmp_path / "cache" / "runs" / ".merge.lock"
    lock.mkdir()
    owner = {"pid": int(done.stdout), "hostname": socket.gethostname()}
    (lock / "owner.json").write_text(json.dumps(owner))
    assert asked(manager, checkpoint, tmp_path / "cache") == 0
    assert not lock.exists()
    address = f"file:{tmp_path / 'cache' / 'cache.db'}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as database:
        assert database.execute("SELECT value FROM meta WHERE key = 'from'").fetchall() == [("journal",)]


def test_the_lock_of_a_living_merge_is_respected(tmp_path):
    lock = tmp_path / "runs" / ".merge.lock"
    lock.mkdir(parents=True)
    for owner in (
        {"pid": os.getpid(), "hostname": socket.gethostname()},
        {"pid": 2**22 + 1, "hostname": "another machine"},
    ):
        (lock / "owner.json").write_text(json.dumps(owner))
        radar_cache.recover(tmp_path)
        assert lock.exists()


def test_a_full_disk_is_told_and_what_was_stored_is_kept(manager, checkpoint, tmp_path, monkeypatch):
    store, log = ResponseCache._store, ResponseCache._log_to_audit
    stored = []

    def full(self, *arguments):
        if len(stored) == OPTIONS + 1:
            raise sqlite3.OperationalError("database or disk is full")
        stored.append(store(self, *arguments))

    monkeypatch.setattr(ResponseCache, "_store", full)
    with pytest.raises(ResultsError, match=r"--use_cache cannot be written .*disk is full"):
        responses(manager, checkpoint, tmp_path / "cache", Model())

    def full_log(self, *arguments, **more):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ResponseCache, "_log_to_audit", full_log)
    with pytest.raises(ResultsError, match="No space left on device"):
        responses(manager, checkpoint, tmp_path / "cache", Model())
    monkeypatch.setattr(ResponseCache, "_store", store)
    monkeypatch.setattr(ResponseCache, "_log_to_audit", log)
    assert asked(manager, checkpoint, tmp_path / "cache") == 1

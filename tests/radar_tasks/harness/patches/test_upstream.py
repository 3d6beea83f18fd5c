"""Whether lmms-eval is what the patches were made for.

Each function that is wrapped, and each that the wrappers rely on, is compared with what it was. When this fails after
an upgrade: read what changed, see whether the patch still fits (or is not needed any more), and write the release and
the digests that the failures show into `SEEN`.
"""

import ast
import hashlib
import importlib.metadata
import inspect
import logging
import textwrap

import pytest
from lmms_eval import evaluator, evaluator_utils, utils
from lmms_eval.api.task import ConfigurableTask, Task
from lmms_eval.caching import response_cache
from lmms_eval.caching.response_cache import ResponseCache
from lmms_eval.loggers import EvaluationTracker
from lmms_eval.tasks import TaskManager

from radar_tasks.harness import patches

SEEN = {
    "0.7.3": {
        TaskManager.initialize_tasks: "8c7c8dc3cb33",
        TaskManager._get_task_and_group: "e1745b604bb3",
        ResponseCache.create: "981e05b8088e",
        ResponseCache.execute: "f93e9f3dfe44",
        ResponseCache.merge_shards: "bba5bed80081",
        response_cache._extract_content_hash: "2fb84fd627b2",
        utils.get_lmms_eval_cache_version: "5fe4efdab08c",
        EvaluationTracker.__init__: "f446eacea054",
        EvaluationTracker.save_results_aggregated: "8716cc6066e1",
        EvaluationTracker.save_results_samples: "5ba598965df2",
        utils.make_table: "2b0da1a7659a",
        evaluator.simple_evaluate: "d516d0a23b30",
        evaluator.evaluate: "f7289fe516eb",
        evaluator._process_document_results: "92cf12df8949",
        evaluator_utils.get_sample_size: "e9e1abb44936",
        evaluator_utils.get_task_list: "14c552d63e58",
        Task.build_all_requests: "f880c4303292",
        ConfigurableTask.construct_requests: "91a96f667137",
    }
}


def digest(function):
    """Of what a function does: comments and layout do not count."""
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(function)))
    return hashlib.sha256(ast.dump(ast.parse(source)).encode()).hexdigest()[:12]


@pytest.mark.parametrize("function", next(iter(SEEN.values())), ids=lambda function: function.__qualname__)
def test_what_is_wrapped_is_what_it_was(function):
    version = importlib.metadata.version("lmms-eval")
    assert digest(function) == SEEN[version][function]


def test_every_patch_was_seen_in_a_release_that_is_tried():
    for patch in patches.all_patches():
        assert patch.seen_in in patches.TESTED
        assert patch.changes
    assert importlib.metadata.version("lmms-eval") in patches.TESTED
    assert set(SEEN) == set(patches.TESTED)


def test_an_untried_release_gets_one_warning_that_names_it(monkeypatch, caplog):
    version = importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9" if name == "lmms-eval" else version(name))
    patches.install.cache_clear()
    with caplog.at_level(logging.WARNING, "radar"):
        patches.install()
        patches.install()
    assert [record.getMessage()[:14] for record in caplog.records] == ["lmms-eval 9.9 "]
    assert "0.7.3" in caplog.records[0].getMessage()


def test_a_second_rank_does_not_repeat_the_warning(monkeypatch, caplog):
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "9.9")
    monkeypatch.setenv("RANK", "1")
    patches.install.cache_clear()
    with caplog.at_level(logging.WARNING, "radar"):
        patches.install()
    assert not caplog.records


def test_installing_twice_wraps_once():
    patches.install()
    before = TaskManager.initialize_tasks, EvaluationTracker.__init__, utils.make_table
    patches.install.cache_clear()
    patches.install()
    assert (TaskManager.initialize_tasks, EvaluationTracker.__init__, utils.make_table) == before

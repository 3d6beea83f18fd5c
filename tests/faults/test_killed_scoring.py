"""SIGKILL at random moments of scoring with the response cache on; `make soak` kills ten times in a row."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fuzzing import cases

KILLS = cases(2)
QUESTIONS = 12 + 8 * KILLS


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("killed")
    script = Path(__file__).with_name("interrupted_scoring.py")
    done = subprocess.run(
        [sys.executable, str(script), *map(str, (folder, KILLS, QUESTIONS, 7))],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=100 * KILLS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_table_is_that_of_an_undisturbed_run(runs):
    assert len(runs["undisturbed"]) == 2
    assert runs["resumed"] == runs["undisturbed"]


def test_only_the_batch_that_was_interrupted_is_scored_again(runs):
    assert all(runs["batches"][:KILLS])
    scored, interrupted = set(), set()
    for attempt in runs["batches"]:
        questions = [q_id for batch in attempt for q_id in batch]
        assert len(set(questions)) == len(questions)
        assert set(questions) & scored <= interrupted
        scored |= set(questions)
        interrupted |= set(attempt[-1])
    assert len(scored) == 2 * QUESTIONS


def test_every_batch_before_the_interrupted_one_is_in_the_cache(runs):
    kept = 0
    for attempt, stored in zip(runs["batches"], runs["stored"], strict=True):
        kept += sum(map(len, attempt[:-1]))
        assert stored >= kept
        kept = stored
    assert kept == 2 * QUESTIONS

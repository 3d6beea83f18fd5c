"""The paper's three families, to the digit: golden numbers of the official scripts on tiny random checkpoints.

Every option is scored by one full forward of one sequence, written here; engine and harness have tests of their own.
"""

import json

import numpy as np
import pytest
from parity_data import FAMILIES, PARITY, one_option, options

from radar_tasks.questions import Question
from radar_tasks.scoring.checkpoints import load
from radar_tasks.sources.release import release_sources


@pytest.fixture(scope="module")
def questions():
    found = {}
    for source in release_sources(PARITY / "data"):
        for question in source.read():
            assert isinstance(question, Question), question
            found[source.source, question.q_id] = question
    return found


@pytest.fixture(scope="module", params=FAMILIES)
def official(request):
    """(family, checkpoint)."""
    return request.param, load(options(request.param, prompt_format="official"))


def expected_items(family):
    items = json.loads((PARITY / family / "expected.json").read_text())["items"]
    for item in items:
        name = item["file"].split("/")[-1]
        source = {"MMBe": "mmbench", "MMMU": "mmmu_pro", "Math": "mathvista", "SeeP": "seephys", "Wiki": "wiki_animal",
                  "Spat": "spatial"}[name[:4]]  # fmt: skip
        category = name.split("_", 1)[1].rsplit("_", 4)[0] if source == "mmbench" else ""
        yield (source, f"{category}/{item['q_id']}" if category else item["q_id"]), item


def test_mean_logits_and_probabilities_agree_with_the_official_scripts(official, questions):
    family, checkpoint = official
    compared = 0
    for key, item in expected_items(family):
        question = questions[key]
        encoded = checkpoint.encode(question)
        assert encoded.visual_tokens == item["n_image_tokens"], key
        if set(item["answers"]) == {"A", "B"}:
            continue  # the order of the letters came from a process-wide random state there
        assert sorted(question.options) == sorted(item["answers"])
        order = [question.options.index(answer) for answer in item["answers"]]
        assert [encoded.scored[k] for k in order] == item["answer_token_counts"], key
        tokens = len(encoded.prefix_ids) + len(encoded.continuations[0]) - encoded.scored[0]
        assert tokens == item["prompt_token_count"], key
        logits = np.array([one_option(checkpoint.model, encoded, k)[0] for k in order])
        np.testing.assert_allclose(logits, item["answers_avg_logits"], atol=1e-4, err_msg=str(key))
        p = np.exp(logits - logits.max())
        np.testing.assert_allclose(p / p.sum(), item["answer_prob"], atol=1e-4, err_msg=str(key))
        compared += 1
    assert compared >= 18

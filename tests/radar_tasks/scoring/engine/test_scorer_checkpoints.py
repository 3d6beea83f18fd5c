"""The engine with real tokenizers and image processors: pictures of several sizes, one and two a question."""

import pytest
import tiny_models
from reference_scorer import reference_scores

from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import from_model

OPTIONS = [("two horses", "no"), ("a red circle left of the blue square", "yes", "7", "a dog")]


def asked(count):
    return [
        tiny_models.question(
            q_id=str(k),
            images=tuple(tiny_models.picture(k + j, (60 + 30 * (k % 3), 40 + 50 * (k % 2))) for j in range(1 + k % 2)),
            options=OPTIONS[k % 2],
            text=("Which animal is this?" * (1 + k % 3),),
        )
        for k in range(count)
    ]


@pytest.mark.parametrize(
    "family", ["qwen2_vl", "qwen3_5", "llava_next", "llava_onevision", "internvl", "idefics3", "paligemma", "gemma3"]
)
def test_equal_to_the_reference(family):
    model, processor = tiny_models.make(family)
    checkpoint = from_model(model, processor)
    questions = asked(6)
    scorer = Scorer(checkpoint, batch_size=4)
    scores = dict(scorer.score(questions))
    assert scorer.describe()["fallback"] is None
    for k, question in enumerate(questions):
        reference = reference_scores(model, checkpoint.model_type, checkpoint.encode(question))
        for score, (logprob, logit) in zip(scores[k], reference, strict=True):
            assert (score.logprob, score.logit) == pytest.approx((logprob, logit), abs=1e-5)

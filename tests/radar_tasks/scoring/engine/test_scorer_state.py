"""Scoring leaves no trace in the model."""

import subprocess
import sys

import accelerate
import pytest
import torch
from made_questions import made_checkpoint, questions

from radar_tasks.scoring import Scorer

A, B = questions(6), [*questions(5, first=50), *questions(3, first=70, images=False)]


@pytest.mark.parametrize("scoring", ["shared", "independent", "auto"])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_5", "gemma3"])
def test_a_then_b_then_a_is_the_same_to_the_last_bit(family, scoring):
    made = made_checkpoint(family)
    scorer = Scorer(made, scoring=scoring, batch_size=3)
    first = dict(scorer.score(A))
    dict(scorer.score(B))
    assert dict(scorer.score(A)) == first
    assert dict(Scorer(made, scoring=scoring, batch_size=3).score(A)) == first


@pytest.mark.parametrize("workers", [1, 4])
def test_threads_do_not_change_a_bit(workers):
    made = made_checkpoint("qwen2_vl")
    assert dict(Scorer(made, batch_size=3, workers=workers).score(B)) == dict(Scorer(made, batch_size=3).score(B))


def test_a_stale_position_of_another_run_does_no_harm():
    made = made_checkpoint("qwen2_vl")
    clean = dict(Scorer(made).score(B))
    made.model.model.rope_deltas = torch.tensor([[-17]])
    assert dict(Scorer(made).score(B)) == clean
    assert made.model.model.rope_deltas.tolist() == [[-17]]


def test_mode_gradients_and_positions_are_as_before_whenever_the_caller_has_the_word():
    made = made_checkpoint("qwen2_vl")
    model = made.model.train()
    model.model.visual.eval()
    modes = [module.training for module in model.modules()]
    model.lm_head.weight.grad = torch.ones_like(model.lm_head.weight)
    for _ in Scorer(made, batch_size=2).score(A):
        assert [module.training for module in model.modules()] == modes
        assert torch.is_grad_enabled()
        assert model.model.rope_deltas is None
    assert model.lm_head.weight.grad.eq(1).all()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_model_in_training_mode_is_scored_without_dropout():
    made = made_checkpoint("gemma3")
    expected = dict(Scorer(made).score(A))
    made.model.train()
    for module in made.model.modules():
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.5
    assert dict(Scorer(made).score(A)) == expected


def test_the_model_can_be_trained_after_scoring():
    made = made_checkpoint("qwen2_vl")
    list(Scorer(made).score(A))
    encoded = made.encode(A[0])
    inputs = {
        "input_ids": encoded.prefix_ids[None],
        "mm_token_type_ids": encoded.token_inputs["mm_token_type_ids"][None],
    }
    made.model.train()(**inputs, **encoded.vision, labels=encoded.prefix_ids[None]).loss.backward()
    assert made.model.lm_head.weight.grad.abs().sum() > 0


@pytest.mark.parametrize("family", ["qwen2_vl", "llava"])
def test_weights_that_accelerate_keeps_elsewhere(family, tmp_path):
    """What `device_map=auto` does with a model that does not fit: no weight is on the device when inputs are placed."""
    made = made_checkpoint(family)
    expected = dict(Scorer(made, scoring="shared").score(A))
    accelerate.disk_offload(made.model, tmp_path, execution_device=torch.device("cpu"))
    scorer = Scorer(made)
    found = dict(scorer.score(A))
    assert next(made.model.parameters()).device.type == "meta"
    assert scorer.describe()["device"] == "cpu"
    for index, scores in expected.items():
        assert [score.logit for score in found[index]] == pytest.approx([s.logit for s in scores], abs=1e-5)


def test_no_harness_is_needed():
    code = (
        "import sys; sys.modules['lmms_eval'] = sys.modules['lm_eval'] = None; from radar_tasks.scoring import Scorer"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

"""A model that does not fit on one device: spread by a device map, its other part on disk."""

import torch
from tiny_models import build, question

from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import CheckpointOptions, from_model, load


def scores(checkpoint, questions):
    return dict(Scorer(checkpoint, batch_size=2).score(questions))


def test_device_map_auto_gives_the_same_scores(tmp_path):
    folder = build("qwen2_vl", tmp_path / "model")
    questions = [question(images=k % 3, q_id=f"q{k}") for k in range(5)]
    whole = scores(load(CheckpointOptions(pretrained=str(folder), device="cpu")), questions)
    spread = scores(load(CheckpointOptions(pretrained=str(folder), device_map="auto")), questions)
    assert spread == whole


def test_layers_that_lie_on_disk_give_the_same_scores(tmp_path):
    """As `device_map=auto` does it when memory is short: the decoder's layers come from disk when they are needed."""
    from accelerate import disk_offload

    folder = build("qwen2_vl", tmp_path / "model")
    questions = [question(images=k % 3, q_id=f"q{k}") for k in range(5)]
    checkpoint = load(CheckpointOptions(pretrained=str(folder), device="cpu"))
    whole = scores(checkpoint, questions)
    language = checkpoint.model.model.language_model
    disk_offload(language, str(tmp_path / "offloaded"), execution_device=torch.device("cpu"))
    assert {parameter.device.type for parameter in language.layers.parameters()} == {"meta"}
    spread = from_model(checkpoint.model, checkpoint.processor)
    for index, found in scores(spread, questions).items():
        for one, other in zip(found, whole[index], strict=True):
            assert abs(one.logprob - other.logprob) < 1e-5

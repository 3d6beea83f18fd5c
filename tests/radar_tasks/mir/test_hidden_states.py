"""MIR of tiny models against the formula on features that are all kept."""

import numpy as np
import pytest
import scipy.linalg
import torch
from tiny_models import make, picture, question

from radar_tasks.errors import CheckpointError, DataError
from radar_tasks.mir import hidden_states as layers
from radar_tasks.mir.hidden_states import layer_features, modality_integration
from radar_tasks.mir.pairs import pairs_of_folder, pairs_of_sources
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.engine.model_runner import RunningModel

FAMILIES = ["qwen2_vl", "llava", "gemma3"]


def pairs(count):
    return [question(images=(picture(k, (60 + 20 * k, 40)),)) for k in range(count)]


def replaced(rows):
    """Tokens more than three deviations from the mean norm become the mean of the others."""
    norms = np.linalg.norm(rows, axis=1)
    outlier = np.abs(norms - norms.mean()) > 3 * norms.std(ddof=1)
    return np.where(outlier[:, None], rows[~outlier].mean(axis=0), rows)


def plain_mir(features):
    """From features of all pairs, (vision, text) lists of layers, with a root of the product of covariances."""
    total = 0.0
    for k in range(len(features[0][0])):
        v, t = (np.concatenate([pair[side][k] for pair in features]) for side in (0, 1))
        scale = np.linalg.norm(t, axis=1).mean()
        v, t = replaced(v) / scale, replaced(t) / scale
        a, b = np.cov(v.T), np.cov(t.T)
        root = scipy.linalg.sqrtm(a @ b).real
        total += ((v.mean(0) - t.mean(0)) ** 2).sum() + np.trace(a + b - 2 * root)
    return np.log10(total)


@pytest.mark.parametrize("family", FAMILIES)
def test_mir_of_a_model_is_that_of_its_kept_features(family, monkeypatch):
    model, processor = make(family)
    checkpoint = from_model(model, processor)
    running = RunningModel(checkpoint.model, checkpoint.model_type)
    kept = [layer_features(checkpoint, running, pair) for pair in pairs(4)]
    found = modality_integration(checkpoint, pairs(4))
    assert found.mir == pytest.approx(plain_mir(kept), abs=1e-4)
    assert len(found.distances) == checkpoint.parts.config.get_text_config().num_hidden_layers
    assert found.vision_tokens == sum(len(vision[0]) for vision, _ in kept)
    monkeypatch.setattr(layers, "MOMENT_BYTES", 1)  # one layer at a time
    assert modality_integration(checkpoint, pairs(4)).mir == pytest.approx(found.mir, abs=1e-9)


def test_every_token_is_vision_or_text_and_the_states_are_the_models_own():
    model, processor = make("qwen2_vl")
    checkpoint = from_model(model, processor)
    pair = pairs(1)[0]
    vision, text = layer_features(checkpoint, RunningModel(checkpoint.model, checkpoint.model_type), pair)
    encoded = checkpoint.encode(pair)
    assert len(vision[0]) == encoded.visual_tokens
    assert len(vision[0]) + len(text[0]) == len(encoded.prefix_ids) + len(encoded.continuations[pair.answer])
    ids = torch.cat([encoded.prefix_ids, encoded.continuations[pair.answer]])[None]
    types = torch.cat([encoded.token_inputs["mm_token_type_ids"], torch.zeros_like(encoded.continuations[pair.answer])])
    with torch.no_grad():
        output = model.eval()(input_ids=ids, mm_token_type_ids=types[None], output_hidden_states=True, **encoded.vision)
    states = output.hidden_states[-1][0].double().numpy()
    np.testing.assert_allclose(np.concatenate([vision[-1], text[-1]]).sum(0), states.sum(0), rtol=1e-4, atol=1e-4)


def test_a_blind_checkpoint_has_no_mir():
    model, processor = make("qwen2_vl")
    with pytest.raises(CheckpointError, match="no image tokens"):
        modality_integration(from_model(model, processor, blind=True), pairs(1))


def test_pairs_of_a_folder(tmp_path):
    for k in range(3):
        (tmp_path / f"{k}.png").write_bytes(picture(k))
        (tmp_path / f"{k}.txt").write_text(f"a text {k}\n")
    made = pairs_of_folder(tmp_path, 2)
    assert [(pair.q_id, pair.options[0]) for pair in made] == [("0.png", "a text 0"), ("1.png", "a text 1")]
    with pytest.raises(DataError, match=r"3 pictures in .*, 4 pairs"):
        pairs_of_folder(tmp_path, 4)
    (tmp_path / "1.txt").unlink()
    with pytest.raises(DataError, match=r"1.png needs its text beside it in 1.txt"):
        pairs_of_folder(tmp_path, 3)
    with pytest.raises(DataError, match="is not a folder"):
        pairs_of_folder(tmp_path / "no", 1)


def test_pairs_of_sources_are_spread_over_them():
    made = pairs_of_sources(["mini_colour", "mini_shape"], 10)
    assert [sum(pair.source == name for pair in made) for name in ("mini_colour", "mini_shape")] == [5, 5]
    assert [pair.q_id for pair in made] == [pair.q_id for pair in pairs_of_sources(["mini_colour", "mini_shape"], 10)]
    with pytest.raises(DataError, match="pairs were requested"):
        pairs_of_sources(["mini_colour"], 10_000)

"""Checkpoints with the same vision tower share its features, and nobody else's."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_models import build, picture, question

from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import checkpoint_options, load
from radar_tasks.scoring.engine import tower_store as feature_store

ASKED = [question(images=(picture(k), picture(k + 1))[: 1 + k % 2], q_id=f"q{k}") for k in range(5)]


def trained_on(folder, place, seed, part="multi_modal_projector"):
    """A copy whose weights of one part have moved."""
    shutil.copytree(folder, place)
    weights = load_file(place / "model.safetensors")
    generator = torch.Generator().manual_seed(seed)
    moved = [name for name in weights if part in name]
    assert moved
    for name in moved:
        weights[name] = weights[name] + 0.1 * torch.randn(weights[name].shape, generator=generator)
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    return place


def scored(folder, store=None):
    """Scores, the state of the store, pictures read from it, pictures that went through the tower."""
    checkpoint = load(checkpoint_options({"pretrained": str(folder)}))
    tower = getattr(checkpoint.model.base_model, "vision_tower", torch.nn.Identity())
    through = []
    first_layer = next((m for m in tower.modules() if isinstance(m, torch.nn.Conv2d)), tower)
    first_layer.register_forward_hook(lambda _, inputs, __: through.append(len(inputs[0])))
    scorer = Scorer(checkpoint, feature_store=store, batch_size=2)
    found = dict(scorer.score(ASKED))
    scores = [[(s.logprob, s.logit) for s in found[k]] for k in range(len(ASKED))]
    read = 0 if store is None else scorer._tower.read
    assert "forward" not in tower.__dict__
    return scores, scorer.describe()["feature_store"], read, sum(through)


def largest_difference(one, other):
    return max(
        abs(a - b)
        for p, q in zip(one, other, strict=True)
        for s, t in zip(p, q, strict=True)
        for a, b in zip(s, t, strict=True)
    )


@pytest.mark.parametrize("family", ["llava", "llava_next", "internvl", "gemma3"])
def test_a_later_checkpoint_reads_and_its_scores_are_those_without(family, tmp_path):
    build(family, tmp_path / "a")
    others = [trained_on(tmp_path / "a", tmp_path / f"b{k}", k) for k in range(2)]
    store = tmp_path / "store"
    first = scored(tmp_path / "a", store)
    assert first[1:3] == ("first", 0)
    assert not list(store.rglob("*.safetensors"))
    second = scored(others[0], store)
    assert second[1] == "on"
    assert second[3] > 0
    assert len(list(store.rglob("*.safetensors"))) == 1
    third = scored(others[1], store)
    assert third[1] == "on"
    assert third[2] > 0
    assert third[3] == 0
    plain = [scored(folder)[0] for folder in (tmp_path / "a", *others)]
    for with_store, without in zip((first, second, third), plain, strict=True):
        assert largest_difference(with_store[0], without) < 1e-6
    assert largest_difference(plain[1], plain[2]) > 1e-3


def test_another_tower_and_a_damaged_part_are_not_used(tmp_path):
    build("llava", tmp_path / "a")
    store = tmp_path / "store"
    scored(tmp_path / "a", store)
    scored(trained_on(tmp_path / "a", tmp_path / "b", 1), store)
    part = next(store.rglob("*.safetensors"))
    part.with_suffix(".part").write_bytes(b"a writer was killed here")
    moved = trained_on(tmp_path / "a", tmp_path / "c", 2, part="vision_tower")
    found = scored(moved, store)
    assert found[1] == "first"
    assert largest_difference(found[0], scored(moved)[0]) == 0
    part.write_bytes(part.read_bytes()[:-10])
    again = scored(trained_on(tmp_path / "a", tmp_path / "d", 3), store)
    assert again[1:3] == ("on", 0)
    assert len(list(part.parent.glob("*.safetensors"))) == 2


def test_features_that_became_zeros_are_made_again(tmp_path):
    """A file system after a power loss leaves the length, and zeros for what it had not written yet."""
    build("llava", tmp_path / "a")
    store = tmp_path / "store"
    scored(tmp_path / "a", store)
    scored(trained_on(tmp_path / "a", tmp_path / "b", 1), store)
    part = next(store.rglob("*.safetensors"))
    content = bytearray(part.read_bytes())
    header = int.from_bytes(content[:8], "little")
    start, end = json.loads(content[8 : 8 + header])["features"]["data_offsets"]
    middle = 8 + header + (start + end) // 2
    content[middle : 8 + header + end] = bytes(8 + header + end - middle)
    part.write_bytes(content)
    later = trained_on(tmp_path / "a", tmp_path / "c", 2)
    found = scored(later, store)
    assert found[1] == "on"
    assert found[2] > 0  # those before the zeros
    assert found[3] > 0
    assert largest_difference(found[0], scored(later)[0]) < 1e-6


def test_the_store_keeps_to_its_size_and_old_towers_make_room(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "PART_BYTES", 1)
    build("llava", tmp_path / "a")
    old = tmp_path / "store" / "old"
    old.mkdir(parents=True)
    (old / "x.safetensors").write_bytes(bytes(3000))
    checkpoint = load(checkpoint_options({"pretrained": str(tmp_path / "a")}))

    def tower(budget):
        made = feature_store.TowerFeatures(checkpoint, tmp_path / "store", budget)
        made.state = "on"  # as for a second checkpoint
        with made.in_use(), torch.no_grad():
            checkpoint.model.base_model.vision_tower(
                torch.randn(4, 3, 28, 28), return_dict=True, output_hidden_states=True
            )
        return made

    tower(budget=100)
    assert not list((tmp_path / "store").rglob("*.safetensors"))
    assert not old.exists()  # it would have made room, had there been enough
    tower(budget=1 << 20)
    parts = list((tmp_path / "store").rglob("*.safetensors"))
    assert len(parts) == 1


def test_a_family_without_a_separate_tower_runs_without(tmp_path):
    build("qwen2_vl", tmp_path / "a")
    scores, state, *_ = scored(tmp_path / "a", tmp_path / "store")
    assert state == "off: qwen2_vl has no vision tower of its own"
    assert largest_difference(scores, scored(tmp_path / "a")[0]) == 0
    assert not (tmp_path / "store").exists()

"""The example that pre-trains, from documents to checkpoints, and the checkpoints it left in the package."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from radar_tasks import paths
from radar_tasks.sources.sample import LEAVES

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny_pretraining"
STUDY = Path(__file__).parents[2] / "studies" / "tiny"
SHIPPED = sorted(paths.checkpoints().glob("step-*"))


@pytest.fixture(scope="module")
def example():
    """The example's modules, imported as its scripts do."""
    sys.path[:0] = [str(EXAMPLE), str(STUDY)]
    try:
        yield {name: importlib.import_module(name) for name in ("documents", "model", "train", "measure")}
    finally:
        for folder in (EXAMPLE, STUDY):
            sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def trained(example, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    example["train"].pretrain(out, example["train"].Recipe(steps=3, kept=(0, 2, 3), batch=4))
    return out


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).state_dict()


def test_documents_depend_on_seed_and_number_alone(example):
    documents = example["documents"].Documents
    one, again, other = documents(9, 1)[5], documents(500, 1)[5], documents(9, 2)[5]
    assert one.text == again.text
    assert all((a == b).all() for a, b in zip(one.pictures, again.pictures, strict=True))
    assert one.text != other.text


def test_a_document_is_pictures_then_lines(example):
    documents = example["documents"].Documents(40, 3)
    for document in documents:
        marks, _, lines = document.text.rpartition("<|vision_end|>")
        assert (marks + "<|vision_end|>") == example["documents"].IMAGE * len(document.pictures)
        assert lines.endswith("<|endoftext|>")
        assert 1 <= lines.count("\n") + 1 <= 4


def test_the_loss_is_on_the_text_alone(example):
    documents = example["documents"].Documents(4, 5)
    processor = example["model"].make_processor([document.text for document in documents])
    batch = example["train"].Collator(processor)(list(documents))
    for labels, document in zip(batch["labels"], documents, strict=True):
        learnt = processor.tokenizer.decode(labels[labels != -100])
        assert learnt == document.text.replace(example["documents"].IMAGE, "")


def test_any_text_can_be_encoded_and_special_tokens_are_whole(example):
    tokenizer = example["model"].make_processor(["The shape is a circle"]).tokenizer
    text = "Ünïcode, 数 <image> and\ttabs"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer("<|image_pad|><|im_start|>")["input_ids"]) == 2


def test_training_writes_folders_that_load_by_themselves(trained):
    assert sorted(folder.name for folder in trained.glob("step-*")) == ["step-00000", "step-00002", "step-00003"]
    first, last = weights(trained / "step-00000"), weights(trained / "step-00003")
    assert any(not torch.equal(first[name], last[name]) for name in first)
    assert AutoProcessor.from_pretrained(trained / "step-00003").image_processor.patch_size == 8


def test_what_is_kept_does_not_change_the_run(example, trained, tmp_path):
    example["train"].pretrain(tmp_path, example["train"].Recipe(steps=3, kept=(3,), batch=4))
    first, again = weights(trained / "step-00003"), weights(tmp_path / "step-00003")
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_an_interrupted_run_goes_on_to_the_same_weights(example, tmp_path, monkeypatch):
    train = example["train"]
    monkeypatch.setattr(train, "SAVED_EVERY", 2)
    recipe = train.Recipe(steps=4, kept=(3, 4), batch=4, in_order=True)
    train.pretrain(tmp_path / "whole", recipe)
    kept = train.keep

    def interrupted(out, step, *rest):
        if step == 3:
            raise KeyboardInterrupt
        return kept(out, step, *rest)

    monkeypatch.setattr(train, "keep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.pretrain(tmp_path / "parted", recipe)
    monkeypatch.setattr(train, "keep", kept)
    train.pretrain(tmp_path / "parted", recipe)
    for step in ("step-00003", "step-00004"):
        whole, parted = weights(tmp_path / "whole" / step), weights(tmp_path / "parted" / step)
        assert all(torch.equal(whole[name], parted[name]) for name in whole)


def test_the_shipped_checkpoints_are_one_run_and_small():
    assert 6 <= len(SHIPPED) <= 8
    assert SHIPPED[0].name == "step-00000"
    assert sum(file.stat().st_size for folder in SHIPPED for file in folder.iterdir()) < 17e6
    for folder in SHIPPED:
        assert (folder / "model.safetensors").stat().st_size < 2e6
        for name in ("config.json", "tokenizer.json"):
            assert (folder / name).read_bytes() == (SHIPPED[0] / name).read_bytes()
        assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen2_vl"


@pytest.fixture(scope="module")
def ends(example):
    """Probabilities of right answers, a leaf, of the first and the last shipped checkpoint on a few questions."""
    return [example["measure"].measure(folder, most=24) for folder in (SHIPPED[0], SHIPPED[-1])]


def mean_of(found: dict[str, np.ndarray], ability: str) -> float:
    return float(np.mean([found[leaf.subject].mean() for leaf in LEAVES if leaf.ability == ability]))


def test_the_untrained_checkpoint_is_at_chance(ends):
    for leaf in LEAVES:
        probabilities = ends[0][leaf.subject]
        error = probabilities.std(ddof=1) / len(probabilities) ** 0.5
        assert abs(probabilities.mean() - 1 / leaf.options) < 4 * error, leaf.subject


def test_the_last_checkpoint_sees_and_perception_leads(ends):
    for leaf in LEAVES:
        if leaf.ability == "perception":
            assert ends[1][leaf.subject].mean() > 1 / leaf.options + 0.2, leaf.subject
    assert mean_of(ends[1], "perception") > 0.8
    assert mean_of(ends[1], "perception") > mean_of(ends[1], "reasoning") > mean_of(ends[0], "reasoning") + 0.05


def test_a_pool_is_read_again_in_another_order(example):
    documents = example["documents"].Documents(30, 3, pool=10)
    texts = [document.text for document in documents]
    assert texts[:10] != texts[10:20] != texts[20:]
    assert sorted(texts[:10]) == sorted(texts[10:20]) == sorted(texts[20:])


def test_a_mix_holds_from_its_step_on(example):
    kinds = example["documents"].KINDS
    mixes = [(0, {name: share for name, share in kinds.items() if name != "pair"}), (50, {"pair": 1.0})]
    documents = list(example["documents"].Documents(60, 3, mixes=mixes))
    assert {len(document.pictures) for document in documents[:50]} == {1}
    assert {len(document.pictures) for document in documents[50:]} == {2}
    with pytest.raises(ValueError, match="in_order"):
        example["train"].Recipe(mixes=mixes)


def test_runs_are_one_until_their_mixes_part(example, tmp_path):
    recipe = example["train"].Recipe
    common = {"steps": 4, "kept": (2, 4), "batch": 4, "in_order": True, "tokenizer_seed": 7}
    base = {"single": 1.0}
    example["train"].pretrain(tmp_path / "a", recipe(**common, mixes=[(0, base)]))
    example["train"].pretrain(tmp_path / "b", recipe(**common, mixes=[(0, base), (2, {"pair": 1.0})]))
    before = [weights(tmp_path / run / "step-00002") for run in "ab"]
    after = [weights(tmp_path / run / "step-00004") for run in "ab"]
    assert all(torch.equal(before[0][name], before[1][name]) for name in before[0])
    assert not all(torch.equal(after[0][name], after[1][name]) for name in after[0])


def test_frozen_parts_stay_as_the_checkpoints_they_came_from(example, tmp_path):
    train = example["train"]
    for seed, name, pictures in ((1, "language", False), (2, "tower", True)):
        recipe = train.Recipe(steps=1, kept=(1,), batch=2, seed=seed, tokenizer_seed=7, pictures=pictures)
        train.pretrain(tmp_path / name, recipe)
    language, tower = tmp_path / "language" / "step-00001", tmp_path / "tower" / "step-00001"
    recipe = train.Recipe(
        steps=2, kept=(2,), batch=2, seed=3, tokenizer_seed=7,
        frozen=("tower", "language"), language=language, tower=tower,
    )  # fmt: skip
    train.pretrain(tmp_path / "aligned", recipe)
    made = weights(tmp_path / "aligned" / "step-00002")
    origin = {"language": weights(language), "tower": weights(tower), "projector": weights(tower)}
    parts = {name: train.part_of(name) for name in made}
    assert set(parts.values()) == {"language", "tower", "projector"}
    for name, value in made.items():
        assert torch.equal(value, origin[parts[name]][name]) is (parts[name] != "projector"), name


def test_every_run_of_the_study_has_a_recipe(example):
    study = importlib.import_module("pretrain")
    plan = study.read_plan()
    for name, run in plan["runs"].items():
        recipe = study.recipe_of(plan, name, Path("out"))
        assert recipe.steps == max(recipe.kept) == run.get("steps", plan["steps"]), name
        assert set(study.begins_with(run)) <= set(plan["runs"])
    assert {name for name, run in plan["runs"].items() if not set(run) - {"seed"}} == {"base-1", "base-2", "base-3"}

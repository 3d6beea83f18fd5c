"""The fine-tunings of the tiny study: what is learnt, what is asked, how replies are read, and what is written."""

from __future__ import annotations

import csv
import importlib
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from radar_tasks.sources.sample_pictures import load_digits

ROOT = Path(__file__).parents[2]
FOLDERS = [str(ROOT / "examples" / "tiny_pretraining"), str(ROOT / "studies" / "tiny")]


@pytest.fixture(scope="module")
def study():
    """The study's and the example's modules, imported as their scripts do."""
    before = list(sys.path)
    sys.path[:0] = FOLDERS
    try:
        yield {name: importlib.import_module(name) for name in ("train", "documents", "pretrain", "finetune")}
    finally:
        sys.path[:] = before


@pytest.fixture(scope="module")
def runs(study, tmp_path_factory):
    """A run of two checkpoints, and one that has not been trained yet."""
    folder = tmp_path_factory.mktemp("runs")
    recipe = study["train"].Recipe(steps=4, kept=(0, 2, 4), batch=4, log_every=2)
    study["train"].pretrain(folder / "base-1", recipe)
    return folder


PLAN = {
    "kept": [0, 2, 4],
    "questions_each": 2,
    "runs": {"base-1": {"seed": 1}, "other": {"seed": 2, "kept": [0, 4]}},
    "fine_tuning": {"configurations": ["base-1", "other"], "steps": 2, "seeds": {"base-1": [1, 2], "other": [1]}},
}


def turns_of(finetune, text):
    """Questions with their replies."""
    _, _, talk = text.rpartition("<|vision_end|>")
    for turn in talk.split(finetune.OVER)[:-1]:
        question, reply = turn.strip("\n").split(finetune.REPLY)
        first, *shown = question.split("\n")
        yield first, dict(option.split(". ") for option in shown), reply


def test_conversations_ask_half_in_letters_whose_place_says_nothing(study):
    finetune = study["finetune"]
    digits = load_digits("train")
    letters, forms = Counter(), Counter()
    for number in range(150):
        text, pictures = finetune.conversation(1, number, digits)
        assert text.count("<|image_pad|>") == len(pictures)
        turns = list(turns_of(finetune, text))
        assert 1 <= len(turns) <= finetune.TURNS
        assert len({question for question, _, _ in turns}) == len(turns)
        for _, shown, reply in turns:
            forms[bool(shown)] += 1
            assert reply in shown if shown else reply.startswith(" ")
            if len(shown) == 4:
                letters[reply] += 1
    assert 0.4 < forms[True] / sum(forms.values()) < 0.6
    assert min(letters[letter] for letter in "ABCD") > 0.15 * sum(letters.values())
    assert finetune.conversation(1, 3, digits)[0] != finetune.conversation(2, 3, digits)[0]


def test_the_loss_is_on_replies_and_on_their_end_alone(study, runs):
    finetune = study["finetune"]
    processor = finetune.Qwen2VLProcessor.from_pretrained(runs / "base-1" / "step-00002")
    batch = finetune.training_batches(processor, 1, 1)[0]
    for row, labels in enumerate(batch["labels"]):
        text, _ = finetune.conversation(1, row, load_digits("train"))
        replies = "".join(reply + finetune.OVER for _, _, reply in turns_of(finetune, text))
        assert processor.tokenizer.decode(labels[labels != -100]) == replies


def test_replies_are_read_as_a_user_would(study, runs):
    finetune = study["finetune"]
    processor = finetune.Qwen2VLProcessor.from_pretrained(runs / "base-1" / "step-00002")
    asked = next(part for part in finetune.held_out(processor, 4) if part.form == "letter")
    question = replace(asked.questions[0], options=("one", "two", "three"), answer=1)
    read = {reply: finetune.parsed(reply, question, "letter", ()) for reply in ("B", "D", "B two", "two", "")}
    assert read == {"B": "two", "D": None, "B two": None, "two": None, "": None}
    answers = {"one", "two", "three", "four"}
    freely = [finetune.parsed(reply, question, "free", answers) for reply in ("four", "twos", "A")]
    assert freely == ["four", None, None]
    questions = tuple(replace(question, answer=k) for k in (1, 1, 1, 0))
    row = finetune.accuracy_of(
        finetune.fine_tunings(PLAN)[0], replace(asked, questions=questions), ["B", "C", "E", "A"]
    )
    assert (row.accuracy, row.questions, row.unparsed) == (0.5, 4, 1)


def test_held_out_questions_are_the_first_of_those_that_are_scored(study, runs):
    finetune, abilities = study["finetune"], importlib.import_module("abilities")
    processor = finetune.Qwen2VLProcessor.from_pretrained(runs / "base-1" / "step-00002")
    asked = list(finetune.held_out(processor, 3))
    assert [(part.form, part.ability) for part in asked[:2]] == [("letter", "digits_low"), ("free", "digits_low")]
    assert len(asked) == 2 * len(abilities.ABILITIES)
    digits = load_digits("test")
    for k, part in enumerate(abilities.ABILITIES):
        scored = list(abilities.questions_of(part, k, digits, 8))
        assert [q.q_id for q in asked[2 * k].questions] == [q.q_id for q in scored[:3]]
        assert asked[2 * k].questions[0].images == scored[0].images


def test_rows_are_written_once_and_what_waits_is_counted(study, runs, tmp_path, monkeypatch):
    finetune = study["finetune"]
    monkeypatch.setattr(finetune, "BATCH", 2)
    monkeypatch.setattr(finetune, "MIR_PAIRS", 20)
    wanted = finetune.fine_tunings(PLAN)
    assert [(one.run, one.step, one.seed) for one in wanted] == [
        ("base-1", 2, 1), ("base-1", 4, 1), ("base-1", 2, 2), ("base-1", 4, 2), ("other", 4, 1),
    ]  # fmt: skip
    assert finetune.run_all(runs, tmp_path, wanted[:3] + wanted[4:]) == 1
    first = finetune.read_rows(tmp_path / "finetuned.csv")
    assert len(first) == 3 * 40
    assert {(row.run, row.step, row.seed) for row in first} == {("base-1", 2, 1), ("base-1", 4, 1), ("base-1", 2, 2)}
    # The same command goes on: nothing is made again, and the same fine-tuning says the same.
    for name in ("fine_tune", "modality_integration"):
        monkeypatch.setattr(finetune, name, lambda *arguments: pytest.fail("was there"))
    assert finetune.run_all(runs, tmp_path, wanted[:3]) == 0
    assert finetune.read_rows(tmp_path / "finetuned.csv") == first
    with (tmp_path / "accuracy.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 2 * 20
    assert table[0]["checkpoint"] == "base-1/step-00002"
    assert table[0]["source"] == "tiny_digits_low"
    assert table[20]["free again"] == ""
    losses = (tmp_path / "losses.csv").read_text().splitlines()
    assert losses[0] == "checkpoint,training loss"
    assert [line.split(",")[0] for line in losses[1:]] == ["base-1/step-00002", "base-1/step-00004"]
    mir = list(csv.DictReader((tmp_path / "mir.csv").open()))
    assert [row["checkpoint"] for row in mir] == ["base-1/step-00002", "base-1/step-00004"]
    assert all(float(row["mir"]) for row in mir)
    with pytest.raises(SystemExit, match="asked \\[2\\] questions an ability"):
        finetune.run_all(runs, tmp_path, [replace(one, questions=3) for one in wanted])


def test_a_fine_tuning_follows_from_its_checkpoint_and_its_seed(study, runs, monkeypatch):
    finetune = study["finetune"]
    monkeypatch.setattr(finetune, "BATCH", 2)
    folder = runs / "base-1" / "step-00004"
    processor = finetune.Qwen2VLProcessor.from_pretrained(folder)
    weights = []
    for seed in (1, 1, 2):
        model = finetune.fine_tune(folder, finetune.training_batches(processor, seed, 2), seed)
        weights.append(model.state_dict()["model.language_model.layers.0.mlp.up_proj.weight"])
    assert weights[0].equal(weights[1])
    assert not weights[0].equal(weights[2])

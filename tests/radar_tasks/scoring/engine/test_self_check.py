"""`auto` cannot be wrong without saying so: faults planted where a first, harmless batch does not show them."""

import logging
from dataclasses import replace

import pytest
import torch
from made_questions import MadeCheckpoint, made_checkpoint, questions

from radar_tasks.scoring import Scorer
from radar_tasks.scoring.engine import self_check
from radar_tasks.scoring.engine.independent import score_independently


class Prepared(MadeCheckpoint):
    """Questions encoded before; `q_id` says which."""

    def encode(self, question):
        return self.encoded[int(question.q_id)]


def prepared(family, encode):
    """A checkpoint and its 12 questions; `encode` makes of a hand-made one what the test wants."""
    made = made_checkpoint(family)
    asked = questions(12)
    checkpoint = Prepared.of(made.model)
    checkpoint.encoded = [encode(k, made.encode(question)) for k, question in enumerate(asked)]
    return checkpoint, asked


def of_length(question, length):
    """The same question with a text of another length in front of its image."""
    words = torch.arange(3, 3 + length)
    return replace(question, prefix_ids=torch.cat([words, question.prefix_ids[-30:]]))


def reference(checkpoint):
    running = Scorer(checkpoint)._running
    with running.untouched():
        return [score_independently(running, question) for question in checkpoint.encoded]


def largest_difference(scores, expected):
    return max(
        max(abs(a.logprob - b.logprob), abs(a.logit - b.logit))
        for k, want in enumerate(expected)
        for a, b in zip(scores[k], want, strict=True)
    )


def prefilling(kwargs):
    return kwargs.get("use_cache") and kwargs.get("past_key_values") is None


def padded_prompts_lose_their_positions(module, args, kwargs):
    if prefilling(kwargs) and not kwargs["attention_mask"].all():
        kwargs.pop("position_ids", None)
        return args, kwargs
    return None


def neighbours_are_mixed_up(module, args, kwargs, output):
    if prefilling(kwargs) and len(kwargs["input_ids"]) > 1:
        output.logits[-1] = output.logits[0]


def sizes_are_those_of_the_first(module, args, kwargs):
    grid = kwargs.get("image_grid_thw")
    if prefilling(kwargs) and len(kwargs["input_ids"]) > 1 and len(grid.unique(dim=0)) > 1:
        kwargs["image_grid_thw"] = grid.flip(1)[:, [2, 0, 1]]  # height and width change places
        return args, kwargs
    return None


def text_of_some_lengths(k, question):
    """Four of one length, then each one token shorter than the last."""
    text = replace(question, vision={}, vision_key="", visual_tokens=0)
    return of_length(text, 40 - max(0, k - 3))


def of_one_length(k, question):
    """Text alone, all of one length."""
    return of_length(replace(question, vision={}, vision_key="", visual_tokens=0), 40)


PLANTED = {
    "padding": ("llava", text_of_some_lengths, padded_prompts_lose_their_positions, "pre"),
    "company": ("llava", of_one_length, neighbours_are_mixed_up, "post"),
    "sizes": ("qwen2_vl", lambda k, question: question, sizes_are_those_of_the_first, "pre"),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found_and_no_score_is_wrong(fault, caplog):
    family, encode, plant, where = PLANTED[fault]
    checkpoint, asked = prepared(family, encode)
    expected = reference(checkpoint)
    model = checkpoint.model
    register = model.register_forward_pre_hook if where == "pre" else model.register_forward_hook
    hook = register(plant, with_kwargs=True)
    if fault == "company":  # the first batch holds one question
        asked_first, rest = asked[:1], asked[1:]
    else:
        asked_first, rest = asked[:2], asked[2:]
    wrong = dict(Scorer(checkpoint, scoring="shared", batch_size=4).score(asked))
    assert largest_difference(wrong, expected) > 1e-3, "the planted fault does no harm: the test shows nothing"
    scorer = Scorer(checkpoint, batch_size=4)
    with caplog.at_level(logging.WARNING, "radar"):
        scores = dict(scorer.score(asked_first))
        harmless = scorer.describe()["fallback"] is None
        scores |= {k + len(asked_first): score for k, score in scorer.score(rest)}
    hook.remove()
    assert harmless or fault == "sizes"
    assert largest_difference(scores, expected) < 1e-5
    assert "one question at a time" in scorer.describe()["fallback"]
    assert len([record for record in caplog.records if "does not fit" in record.message]) == 1


def test_a_fault_that_comes_later_is_found_by_a_random_share_and_told(monkeypatch, caplog):
    """Nothing is new in the batch, and the numbers are wrong all the same: one question in two is looked at here."""
    monkeypatch.setattr(self_check, "LATER_SHARE", 0.5)
    checkpoint, asked = prepared("llava", of_one_length)
    forwards = []

    def later(module, args, kwargs, output):
        forwards.append(1)
        if prefilling(kwargs) and len(forwards) > 60:
            output.logits.mul_(1.5)

    hook = checkpoint.model.register_forward_hook(later, with_kwargs=True)
    scorer = Scorer(checkpoint, batch_size=2)
    with caplog.at_level(logging.WARNING, "radar"):
        for _ in range(4):
            dict(scorer.score(asked))
    hook.remove()
    assert scorer.describe()["scoring"] == "independent"
    assert "questions were scored before this showed" in scorer.describe()["fallback"]


def test_the_same_questions_are_drawn_every_time():
    checkpoint, _ = prepared("llava", of_one_length)
    drawn = []
    for _ in range(2):
        check = self_check.SelfCheck()
        check.passed(checkpoint.encoded)
        drawn.append([check.chosen(checkpoint.encoded) for _ in range(200)])
    assert drawn[0] == drawn[1]
    assert 2 <= sum(map(len, drawn[0])) <= 40  # of 2,400, one in 200


def test_independent_has_one_row_a_forward_and_no_padding():
    made = made_checkpoint("qwen2_vl")
    seen = []

    def look(module, args, kwargs):
        seen.append((len(kwargs["input_ids"]), bool(kwargs["attention_mask"].all()), kwargs["use_cache"]))

    hook = made.model.register_forward_pre_hook(look, with_kwargs=True)
    asked = questions(5)
    list(Scorer(made, scoring="independent", batch_size=4).score(asked))
    hook.remove()
    assert seen == [(1, True, False)] * sum(len(question.options) for question in asked)

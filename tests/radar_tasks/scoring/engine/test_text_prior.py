"""`prior=…`: the numbers of a blind twin, from one run, and every prompt and option asked once."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tiny_models
import torch
from parity_data import PARITY

from radar_metrics import answer_probability
from radar_tasks import paths
from radar_tasks.errors import CheckpointError, QuestionError
from radar_tasks.scoring import EncodedQuestion, OptionScore, Scorer
from radar_tasks.scoring.checkpoints import checkpoint_options, from_model, load
from radar_tasks.scoring.checkpoints.model_args import options_of
from radar_tasks.scoring.engine.text_prior import OPTIONS_AT_ONCE, TextPrior
from radar_tasks.store import open_source

FORMATS = {
    "native": {"pretrained": str(max(paths.checkpoints().glob("step-*")))},
    "internvl_chat": {"pretrained": str(PARITY / "internvl_chat/model")},
    "llava_projector": {
        "pretrained": str(PARITY / "llava_onevision_projector/model/projector"),
        "model_base": str(PARITY / "llava_onevision_projector/model/base_llm"),
        "vision_tower": str(PARITY / "llava_onevision_projector/model/siglip-tiny-patch14-384"),
    },
}


@cache
def checkpoint(kind, blind=False):
    return load(checkpoint_options({**FORMATS[kind], "dtype": "float32", "device": "cpu", "blind": blind}))


@cache
def asked():
    return [open_source(source)[k] for source in ("mini_colour", "mini_sum") for k in range(9)]


@pytest.mark.parametrize("withheld", ["blind", "blank"])
@pytest.mark.parametrize("kind", FORMATS)
def test_one_run_gives_what_the_twin_gives(kind, withheld):
    questions = asked()
    seen = dict(Scorer(checkpoint(kind), batch_size=4).score(questions))
    twin = dict(Scorer(checkpoint(kind, True if withheld == "blind" else "blank"), batch_size=4).score(questions))
    both = dict(Scorer(checkpoint(kind), batch_size=4, prior=withheld).score(questions))
    for k, question in enumerate(questions):
        for got, with_picture, without in zip(both[k], seen[k], twin[k], strict=True):
            assert (got.logprob, got.logit) == pytest.approx((with_picture.logprob, with_picture.logit), abs=1e-5)
            assert (got.logprob_blind, got.logit_blind) == pytest.approx(
                (without.logprob, without.logit), rel=1e-6, abs=1e-5
            )
            assert (got.tokens, got.bytes) == (with_picture.tokens, with_picture.bytes)
        answers = [question.answer]
        blind = answer_probability([[score.logprob_blind for score in both[k]]], answers)
        expected = answer_probability([[score.logprob for score in twin[k]]], answers)
        assert blind == pytest.approx(expected, abs=1e-6)
    assert any(score.logprob_blind != score.logprob for scores in both.values() for score in scores)


def test_an_encoder_decoder_has_a_prior_for_each_prompt():
    """Its encoder reads the prompt, and decoders start alike: the prompt tells by what the encoder reads."""
    made = from_model(*tiny_models.make("t5gemma2"))
    texts = ("Which animal is this?", "How many green plants are there?", "Which animal is this?")
    questions = [
        tiny_models.question((text,), (tiny_models.picture(k, (60, 40)),), ("a cat", "two horses"), q_id=f"{k}")
        for k, text in enumerate(texts)
    ]
    twin = dict(Scorer(made, scoring="independent").score([replace(q, images=()) for q in questions]))
    both = dict(Scorer(made, prior="blind").score(questions))
    for k in range(len(questions)):
        assert [score.logprob_blind for score in both[k]] == pytest.approx([s.logprob for s in twin[k]], abs=1e-5)
        assert all(abs(score.logprob_blind - score.logprob) > 1e-5 for score in both[k])
    first, second, again = ([score.logprob_blind for score in both[k]] for k in range(3))
    assert first == again
    assert all(abs(a - b) > 1e-5 for a, b in zip(first, second, strict=True))


def test_nothing_is_asked_twice(monkeypatch):
    """All questions of a source have one prompt and the same few options."""
    counted = []
    learn = TextPrior.learn
    monkeypatch.setattr(
        TextPrior, "learn", lambda self, question, scores: counted.extend(scores) or learn(self, question, scores)
    )
    questions = asked()
    dict(Scorer(checkpoint("native"), batch_size=4, prior="blind").score(questions))
    prompts = {(question.text, option) for question in questions for option in question.options}
    assert len(counted) == len(prompts) < sum(len(question.options) for question in questions)


def encoded(prompt, *options, **more):
    rows = tuple(torch.tensor(tokens) for tokens in options)
    lengths = tuple(map(len, options))
    blind = EncodedQuestion("b", torch.tensor(prompt), rows, lengths, lengths, **more)
    return replace(blind, q_id="q", prior=blind)


def test_prompts_options_and_tokens_that_belong_to_the_prompt_are_told_apart():
    questions = [
        encoded([1, 2], [5], [6, 7]),
        encoded([1, 2], [6, 7], [5]),  # nothing new
        encoded([1, 3], [5], [6]),  # another prompt
        encoded([1, 2], [5], [6]),  # another option
        replace(encoded([1, 2], [6, 7]), prior=replace(encoded([1, 2], [6, 7]).prior, scored=(1,))),
        encoded([1, 2], [5], vision_key="grey 48 x 48"),
    ]
    prior = TextPrior()
    waiting = prior.missing(questions)
    assert sorted(len(question.continuations) for question in waiting) == [1, 2, 4]
    assert not any(prior.knows(question) for question in questions)
    number = iter(range(100))
    for question in waiting:
        prior.learn(question, [OptionScore(-float(next(number)), 0.5, 1, 1) for _ in question.continuations])
    assert all(prior.knows(question) for question in questions)
    assert prior.missing(questions) == []
    own = OptionScore(-9.0, 9.0, 1, 1)
    first, second = (prior.added(question, [own, own]) for question in questions[:2])
    assert [score.logprob_blind for score in first] == [score.logprob_blind for score in second][::-1]
    assert first[0].logprob == -9.0
    assert first[0].logit_blind == 0.5


def test_many_options_behind_one_prompt_share_batches():
    questions = [encoded([1, 2], [k, k], [k + 1]) for k in range(3, 103)]
    waiting = TextPrior().missing(questions)
    assert sum(len(question.continuations) for question in waiting) == 200
    assert all(len(question.continuations) <= OPTIONS_AT_ONCE for question in waiting)
    for question in waiting:  # of one length each, but for the one in which lengths meet
        assert np.ptp([len(tokens) for tokens in question.continuations]) <= 1


def test_a_prior_needs_pictures():
    with pytest.raises(CheckpointError, match="prior=blind needs the pictures, which blind=True withholds"):
        options_of({"pretrained": "x", "blind": "true", "prior": "blind"})
    with pytest.raises(CheckpointError, match="prior"):
        options_of({"pretrained": "x", "prior": "deaf"})
    with pytest.raises(CheckpointError, match="prior=blank needs the pictures"):
        Scorer(checkpoint("native", True), prior="blank")


def test_a_question_that_cannot_be_asked_without_its_picture_is_refused(monkeypatch):
    made = checkpoint("native")
    encode = made._asked

    def refusing(question, encoder):
        if encoder is not made.encoder and question.q_id == asked()[3].q_id:
            raise QuestionError("not without a picture")
        return encode(question, encoder)

    monkeypatch.setattr(made, "_asked", refusing)
    refused = {}
    scores = dict(Scorer(made, prior="blind").score(asked(), on_refused=refused.__setitem__))
    assert list(refused) == [3]
    assert sorted([*scores, *refused]) == list(range(len(asked())))

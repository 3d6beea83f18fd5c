"""The same numbers, whichever way they are made, in every family.

Everything is held to `reference_scorer`: one question, one option, one plain full forward.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest
import torch
from made_questions import FAMILIES, MadeCheckpoint, made_checkpoint, questions
from reference_scorer import reference_scores

from radar_tasks.scoring import Scorer
from radar_tasks.scoring.engine import image_features as features

TOLERANCE = 1e-5
ASKED = [*questions(10), *questions(4, first=100, images=False)]


@cache
def checkpoint(family, attn="sdpa"):
    return made_checkpoint(family, attn=attn)


@cache
def expected(family):
    made = checkpoint(family)
    return [reference_scores(made.model, family, made.encode(question)) for question in ASKED]


def pairs(scores):
    return [(score.logprob, score.logit) for score in scores]


def scored(made, asked, **options):
    """Scores in the order of `asked`, and what the scorer says of them."""
    scorer = Scorer(made, **options)
    found = dict(scorer.score(asked))
    assert sorted(found) == list(range(len(asked)))
    return [found[k] for k in range(len(asked))], scorer.describe()


def largest_difference(scores, reference):
    return max(
        max(abs(a - c), abs(b - d))
        for got, want in zip(scores, reference, strict=True)
        for (a, b), (c, d) in zip(pairs(got), want, strict=True)
    )


@pytest.mark.parametrize("scoring", ["independent", "shared"])
@pytest.mark.parametrize("family", FAMILIES)
def test_equal_to_the_reference(family, scoring):
    scores, described = scored(checkpoint(family), ASKED, scoring=scoring, batch_size=6)
    assert largest_difference(scores, expected(family)) < TOLERANCE
    assert described["scoring"] == scoring


@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3", "paligemma", "qwen3_5"])
def test_equal_with_eager_attention(family):
    scores, _ = scored(checkpoint(family, "eager"), ASKED, scoring="shared", batch_size=6)
    assert largest_difference(scores, expected(family)) < TOLERANCE


@pytest.mark.parametrize("family", ["qwen2_vl", "idefics3", "gemma3", "qwen3_5"])
def test_batch_size_neighbours_and_order_do_not_matter(family):
    made = checkpoint(family)
    whole, _ = scored(made, ASKED, batch_size=16)
    alone, _ = scored(made, ASKED, batch_size=1)
    backwards, _ = scored(made, ASKED[::-1], batch_size=5)
    for other in (alone, backwards[::-1]):
        assert largest_difference(other, [pairs(scores) for scores in whole]) < TOLERANCE


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_depend_on_the_picture(family):
    """Without this, equality could hold for a model that never looks."""
    made = checkpoint(family)
    encoded = made.encode(ASKED[0])
    pixels = encoded.vision["pixel_values"]
    other = replace(encoded, vision={**encoded.vision, "pixel_values": pixels.flip(0) * 0.5 + 0.3})
    (seen, _), *_ = reference_scores(made.model, family, other)
    assert abs(seen - expected(family)[0][0][0]) > 1e-3


def test_gemma3_is_tried_beyond_its_window():
    made = checkpoint("gemma3")
    window = made.model.config.text_config.sliding_window
    assert sum(len(made.encode(question).prefix_ids) > 2 * window for question in ASKED) > len(ASKED) / 2


@pytest.mark.parametrize("budget", [features.BUDGET, 0])
def test_one_picture_for_many_questions_is_encoded_once(budget, monkeypatch):
    monkeypatch.setattr(features.FeatureStore.__init__, "__defaults__", (budget,))
    made = checkpoint("qwen2_vl")
    picture = made.encode(ASKED[0])
    asked = OnOnePicture.of(made.model)
    asked.picture = picture
    seen = []
    hook = made.model.model.visual.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    on_one_picture = [replace(question, image_id="one") for question in questions(8)]
    scores, _ = scored(asked, on_one_picture, scoring="shared", batch_size=4)
    hook.remove()
    assert len(seen) == 1 if budget else len(seen) > 1
    reference = [reference_scores(made.model, "qwen2_vl", asked.encode(question)) for question in questions(8)]
    assert largest_difference(scores, reference) < TOLERANCE


@pytest.mark.parametrize("known", [True, False])
def test_features_are_forgotten_when_no_question_on_their_picture_is_to_come(known, monkeypatch):
    """Where image ids are known without reading; elsewhere those used last are kept, up to the budget."""
    made, kept = checkpoint("qwen2_vl"), []
    inputs = features.FeatureStore.inputs

    def noting(self, batch):
        assert self._held == sum(picture.nbytes for picture in self._kept.values())
        kept.append(len(self._kept))
        return inputs(self, batch)

    monkeypatch.setattr(features.FeatureStore, "inputs", noting)
    asked = questions(6)
    scored(made, asked if known else Unread(asked), scoring="shared", batch_size=1)
    assert kept == [0] * 6 if known else kept == list(range(6))


def test_all_features_of_an_image_are_forgotten_with_its_last_question(monkeypatch):
    """Also where its questions show it in different company, and where another source calls an image the same."""
    stores = []
    make = features.FeatureStore.__init__
    monkeypatch.setattr(
        features.FeatureStore, "__init__", lambda self, *more: (make(self, *more), stores.append(self))[0]
    )
    asked = [replace(question, image_id="1") for question in questions(6)]
    asked[4:] = [replace(question, source="another") for question in asked[4:]]
    scored(checkpoint("qwen2_vl"), asked, scoring="shared", batch_size=2)
    assert [(len(store._kept), store._held) for store in stores] == [(0, 0)]


class Unread(Sequence):
    """Questions of which nothing is known before they are read."""

    def __init__(self, questions):
        self._questions = questions

    def __len__(self):
        return len(self._questions)

    def __getitem__(self, index):
        return self._questions[index]


class OnOnePicture(MadeCheckpoint):
    """Every question has its own options and all have one prompt."""

    def encode(self, question):
        own = super().encode(question)
        same = {name: getattr(self.picture, name) for name in ("prefix_ids", "token_inputs", "vision", "vision_key")}
        return replace(own, **same, visual_tokens=self.picture.visual_tokens)


@pytest.mark.parametrize("family", FAMILIES)
def test_auto_stays_shared(family):
    _, described = scored(checkpoint(family), ASKED[:4] + ASKED[-2:], batch_size=4)
    assert (described["scoring"], described["fallback"]) == ("shared", None)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("family", ["qwen2_vl", "llava", "gemma3"])
def test_half_precision_is_close_and_stays_shared(family, dtype):
    scores, described = scored(made_checkpoint(family, dtype), ASKED, batch_size=6)
    assert (described["scoring"], described["dtype"]) == ("shared", str(dtype).removeprefix("torch."))
    assert largest_difference(scores, expected(family)) < 0.1


@pytest.mark.parametrize("what", ["logprob", "logit"])
@pytest.mark.parametrize("family", ["qwen2_vl", "gemma3"])
def test_sds_of_200_questions_in_bfloat16_is_that_of_float32(family, what):
    def sds(dtype):
        found = scores_of_200(family, dtype)
        tables = [torch.tensor([getattr(score, what) for score in scores], dtype=torch.float64) for scores in found]
        return sum(float(table.softmax(0)[0]) for table in tables) / len(tables)

    assert sds(torch.bfloat16) == pytest.approx(sds(torch.float32), abs=1e-3)


@cache
def scores_of_200(family, dtype):
    made = made_checkpoint(family, torch.bfloat16)
    made.model.to(dtype)
    return scored(made, questions(200), scoring="shared", batch_size=16)[0]


def test_means_hold_token_counts_and_bytes():
    made = checkpoint("llava")
    scores, _ = scored(made, ASKED[:3], scoring="independent")
    for question, got in zip(ASKED, scores, strict=False):
        encoded = made.encode(question)
        assert tuple(score.tokens for score in got) == encoded.scored
        assert tuple(score.bytes for score in got) == encoded.option_bytes


def test_no_question_gives_no_score():
    assert list(Scorer(checkpoint("llava")).score([])) == []

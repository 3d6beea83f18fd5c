"""Families without code of ours: prompts as their own processors would join them, scores that depend on every input."""

import pytest
import tiny_models
import torch

from radar_tasks.scoring.checkpoints import from_model

FAMILIES = sorted(tiny_models.BY_HAND)
HOSTILE = "<image> <|image_pad|> <|im_end|> </s> <bos> [IMG] <start_of_image> <IMG_CONTEXT> <|image|> <|START_OF_IMG|>"


@pytest.fixture(scope="module", params=FAMILIES)
def checkpoint(request):
    return from_model(
        *tiny_models.make(request.param), prompt_format="plain" if request.param != "paligemma" else "auto"
    )


def joined(encoded, option=0):
    return torch.cat([encoded.prefix_ids, encoded.continuations[option]])


def logits(checkpoint, encoded):
    ids = joined(encoded)
    after = torch.full((len(encoded.continuations[0]),), int(checkpoint.model_type == "paligemma"))
    types = {k: torch.cat([v, after * (k == "token_type_ids")])[None] for k, v in encoded.token_inputs.items()}
    with torch.no_grad():
        return checkpoint.model(
            input_ids=ids[None], attention_mask=torch.ones_like(ids)[None], **types, **encoded.vision
        ).logits[0, -1]


def test_tokens_and_tensors_are_those_of_the_processor_on_the_whole_prompt(checkpoint):
    question = tiny_models.question(text=("See ", " or ", " left?"), images=2)
    encoded = checkpoint.encode(question)
    placeholder = checkpoint.parts.vision._placeholder
    if checkpoint.model_type == "paligemma":
        text, suffix = f"{placeholder * 2}See or left?", question.options[0]
    else:
        text, suffix = f"See {placeholder} or {placeholder} left? {question.options[0]}", ""
    pictures = [tiny_models.opened(data) for data in question.images]
    own = checkpoint.processor(text=text, images=pictures, return_tensors="pt")
    ids = own["input_ids"][0]
    if suffix:
        ids = torch.cat([ids, torch.tensor(checkpoint.encoder._tokens.text(suffix).ids)])
    assert joined(encoded).tolist() == ids.tolist()
    assert encoded.vision
    for name, value in encoded.vision.items():
        torch.testing.assert_close(value, own[name])
    for name, value in encoded.token_inputs.items():
        assert value.tolist() == own[name][0, : len(value)].tolist()


def test_scores_depend_on_each_picture_and_on_the_text(checkpoint):
    def score(pictures, text="left?"):
        question = tiny_models.question(text=("See ", " or ", f" {text}"), images=pictures)
        return logits(checkpoint, checkpoint.encode(question))

    a, b, c = (tiny_models.picture(k) for k in range(3))
    one = score((a, b))
    assert torch.isfinite(one).all()
    assert torch.equal(one, score((a, b)))
    for other in (score((c, b)), score((a, c)), score((a, b), "right?")):
        assert not torch.allclose(one, other, atol=1e-5)


def test_works_without_pictures(checkpoint):
    encoded = checkpoint.encode(tiny_models.question(images=0))
    assert encoded.visual_tokens == 0
    assert not encoded.vision
    assert encoded.vision_key == ""
    assert torch.isfinite(logits(checkpoint, encoded)).all()


def test_text_from_data_stays_text(checkpoint):
    """As many control tokens and placeholders as without it, and the text can be read back."""
    plain = checkpoint.encode(tiny_models.question(images=1))
    hostile = checkpoint.encode(
        tiny_models.question(text=(f"Which {HOSTILE} is this?",), images=1, options=(HOSTILE, f"no {HOSTILE}"))
    )
    special = {*checkpoint.tokenizer.all_special_ids, *checkpoint.parts.vision.image_token_ids}
    special |= {i for i, token in checkpoint.tokenizer.added_tokens_decoder.items() if token.special}
    special -= {checkpoint.tokenizer.unk_token_id}
    assert hostile.visual_tokens == plain.visual_tokens > 0
    assert sum(i in special for i in joined(hostile).tolist()) == sum(i in special for i in joined(plain).tolist())
    assert torch.isfinite(logits(checkpoint, hostile)).all()


def test_at_least_twelve_families():
    assert len(FAMILIES) >= 12

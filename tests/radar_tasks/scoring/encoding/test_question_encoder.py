"""Question to tokens: where an option begins, what is shared, and what pictures become."""

import io
import threading

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import Unigram
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from radar_tasks.errors import QuestionError
from radar_tasks.scoring.checkpoints import from_model
from radar_tasks.scoring.encoding.images import _qwen_size, internvl_tiles, read_image
from radar_tasks.scoring.encoding.text import TextTokenizer, TokenisedText

text_of_data = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@pytest.fixture(scope="module")
def models():
    return {family: tiny_models.make(family) for family in ("qwen2_vl", "llava")}


@pytest.fixture(scope="module")
def qwen(models):
    return from_model(*models["qwen2_vl"])


@pytest.fixture(scope="module")
def llava(models):
    return from_model(*models["llava"])


def whole(encoded, k):
    return encoded.prefix_ids.tolist() + encoded.continuations[k].tolist()


def without_images(text):
    return text.replace("<|image_pad|>", "").replace("<|vision_start|>", "").replace("<|vision_end|>", "")


@settings(deadline=None, max_examples=150)
@given(question=text_of_data, options=st.lists(text_of_data.filter(str.strip), min_size=2, max_size=4, unique=True))
def test_any_text_comes_back_and_every_option_has_its_tokens(qwen, question, options):
    encoded = qwen.encode(tiny_models.question(text=(question,), options=tuple(options)))
    decode = qwen.tokenizer.decode
    assert len(encoded.continuations) == len(options)
    shared = min(len(c) - n for c, n in zip(encoded.continuations, encoded.scored, strict=True))
    assert shared >= 0
    heads = {tuple(c[:1].tolist()) for c in encoded.continuations}
    assert len(heads) > 1 or shared == 0  # nothing more could be shared
    for k, option in enumerate(options):
        ids = whole(encoded, k)
        prompt = question.rstrip() + " " + option
        specials = f"<|vision_start|>{'<|image_pad|>' * encoded.visual_tokens}<|vision_end|>"
        assert decode(ids) == specials + prompt
        own = decode(ids[-encoded.scored[k] :])
        assert own.endswith(option[1:]) or "\ufffd" in own
        assert len(own.encode()) <= len(option.encode()) + len(question.encode()) + 1
        assert encoded.option_bytes[k] == len(option.encode())


def test_a_space_that_merges_into_the_option_is_scored_with_it(qwen):
    encoded = qwen.encode(tiny_models.question(text=("Which",), options=("animal", "cat")))
    assert qwen.tokenizer.decode(encoded.continuations[0]) == " animal"
    assert encoded.scored[0] == len(encoded.continuations[0])


def test_an_option_that_begins_another_is_not_shared(qwen):
    encoded = qwen.encode(tiny_models.question(options=("blue", "blue square")))
    assert [qwen.tokenizer.decode(c) for c in encoded.continuations] == [" blue", " blue square"]


def test_tokens_are_merged_across_the_boundary_as_in_the_joined_text(models):
    """LLaVA-OneVision's newline merges with one that an option begins with; the joined text decides."""
    model, processor = tiny_models.make("llava_onevision")
    checkpoint = from_model(model, processor)
    question = tiny_models.question(options=("\n\nyes", "no"))
    joined = processor.tokenizer("Which animal is this?\n\n\nyes", add_special_tokens=False)["input_ids"]
    encoded = checkpoint.encode(question)
    assert (
        whole(encoded, 0)[-len(joined) :]
        == processor.tokenizer(" Which animal is this?\n\n\nyes")["input_ids"][-len(joined) :]
    )
    official = from_model(model, processor, prompt_format="official").encode(question)
    assert whole(official, 0) == whole(encoded, 0)


def test_slow_tokenizers_find_the_same_boundary(llava):
    """Without offsets the option begins where the joined tokens leave those of the prompt alone."""
    fast = TextTokenizer(llava.tokenizer)

    class Slow(TextTokenizer):
        def _tokenise(self, text, first):
            return TokenisedText(fast._tokenise(text, first).ids, None)

    encoder = llava.encoder
    question = tiny_models.question(options=("a red circle", "two horses", "no"))
    expected = encoder(question)
    slow = from_model(llava.model, llava.processor)
    slow.encoder._tokens = Slow(llava.tokenizer)
    found = slow.encode(question)
    assert found.scored == expected.scored
    assert torch.equal(found.prefix_ids, expected.prefix_ids)


def test_a_vocabulary_that_knows_a_control_token_as_a_word(llava):
    """The name is cut, so that the pieces are text."""
    tokens = TextTokenizer(llava.tokenizer)
    original = tokens._tokenise
    stop = llava.tokenizer.eos_token_id

    def naive(text, first):
        if "</s>" in text:
            return TokenisedText((stop,), (len(text),))
        return original(text, first)

    tokens._tokenise = naive
    found = tokens.text("a </s> b")
    assert stop not in found.ids
    assert found.ends[-1] == len("a </s> b")
    assert list(found.ends) == sorted(found.ends)


@pytest.mark.parametrize("bad", [b"", b"no picture", tiny_models.picture(1)[:60]])
def test_a_picture_that_cannot_be_decoded_is_named(qwen, bad):
    question = tiny_models.question(images=(tiny_models.picture(1), bad or b"\0"))
    with pytest.raises(QuestionError, match=r"'q1', image 1"):
        qwen.encode(question)


def test_a_picture_that_the_processor_refuses_is_named(qwen):
    with pytest.raises(QuestionError, match=r"'q1'.*refuses.*4x2000"):
        qwen.encode(tiny_models.question(images=(tiny_models.picture(1, (4, 2000)),)))


def test_a_prompt_longer_than_the_context_is_named(qwen):
    with pytest.raises(QuestionError, match=r"'q1'.*more than the model's context of 4096"):
        qwen.encode(tiny_models.question(text=("word " * 6000,)))


def test_blind_leaves_images_out_and_blank_makes_them_grey(models, qwen):
    question = tiny_models.question(text=("See ", " or ", "?"), images=2)
    blind = from_model(*models["qwen2_vl"], blind=True).encode(question)
    assert qwen.tokenizer.decode(blind.prefix_ids) == "See  or ?"
    assert not blind.vision
    grey = from_model(*models["qwen2_vl"], blind="blank").encode(question)
    seen = qwen.encode(question)
    assert torch.equal(grey.prefix_ids, seen.prefix_ids)
    assert grey.vision["pixel_values"].shape == seen.vision["pixel_values"].shape
    assert len(grey.vision["pixel_values"][:, :196].unique()) == 1
    assert grey.vision_key != seen.vision_key


def test_an_empty_prompt_starts_with_a_control_token(models):
    blind = from_model(*models["qwen2_vl"], blind=True)
    encoded = blind.encode(tiny_models.question(text=("",), options=("yes", "no")))
    assert len(encoded.prefix_ids) >= 1


def test_vision_keys_tell_pictures_and_settings_apart(models, qwen):
    a, b = tiny_models.picture(1), tiny_models.picture(2)
    key = qwen.encode(tiny_models.question(images=(a,))).vision_key
    assert key == qwen.encode(tiny_models.question(images=(a,), text=("Other?",))).vision_key
    assert key != qwen.encode(tiny_models.question(images=(b,))).vision_key
    assert (
        qwen.encode(tiny_models.question(images=(a, b))).vision_key
        != qwen.encode(tiny_models.question(images=(b, a))).vision_key
    )
    assert (
        key
        != from_model(*models["qwen2_vl"], max_pixels=4 * 28**2).encode(tiny_models.question(images=(a,))).vision_key
    )


def test_encoding_from_many_threads_gives_the_same(qwen):
    questions = [tiny_models.question(text=(f"Number {k}?",), images=(tiny_models.picture(k),)) for k in range(24)]
    expected = [qwen.encode(question) for question in questions]
    found = [None] * len(questions)

    def work(start):
        for k in range(start, len(questions), 6):
            found[k] = qwen.encode(questions[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for a, b in zip(expected, found, strict=True):
        assert torch.equal(a.prefix_ids, b.prefix_ids)
        assert torch.equal(a.vision["pixel_values"], b.vision["pixel_values"])


def encoded_as(image, file_format, **more):
    buffer = io.BytesIO()
    image.save(buffer, format=file_format, **more)
    return buffer.getvalue()


def test_any_kind_of_picture_becomes_rgb():
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8) * 5
    wanted = np.repeat(grey[..., None], 3, axis=2)
    picture = Image.fromarray(grey)
    wide = Image.fromarray(grey.astype(np.uint16) * 257)
    with_alpha = Image.merge("LA", (picture, Image.new("L", picture.size, 255)))
    for data in (
        encoded_as(picture, "PNG"),
        encoded_as(wide, "PNG"),
        encoded_as(picture.convert("P"), "PNG"),
        encoded_as(with_alpha, "PNG"),
        encoded_as(picture, "GIF", save_all=True, append_images=[Image.new("L", picture.size)]),
    ):
        assert np.abs(np.asarray(read_image(data, "q", 0)).astype(int) - wanted).max() <= 1
    cmyk = read_image(encoded_as(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "TIFF"), "q", 0)
    assert cmyk.getpixel((0, 0)) == (255, 0, 0)


def test_transparency_is_white_and_exif_is_followed_but_not_officially():
    clear = encoded_as(Image.new("RGBA", (4, 4), (255, 0, 0, 0)), "PNG")
    assert read_image(clear, "q", 0).getpixel((0, 0)) == (255, 255, 255)
    assert read_image(clear, "q", 0, official=True).getpixel((0, 0)) == (255, 0, 0)
    assert read_image(clear, "q", 0, official=True, white_behind=True).getpixel((0, 0)) == (255, 255, 255)
    turned = Image.Exif()
    turned[274] = 6
    data = encoded_as(Image.new("RGB", (8, 4)), "JPEG", exif=turned)
    assert read_image(data, "q", 0).size == (4, 8)
    assert read_image(data, "q", 0, official=True).size == (8, 4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((100, 100), 1),
        ((200, 100), 3),
        ((100, 200), 3),
        ((300, 100), 4),
        ((100, 310), 4),
        ((140, 100), 1),
        ((160, 100), 3),
    ],
)
def test_internvl_tiles(size, expected):
    tiles = internvl_tiles(Image.new("RGB", size), 56, 3)
    assert len(tiles) == expected
    assert {tile.size for tile in tiles} == {(56, 56)}


def test_tiles_are_cut_row_by_row_and_the_thumbnail_is_last():
    image = Image.new("RGB", (112, 56), "red")
    image.paste("blue", (56, 0, 112, 56))
    left, right, thumbnail = internvl_tiles(image, 56, 3)
    assert left.getpixel((5, 5)) == (255, 0, 0)
    assert right.getpixel((50, 5)) == (0, 0, 255)
    assert thumbnail.getpixel((5, 5)) == (255, 0, 0)
    assert thumbnail.getpixel((50, 5)) == (0, 0, 255)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 3000), st.integers(1, 3000))
@example(4000, 4000)
def test_the_official_first_resize_of_qwen(width, height):
    """transformers has the same rule in its processor, but for pictures less than half a unit wide."""
    assume(min(width, height) >= 28)
    assume(max(width, height) <= 200 * min(width, height))
    expected = smart_resize(height, width, factor=28, min_pixels=4 * 28**2, max_pixels=16384 * 28**2)
    assert _qwen_size(width, height, 28, 4 * 28**2, 16384 * 28**2) == expected[::-1]


def test_a_slow_tokenizer_keeps_control_tokens_as_text():
    slow = ByT5Tokenizer()
    tokens = TextTokenizer(slow)
    for text in ("a </s> b", "<pad><extra_id_7>", "plain"):
        found = tokens.text(text)
        assert found.ends is None
        assert set(found.ids).isdisjoint(slow.all_special_ids)
        assert slow.decode(found.ids) == text


def test_a_unigram_vocabulary_that_holds_its_control_tokens():
    """Such a model finds `</s>` in any text: it is a piece like another to it."""
    pieces = [("<unk>", 0.0), ("</s>", 0.0), ("<image>", 0.0), *((c, -5.0) for c in "abc </>simge"), ("ab", -2.0)]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(Unigram(pieces, unk_id=0)), eos_token="</s>", unk_token="<unk>",
        extra_special_tokens=["<image>"],
    )  # fmt: skip
    tokens = TextTokenizer(tokenizer)
    for text in ("ab </s> c", "<image><image>", "</s", "</</s>s>"):
        found = tokens.text(text)
        assert set(found.ids).isdisjoint({1, 2})
        assert "".join(tokenizer.convert_ids_to_tokens(found.ids)) == text
        assert found.ends[-1] == len(text)


def test_a_prompt_starts_as_its_tokenizer_would_start_it(llava):
    """Llama's `<s>` in front, and a space before the first word only if nothing stands before it."""
    own = llava.tokenizer
    blind = from_model(llava.model, llava.processor, blind=True)
    encoded = blind.encode(tiny_models.question(text=("Which?",), options=("a cat", "a dog")))
    assert whole(encoded, 0) == own("Which? a cat")["input_ids"]
    seen = llava.encode(tiny_models.question(text=("Which?",), options=("a cat", "a dog")))
    assert whole(seen, 0) == own("<image>" * seen.visual_tokens + "Which? a cat")["input_ids"]

"""Published tokenizers of six kinds: prompt and option become what the tokenizer makes of them as one text."""

import pytest
import real_tokenizers
import tiny_models
from real_tokenizers.extract import HOSTILE, OPTIONS, QUESTIONS

from radar_tasks.scoring.encoding.prompt_formats import resolve_format
from radar_tasks.scoring.encoding.question_encoder import QuestionEncoder
from radar_tasks.scoring.encoding.segments import Segment
from radar_tasks.scoring.encoding.text import TextTokenizer, tokens_in_front
from radar_tasks.scoring.encoding.vision import EncodedImages


class NoVision:
    image_token_ids = frozenset()

    def __init__(self, tokenizer):
        self.start = tokens_in_front(tokenizer)

    def __call__(self, images, layout):
        return EncodedImages((Segment(self.start),))

    def settings(self):
        return {}


@pytest.fixture(params=real_tokenizers.NAMES)
def real(request):
    return real_tokenizers.load(request.param)


def encoder(real):
    form = resolve_format("plain", "made", {})
    return QuestionEncoder(TextTokenizer(real.tokenizer), NoVision(real.tokenizer), form, 4096)


def test_there_are_six_of_several_kinds():
    assert set(real_tokenizers.NAMES) == {"deepseek_v3", "gemma3", "gpt4o", "llama2", "llama3", "qwen3"}


def test_an_excerpt_gives_the_ids_of_the_whole(real):
    assert len(real.ids) == len(QUESTIONS) * len(OPTIONS)
    for text, ids in real.ids.items():
        assert real.tokenizer(text)["input_ids"] == ids


@pytest.mark.parametrize("asked", QUESTIONS)
def test_prompt_and_option_are_one_text(real, asked):
    encoded = encoder(real)(tiny_models.question((asked,), images=0, options=tuple(OPTIONS)))
    for option, tokens, scored in zip(OPTIONS, encoded.continuations, encoded.scored, strict=True):
        ids = [*encoded.prefix_ids.tolist(), *tokens.tolist()]
        assert ids == real.ids[f"{asked} {option}"]
        said = real.tokenizer.decode(ids[-scored:])
        assert said.endswith(option)
        assert not real.tokenizer.decode(ids[-scored + 1 :] if scored > 1 else []).endswith(option)


@pytest.mark.parametrize("asked", QUESTIONS)
def test_names_of_control_tokens_in_a_question_stay_text(real, asked):
    plain = encoder(real)(tiny_models.question((asked,), images=0, options=("no", "two horses")))
    hostile = encoder(real)(tiny_models.question((f"{asked} {HOSTILE}",), images=0, options=("no", "two horses")))
    control = {id_ for id_, token in real.tokenizer.added_tokens_decoder.items() if token.special}
    assert sum(id_ in control for id_ in hostile.prefix_ids.tolist()) == sum(
        id_ in control for id_ in plain.prefix_ids.tolist()
    )
    assert HOSTILE in real.tokenizer.decode(hostile.prefix_ids.tolist())

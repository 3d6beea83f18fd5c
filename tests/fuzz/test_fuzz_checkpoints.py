"""Arguments of the model, files of a checkpoint, and text from data that looks like control tokens."""

import contextlib
import json

import pytest
import tiny_models
from fuzz.mutations import damaged, spoiled, values
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from radar_tasks.errors import CheckpointError, QuestionError, RadarError
from radar_tasks.scoring.checkpoints import from_model, recognise
from radar_tasks.scoring.checkpoints.model_args import CheckpointOptions, checkpoint_options

NAMES = [*CheckpointOptions.model_fields, "max_pixel", "", "scoring", "__class__"]


@settings(max_examples=cases(300), deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=5), values | st.sampled_from(["True", "7", "auto"])))
def test_arguments_of_the_model(arguments):
    try:
        chosen = checkpoint_options(arguments)
    except CheckpointError as error:
        chosen, told = None, str(error)
    if chosen is None:
        assert "Known: pretrained" in told
    else:
        assert set(arguments) <= set(CheckpointOptions.model_fields)
        assert chosen.pretrained


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_models.build("qwen2_vl", tmp_path_factory.mktemp("made") / "checkpoint")


@settings(max_examples=cases(200), deadline=None)
@given(st.data())
def test_spoilt_files_of_a_checkpoint(folder, data):
    """Recognition reads configuration and index; it gives a description or says what is wrong."""
    file = folder / "config.json"
    good = file.read_bytes()
    bad = data.draw(spoiled(json.loads(good)).map(json.dumps).map(str.encode) | damaged(good))
    file.write_bytes(bad)
    try:
        with contextlib.suppress(RadarError):
            assert recognise(checkpoint_options({"pretrained": str(folder)})).describe()["weights"]
    finally:
        file.write_bytes(good)


@settings(max_examples=cases(100), deadline=None)
@given(st.data())
def test_a_spoilt_index_of_shards(folder, data):
    index = {"metadata": {"total_size": 9}, "weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}}
    content = data.draw(spoiled(index).map(json.dumps).map(str.encode) | damaged(json.dumps(index).encode()))
    file, whole = folder / "model.safetensors.index.json", folder / "model.safetensors"
    aside = whole.rename(folder.parent / "aside")
    file.write_bytes(content)
    try:
        with pytest.raises(RadarError):  # no shard is there
            recognise(checkpoint_options({"pretrained": str(folder)}))
    finally:
        aside.rename(whole)
        file.unlink()


CONTROL = {
    "qwen2_vl": [*tiny_models.QWEN_SPECIALS, "<|endoftext|>", "<s>", "</s>"],
    "llava": ["<image>", "<s>", "</s>", "<unk>", "<pad>", "<0x0A>"],
}


@pytest.fixture(scope="module", params=sorted(CONTROL))
def checkpoint(request):
    return request.param, from_model(*tiny_models.make(request.param))


@settings(max_examples=cases(150), deadline=None)
@given(data=st.data())
def test_text_from_data_makes_no_control_token(checkpoint, data):
    """Emoji, right-to-left, spaces only and the family's own tokens; only pictures make image tokens."""
    family, loaded = checkpoint
    pieces = st.sampled_from(
        [*CONTROL[family], " ", "  ", "\n", "a", "شمال", "👩‍👩‍👧", "\u202e", "é", "<|im", "_end|>"]
    )
    texts = st.lists(pieces, min_size=0, max_size=5).map("".join)
    question, options = data.draw(texts), data.draw(st.lists(texts, min_size=2, max_size=4, unique=True))
    specials = set(loaded.tokenizer.all_special_ids)
    try:
        encoded = loaded.encode(tiny_models.question(text=(question,), options=tuple(options)))
    except QuestionError:
        return  # an empty question, or an option of spaces only
    plain = loaded.encode(tiny_models.question(text=("What?",), options=("yes", "no")))
    control = [token for token in encoded.prefix_ids.tolist() if token in specials]
    assert control == [token for token in plain.prefix_ids.tolist() if token in specials]
    for tokens, count in zip(encoded.continuations, encoded.scored, strict=True):
        assert 1 <= count <= len(tokens)
        assert not specials & set(tokens.tolist())

"""Arguments of the model, files of a checkpoint, and text from data that looks like control tokens."""

import contextlib
import json

import pytest
import tiny_models
import torch
import torch.distributed.checkpoint as dcp
from fuzz.mutations import damaged, spoiled, values
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from radar_tasks.errors import CheckpointError, QuestionError, RadarError
from radar_tasks.scoring.checkpoints import from_model, recognise
from radar_tasks.scoring.checkpoints.distributed_checkpoint import sharded_tensors
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


@pytest.fixture(scope="module")
def distributed(tmp_path_factory):
    place = tmp_path_factory.mktemp("made") / "distributed"
    state = {"model": {"a": torch.ones(3, 2), "b": torch.zeros(4)}, "step": 3, "optimizer": {"betas": [0.9, 0.95]}}
    dcp.save(state, checkpoint_id=place, no_dist=True)
    return place


JUMPS = st.sampled_from(
    [b"cos\nsystem\n", b"cbuiltins\nexec\n", b"\x8c\x02os\x8c\x06system\x93", b"R", b"b", b"\x81", b"(N}stb", b"\x92"]
)
"""Opcodes that name something, call it, or set attributes."""


@settings(max_examples=cases(300), deadline=None)
@given(st.data())
def test_spoilt_metadata_of_a_distributed_checkpoint(distributed, data):
    """The tensors are described, or it is said what is wrong; no name is looked up that torch does not write."""
    file = distributed / ".metadata"
    good = file.read_bytes()
    place, piece = data.draw(st.integers(2, len(good) - 1)), data.draw(st.lists(JUMPS, min_size=1, max_size=3))
    file.write_bytes(data.draw(damaged(good) | st.just(good[:place] + b"".join(piece) + good[place:])))
    try:
        with contextlib.suppress(RadarError):
            for tensor in sharded_tensors(distributed).values():
                assert tensor.read().shape == tensor.shape
    finally:
        file.write_bytes(good)


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

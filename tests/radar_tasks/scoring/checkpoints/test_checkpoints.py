"""What a folder is, how it is loaded, and how one that is not right is refused."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from parity_data import LLAVA, PARITY, one_option, options
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from radar_tasks.cli.checkpoint import app
from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints import checkpoint_options, from_model, load, recognise
from radar_tasks.scoring.checkpoints.convert import convert
from radar_tasks.scoring.checkpoints.formats.native import pixel_limits
from radar_tasks.scoring.checkpoints.weights import MAY_BE_ZERO
from radar_tasks.scoring.encoding.prompt_formats import WORDINGS, resolve_format
from radar_tasks.scoring.encoding.text import vocabulary_digest

OFFICIAL_LIMITS = WORDINGS["qwen2_vl"].pixels.script
PUBLISHED_LIMITS = WORDINGS["qwen2_vl"].pixels.published

INTERNVL = PARITY / "internvl_chat" / "model"
QUESTION = tiny_models.question(text=("See ", " or ", " left?"), images=2)


@pytest.fixture(scope="module")
def qwen_folder(tmp_path_factory):
    return tiny_models.build("qwen2_vl", tmp_path_factory.mktemp("models") / "qwen2_vl")


@pytest.fixture
def copy_of(tmp_path):
    """A writable copy of a folder."""

    def made(folder):
        return Path(shutil.copytree(folder, tmp_path / "copy"))

    return made


def chosen(folder, **more):
    return checkpoint_options({"pretrained": str(folder), **more})


def edit_json(file, **changes):
    content = json.loads(file.read_text())
    content.update(changes)
    file.write_text(json.dumps(content))


def edit_weights(file, change):
    weights = load_file(file)
    change(weights)
    save_file(weights, file, metadata={"format": "pt"})


def scores(checkpoint, question=QUESTION):
    encoded = checkpoint.encode(question)
    return [one_option(checkpoint.model, encoded, k)[0] for k in range(len(encoded.scored))]


# Options


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pretrained": "x", "pretraned": "y"}, "pretraned.*Known: pretrained"),
        ({}, "pretrained: Field required"),
        ({"pretrained": "x", "dtype": "int8"}, "dtype"),
        ({"pretrained": "x", "prompt_format": "chat"}, "prompt_format"),
        (
            {"pretrained": "x", "min_pixels": 9, "max_pixels": 4},
            "^model arguments: min_pixels=9 is more than max_",
        ),
        ({"pretrained": "x", "max_tiles": 0}, "max_tiles"),
        ({"pretrained": "x", "device": "cpu", "device_map": "auto"}, "^model arguments: give device or .*not both"),
        ({"pretrained": "x", "blind": "grey"}, "blind"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(CheckpointError, match=message):
        checkpoint_options(arguments)


def test_arguments_as_texts():
    found = checkpoint_options({"pretrained": "x", "min_pixels": "100", "blind": "true", "trust_remote_code": "False"})
    assert (found.min_pixels, found.blind, found.trust_remote_code) == (100, True, False)
    assert checkpoint_options({"pretrained": "x", "blind": "blank"}).blind == "blank"


# Folders


@pytest.mark.parametrize("name", ["/no/such/folder", "./nothing", "a/b/c", "nothing"])
def test_no_such_folder(name):
    with pytest.raises(CheckpointError, match=r"there is no folder"):
        recognise(chosen(name))


def test_a_text_model_is_refused(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    edit_json(folder / "config.json", model_type="qwen2")
    with pytest.raises(CheckpointError, match=r"not a multimodal checkpoint: qwen2"):
        recognise(chosen(folder))


@pytest.mark.parametrize("model_type", ["pi0", "diffusion_gemma", "shieldgemma2", "evolla", "qwen2_5_omni"])
def test_families_that_cannot_work_are_refused_with_the_reason(copy_of, qwen_folder, model_type):
    folder = copy_of(qwen_folder)
    edit_json(folder / "config.json", model_type=model_type)
    with pytest.raises(CheckpointError, match=f"{model_type} checkpoints cannot be scored here: "):
        recognise(chosen(folder))


def test_an_architecture_from_the_future(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    edit_json(folder / "config.json", model_type="qwen9_vl", transformers_version="9.0")
    with pytest.raises(CheckpointError, match=r"does not know the architecture qwen9_vl \(written by 9.0\)"):
        recognise(chosen(folder))


def test_a_missing_processor_can_be_given(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    for file in (*folder.glob("*processor_config.json"), *folder.glob("tokenizer*")):
        file.unlink()
    with pytest.raises(CheckpointError, match=r"no tokenizer.*processor="):
        recognise(chosen(folder))
    given = load(chosen(folder, processor=str(qwen_folder)))
    assert scores(given) == scores(load(chosen(qwen_folder)))


def test_a_tokenizer_without_a_processor_is_not_enough(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    for file in folder.glob("*processor_config.json"):
        file.unlink()
    with pytest.raises(CheckpointError, match=r"no processor.*processor="):
        recognise(chosen(folder))


@pytest.mark.parametrize("keep", [0, 4, 100, -7])
def test_a_file_cut_short_is_refused(copy_of, qwen_folder, keep):
    folder = copy_of(qwen_folder)
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"model.safetensors is cut short"):
        recognise(chosen(folder))


def test_a_header_that_names_an_unknown_type_is_refused(copy_of, qwen_folder):
    file = copy_of(qwen_folder) / "model.safetensors"
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"F32"', b'"ZZ2"', 1))
    assert file.read_bytes() != data
    with pytest.raises(CheckpointError, match="unknown variant"):
        load(chosen(file.parent))


def test_a_folder_still_being_written_is_refused(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    (folder / "model.safetensors.tmp").write_bytes(b"half")
    with pytest.raises(CheckpointError, match=r"still being written"):
        recognise(chosen(folder))


def test_half_a_config_is_refused(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    (folder / "config.json").write_text((folder / "config.json").read_text()[:50])
    with pytest.raises(CheckpointError, match=r"config.json cannot be read"):
        recognise(chosen(folder))


def sharded(folder, file_format="safetensors"):
    """Rewrites a folder's weights as two shards with an index."""
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if file_format == "safetensors" else "pytorch_model"
    names, weight_map = sorted(weights), {}
    for k, part in enumerate((names[::2], names[1::2]), 1):
        file = f"{stem}-0000{k}-of-00002.{file_format}"
        chunk = {name: weights[name] for name in part}
        if file_format == "bin":
            torch.save(chunk, folder / file)
        else:
            save_file(chunk, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(part, file)
    index = folder / f"{stem}.{'safetensors' if file_format == 'safetensors' else 'bin'}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_a_missing_shard_is_named(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    sharded(folder)
    assert scores(load(chosen(folder))) == scores(load(chosen(qwen_folder)))
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"lacks model-00002-of-00002.safetensors"):
        recognise(chosen(folder))
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(CheckpointError, match=r"1 shard.*no model.safetensors.index.json"):
        recognise(chosen(folder))


@pytest.mark.parametrize("name", ["pytorch_model_fsdp_0", "global_step5", "empty"])
def test_a_folder_of_shards_with_nothing_in_it_has_no_weights(copy_of, qwen_folder, name):
    folder = copy_of(qwen_folder)
    (folder / "model.safetensors").unlink()
    (folder / name).mkdir()
    with pytest.raises(CheckpointError, match=r"holds no weights"):
        recognise(chosen(folder))


def test_the_fingerprint_is_of_the_contents(copy_of, qwen_folder):
    before = recognise(chosen(qwen_folder)).describe()
    folder = copy_of(qwen_folder)
    same = recognise(chosen(folder)).describe()
    assert before["weights"] == same["weights"]
    edit_weights(folder / "model.safetensors", lambda w: w["lm_head.weight"][3, 3].add_(1))
    assert recognise(chosen(folder)).describe()["weights"] != before["weights"]


# Weights


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_finite_are_named(copy_of, qwen_folder, value):
    folder = copy_of(qwen_folder)
    edit_weights(folder / "model.safetensors", lambda w: w["lm_head.weight"][2, 1].fill_(value))
    with pytest.raises(CheckpointError, match=r"lm_head.weight holds 1 NaN or infinite"):
        load(chosen(folder))


def test_a_file_whose_end_is_zeros_is_refused(copy_of, qwen_folder):
    """A preallocated copy that was interrupted, a file system after a power loss."""
    folder = copy_of(qwen_folder)
    content = (folder / "model.safetensors").read_bytes()
    for kept in (0.3, 0.64):
        half = int(len(content) * kept)
        (folder / "model.safetensors").write_bytes(content[:half] + bytes(len(content) - half))
        with pytest.raises(CheckpointError, match=r"nothing but zeros: model\.\S+weight.* copy or save it again"):
            load(chosen(folder))


@pytest.mark.parametrize("name", ["layers.0.mlp.up_proj.weight", "embed_tokens.weight", "lm_head", "patch_embed.proj"])
def test_a_matrix_of_zeros_is_named(copy_of, qwen_folder, name):
    folder = copy_of(qwen_folder)
    full = next(key for key in load_file(folder / "model.safetensors") if name in key)
    edit_weights(folder / "model.safetensors", lambda w: w[full].zero_())
    with pytest.raises(CheckpointError, match=rf"1 weight matrix\(es\) hold nothing but zeros: \S*{name}"):
        load(chosen(folder))


def test_what_may_be_zero_is_not_refused(copy_of, qwen_folder, caplog):
    """Biases and norms; a projector before its first step, of which a warning tells; rows; values that add up to 0."""
    folder = copy_of(qwen_folder)

    def change(weights):
        for weight in weights.values():
            if weight.ndim == 1:
                weight.zero_()
        weights["model.embed_tokens.weight"][5:9] = 0
        gate = next(weight for name, weight in weights.items() if "gate_proj" in name)
        gate.copy_(torch.tensor([1.0, -1.0]).repeat(gate.numel() // 2).reshape(gate.shape))
        next(weight for name, weight in weights.items() if "merger.mlp.2.weight" in name).zero_()

    edit_weights(folder / "model.safetensors", change)
    load(chosen(folder))
    assert re.search(r"taken for not trained yet: \S*merger.mlp.2.weight$", caplog.text.strip())


@pytest.mark.parametrize(
    "family", ["qwen2_vl", "qwen3_vl", "llava", "internvl", "idefics3", "paligemma", "gemma3", "mistral3", "glm4v"]
)
def test_what_lies_between_tower_and_text_may_be_zero(family):
    """It is told by its name, and nothing else is taken for it."""
    model, _ = tiny_models.make(family)
    names = {name for name, weight in model.named_parameters() if weight.ndim > 1 and MAY_BE_ZERO.search(name)}
    assert names
    assert not any(re.search(r"language_model.*(mlp|self_attn|embed_tokens)|lm_head", name) for name in names)


def test_a_missing_weight_is_named(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    name = next(k for k in load_file(folder / "model.safetensors") if "layers.0.mlp.up_proj" in k)
    edit_weights(folder / "model.safetensors", lambda w: w.pop(name))
    with pytest.raises(CheckpointError, match=r"weights are missing: .*layers.0.mlp.up_proj"):
        load(chosen(folder))


def test_a_vocabulary_smaller_than_the_tokenizers_is_refused(copy_of):
    folder = copy_of(PARITY / "qwen2_vl" / "model")
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["vocab_size"] = 300
    (folder / "config.json").write_text(json.dumps(config))

    def cut(weights):
        for name in ("lm_head.weight", next(k for k in weights if k.endswith("embed_tokens.weight"))):
            weights[name] = weights[name][:300].clone()

    edit_weights(folder / "model.safetensors", cut)
    with pytest.raises(CheckpointError, match=r"tokenizer's largest token is 329 .*300 rows"):
        load(chosen(folder))


def test_loaded_as_asked(qwen_folder):
    checkpoint = load(chosen(qwen_folder, dtype="bfloat16", attn_implementation="eager", device="cpu"))
    assert checkpoint.model.dtype == torch.bfloat16
    assert checkpoint.model.config._attn_implementation == "eager"
    assert not checkpoint.model.training
    assert not any(p.requires_grad for p in checkpoint.model.parameters())
    said = checkpoint.describe()
    assert (said["kind"], said["model_type"], said["dtype_loaded"]) == ("native", "qwen2_vl", "bfloat16")
    json.dumps(said)
    words = checkpoint.tokenizer.get_vocab()
    assert said["vocabulary"] == vocabulary_digest(SimpleNamespace(get_vocab=lambda: dict(reversed(words.items()))))
    (one, first), (two, second) = list(words.items())[-2:]
    assert said["vocabulary"] != vocabulary_digest(SimpleNamespace(get_vocab=lambda: words | {one: second, two: first}))
    with pytest.raises(CheckpointError, match=r"cannot be put on nowhere"):
        load(chosen(qwen_folder, device="nowhere"))


def test_a_model_in_memory_is_left_alone():
    model, processor = tiny_models.make("qwen2_vl")
    model.train()
    limits = dict(processor.image_processor.size)
    checkpoint = from_model(model, processor, max_pixels=8 * 28**2)
    checkpoint.encode(QUESTION)
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert dict(processor.image_processor.size) == limits
    with pytest.raises(CheckpointError, match=r"max_tiles"):
        from_model(model, processor, max_tiles=2)


# Limits of images


def test_pixel_limits():
    official = resolve_format("official", "qwen2_vl", {})
    auto = resolve_format("auto", "qwen2_vl", {})
    plain = resolve_format("plain", "qwen2_vl", {})
    own = (3136, 12544)
    assert pixel_limits(PUBLISHED_LIMITS, auto, None, None) == OFFICIAL_LIMITS
    assert pixel_limits(own, auto, None, None) == own
    assert pixel_limits(own, official, None, None) == OFFICIAL_LIMITS
    assert pixel_limits(PUBLISHED_LIMITS, plain, None, None) == PUBLISHED_LIMITS
    assert pixel_limits(own, official, 784, 1568) == (784, 1568)
    assert pixel_limits(PUBLISHED_LIMITS, auto, None, 100_000) == (100_000, 100_000)


def test_pixel_limits_decide_about_visual_tokens(qwen_folder):
    question = tiny_models.question(images=(tiny_models.picture(1, (280, 280)),))
    counts = [load(chosen(qwen_folder, max_pixels=n * 784)).encode(question).visual_tokens for n in (4, 9, 16)]
    assert counts == [4, 9, 16]


def test_tiles():
    model, processor = tiny_models.make("internvl")
    question = tiny_models.question(images=(tiny_models.picture(1, (280, 56)),))
    tiles = [
        len(from_model(model, processor, **more).encode(question).vision["pixel_values"])
        for more in ({}, {"max_tiles": 5})
    ]
    assert tiles == [4, 6]


# The publishers' older files


def test_qwen2_vl_as_published(copy_of):
    """Flat config with `rope_scaling`, preprocessor_config.json, chat_template.json."""
    new = PARITY / "qwen2_vl" / "model"
    folder = copy_of(new)
    config = json.loads((folder / "config.json").read_text())
    text = config.pop("text_config")
    rope = text.pop("rope_parameters")
    flat = {k: v for k, v in text.items() if k not in ("model_type", "layer_types", "rope_parameters")}
    flat |= {
        "rope_theta": rope["rope_theta"],
        "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]},
    }
    config["vision_config"].pop("rope_parameters")
    (folder / "config.json").write_text(
        json.dumps({**flat, **config, "torch_dtype": "float32", "transformers_version": "4.41.2"})
    )
    processor = json.loads((folder / "processor_config.json").read_text())
    (folder / "processor_config.json").unlink()
    image = processor["image_processor"] | {
        "min_pixels": 3136,
        "max_pixels": 12845056,
        "processor_class": "Qwen2VLProcessor",
    }
    image.pop("size")
    (folder / "preprocessor_config.json").write_text(json.dumps(image))
    template = folder / "chat_template.jinja"
    (folder / "chat_template.json").write_text(json.dumps({"chat_template": template.read_text()}))
    template.unlink()
    old, current = load(chosen(folder)), load(chosen(new, min_pixels=OFFICIAL_LIMITS[0], max_pixels=OFFICIAL_LIMITS[1]))
    assert scores(old) == pytest.approx(scores(current), abs=1e-6)


# Foreign formats


@pytest.mark.parametrize("file_format", ["safetensors", "bin"])
def test_internvl_in_shards(copy_of, file_format):
    folder = copy_of(INTERNVL)
    sharded(folder, file_format)
    assert scores(load(chosen(folder))) == scores(load(chosen(INTERNVL)))


def test_internvl_never_asks_on_the_terminal(monkeypatch):
    monkeypatch.setattr("builtins.input", lambda *a: pytest.fail("asked on the terminal"))
    assert load(chosen(INTERNVL)).kind == "internvl_chat"


def test_internvl_with_a_qwen2_language_model(copy_of):
    folder = copy_of(INTERNVL)
    config = json.loads((folder / "config.json").read_text())
    config["llm_config"] |= {"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "head_dim": None}
    (folder / "config.json").write_text(json.dumps(config))

    def as_qwen2(weights):
        for name in [k for k in weights if "q_norm" in k or "k_norm" in k]:
            del weights[name]
        for name in [k for k in weights if k.startswith("language_model") and "self_attn" in k]:
            rows, _columns = weights[name].shape
            if "o_proj" in name:
                weights[name] = weights[name][:, :64].clone()
            else:
                weights[name] = weights[name][: rows // 2].clone()
                weights[name.replace(".weight", ".bias")] = torch.zeros(rows // 2)

    edit_weights(folder / "model.safetensors", as_qwen2)
    checkpoint = load(chosen(folder))
    assert checkpoint.parts.config.text_config.model_type == "qwen2"
    assert all(map(torch.isfinite, map(torch.tensor, scores(checkpoint))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("mlp1.1.bias"), "missing: .*multi_modal_projector.linear_1.bias"),
        (lambda w: w.update({"mlp2.weight": torch.ones(2)}), "left over: mlp2.weight"),
        (lambda w: w.update({"mlp1.1.bias": torch.ones(3)}), "another shape.*linear_1.bias"),
    ],
)
def test_internvl_weights_that_do_not_fit_are_named(copy_of, change, message):
    folder = copy_of(INTERNVL)
    edit_weights(folder / "model.safetensors", change)
    with pytest.raises(CheckpointError, match=message):
        load(chosen(folder))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ps_version": "v1"}, "ps_version"),
        ({"select_layer": -4}, "select_layer"),
        ({"template": "internlm2-chat"}, "template 'internlm2-chat'"),
        ({"llm_config": {"model_type": "internlm2"}}, "internlm2"),
    ],
)
def test_internvl_variants_that_are_not_covered(copy_of, changes, message):
    folder = copy_of(INTERNVL)
    edit_json(folder / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        load(chosen(folder))


@pytest.mark.parametrize("missing", ["model_base", "vision_tower"])
def test_a_projector_needs_its_other_parts(missing):
    parts = {"model_base": str(LLAVA / "base_llm"), "vision_tower": str(LLAVA / "siglip-tiny-patch14-384")}
    del parts[missing]
    with pytest.raises(CheckpointError, match=r"model_base=LANGUAGE_MODEL,vision_tower="):
        recognise(chosen(LLAVA / "projector", **parts))


@pytest.fixture
def llava_parts(tmp_path):
    copied = shutil.copytree(LLAVA, tmp_path / "llava")
    return {
        "pretrained": copied / "projector", "model_base": copied / "base_llm",
        "vision_tower": copied / "siglip-tiny-patch14-384",
    }  # fmt: skip


def loaded(parts, **more):
    return load(checkpoint_options({name: str(value) for name, value in parts.items()} | {"dtype": "float32"} | more))


ONE = tiny_models.question(images=1)


def test_projector_in_float32_and_untied_base_in_bin(llava_parts):
    expected = scores(loaded(llava_parts), ONE)
    file = llava_parts["pretrained"] / "mm_projector.bin"
    torch.save({name: value.float() for name, value in torch.load(file).items()}, file)
    base = llava_parts["model_base"]
    weights = load_file(base / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"] * 2
    (base / "model.safetensors").unlink()
    torch.save(weights, base / "pytorch_model.bin")
    for folder in (llava_parts["pretrained"], base):
        edit_json(folder / "config.json", tie_word_embeddings=False)
    assert scores(loaded(llava_parts), ONE) == pytest.approx([2 * score for score in expected], rel=1e-5)


def test_a_base_without_a_free_row_gets_one(llava_parts):
    expected = loaded(llava_parts)
    base = llava_parts["model_base"]

    def cut(weights):
        weights["model.embed_tokens.weight"] = weights["model.embed_tokens.weight"][:391].clone()

    edit_weights(base / "model.safetensors", cut)
    found = loaded(llava_parts)
    assert found.model.get_input_embeddings().weight.shape[0] == 392
    assert scores(found, ONE) == pytest.approx(scores(expected, ONE), abs=1e-5)


def test_a_projector_file_runs_no_code(llava_parts):
    class Bomb:
        def __reduce__(self):
            return (Path("/never").touch, ())

    torch.save({"model.mm_projector.0.weight": Bomb()}, llava_parts["pretrained"] / "mm_projector.bin")
    with pytest.raises(CheckpointError, match=r"mm_projector.bin cannot be read"):
        loaded(llava_parts)


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("pretrained", {"mm_projector_type": "linear"}, "mm_projector_type"),
        ("pretrained", {"mm_use_im_start_end": True}, "mm_use_im_start_end"),
        ("vision_tower", {"model_type": "clip"}, "only SigLIP"),
        ("pretrained", {"hidden_size": 128}, "another shape"),
    ],
)
def test_projectors_that_are_not_covered(llava_parts, part, changes, message):
    edit_json(llava_parts[part] / "config.json", **changes)
    with pytest.raises(CheckpointError, match=message):
        loaded(llava_parts)


# Conversion


@pytest.mark.parametrize("family", ["internvl_chat", "llava_onevision_projector"])
def test_a_converted_checkpoint_is_native_and_scores_alike(tmp_path, family):
    """Nearly: transformers' own image processors resize with torchvision, the official scripts with PIL."""
    converted = tmp_path / "out" / "native"
    convert(options(family), converted)
    native, original = load(chosen(converted, dtype="float32")), load(options(family))
    assert (native.kind, native.prompt_format) == ("native", original.prompt_format)
    a, b = native.encode(QUESTION), original.encode(QUESTION)
    assert a.prefix_ids.tolist() == b.prefix_ids.tolist()
    same_pixels = {"pixel_values": b.vision["pixel_values"]}
    a.vision.clear()
    a.vision.update(same_pixels)
    for k in range(3):
        assert one_option(native.model, a, k) == pytest.approx(one_option(original.model, b, k), abs=1e-5)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["native"]


def test_conversion_leaves_nothing_behind_when_it_fails(tmp_path, copy_of):
    folder = copy_of(INTERNVL)
    edit_weights(folder / "model.safetensors", lambda w: w.pop("mlp1.1.bias"))
    with pytest.raises(CheckpointError):
        convert(chosen(folder), tmp_path / "out" / "native")
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(CheckpointError, match=r"exists already"):
        convert(chosen(INTERNVL), tmp_path)


# During training


def test_adapters_are_merged_and_equal_the_wrapped_model(tmp_path, qwen_folder):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(qwen_folder)
    torch.manual_seed(3)
    wrapped = get_peft_model(base, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    wrapped.save_pretrained(tmp_path / "adapter")
    checkpoint = load(chosen(tmp_path / "adapter"))
    assert checkpoint.describe()["adapter"] == "adapter"
    encoded = checkpoint.encode(QUESTION)
    assert scores(checkpoint) != pytest.approx(scores(load(chosen(qwen_folder))), abs=1e-3)
    expected = [one_option(wrapped.eval(), encoded, k)[0] for k in range(3)]
    assert scores(checkpoint) == pytest.approx(expected, abs=1e-5)
    assert scores(load(chosen(tmp_path / "adapter", model_base=str(qwen_folder)))) == scores(checkpoint)
    edit_weights(
        tmp_path / "adapter" / "adapter_model.safetensors",
        lambda w: w.update({name.replace("layers", "lagers"): w.pop(name) for name in sorted(w)[:1]}),
    )
    with pytest.raises(CheckpointError, match=r"does not fit its base"):
        load(chosen(tmp_path / "adapter"))


def test_a_gathered_fsdp_state(copy_of, qwen_folder):
    folder = copy_of(qwen_folder)
    expected = scores(load(chosen(folder)))
    state = load(chosen(folder)).model.state_dict()
    (folder / "model.safetensors").unlink()
    torch.save(state, folder / "pytorch_model_fsdp.bin")
    assert scores(load(chosen(folder))) == expected


# Command line


def test_show_and_convert_on_the_command_line(tmp_path, monkeypatch):
    run = CliRunner().invoke(app, ["show", str(INTERNVL), "--model-args", "prompt_format=official,max_tiles=2"])
    assert run.exit_code == 0, run.output
    for text in ("internvl_chat", "prompt format  official", "max_tiles=2", "⟦image 1⟧ What animal is this?<|im_end|>",
                 "language_model", "4 of them visual", "option 'red panda': 6 token(s)"):  # fmt: skip
        assert text in run.output
    run = CliRunner().invoke(app, ["convert", str(INTERNVL), str(tmp_path / "new")])
    assert run.exit_code == 0
    assert (tmp_path / "new" / "config.json").is_file()
    assert isinstance(CliRunner().invoke(app, ["show", "/nowhere"]).exception, CheckpointError)
    assert isinstance(CliRunner().invoke(app, ["show", str(INTERNVL), "--model-args", "x"]).exception, CheckpointError)

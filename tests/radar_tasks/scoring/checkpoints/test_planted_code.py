"""Nothing that a checkpoint brings runs unless the user says so: code planted in every file that is read."""

import json
import os
import shutil
from pathlib import Path

import pytest
import tiny_models
import torch
from parity_data import LLAVA, PARITY
from safetensors.torch import load_file

from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.scoring.checkpoints import checkpoint_options, load
from radar_tasks.scoring.checkpoints.convert import convert
from radar_tasks.scoring.checkpoints.explain import explain

QUESTION = tiny_models.question(images=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tiny_models.build("qwen2_vl", tmp_path_factory.mktemp("models") / "qwen2_vl")


@pytest.fixture
def folder(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "checkpoint"))


@pytest.fixture
def ran(tmp_path, folder, monkeypatch):
    """A file that planted code makes; the module is found by name and from the folder, and the terminal says yes."""
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w').close()\n" + "".join(
        f"class {name}:\n    @classmethod\n    def from_pretrained(cls, *a, **k): raise SystemExit\n    "
        f"from_config = register_for_auto_class = from_pretrained\n"
        for name in ("Config", "Model", "Processor", "Tokenizer", "ImageProcessor")
    )
    for name in ("planted.py", "custom_generate/generate.py", "transformers_planted.py", "sitecustomize.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    return mark


def edit(file, **changes):
    content = json.loads(file.read_text()) if file.is_file() else {}
    file.write_text(json.dumps(content | changes))


def tried(folder, **more):
    """What a user can do with a folder."""
    options = checkpoint_options({"pretrained": str(folder), **more})
    for act in (explain, load, lambda found: convert(found, folder.parent / "converted")):
        try:
            done = act(options)
            if act is load:
                done.encode(QUESTION)
        except RadarError as error:
            said = str(error)
        else:
            said = None
    return said


class Runs:
    """Un-pickled, it calls something."""

    def __init__(self, mark):
        self._mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self._mark}",)


AUTO = {
    "AutoConfig": "planted.Config", "AutoModel": "planted.Model", "AutoModelForImageTextToText": "planted.Model",
    "AutoModelForCausalLM": "planted.Model", "AutoProcessor": "planted.Processor",
    "AutoTokenizer": ["planted.Tokenizer", "planted.Tokenizer"], "AutoImageProcessor": "planted.ImageProcessor",
    "AutoVideoProcessor": "planted.Processor", "AutoFeatureExtractor": "planted.Processor",
}  # fmt: skip


def config(folder, mark):
    edit(folder / "config.json", auto_map=AUTO)


def unknown_architecture(folder, mark):
    edit(folder / "config.json", auto_map=AUTO, model_type="planted", architectures=["Model"])


def inner_architecture(folder, mark):
    config = json.loads((folder / "config.json").read_text())
    # Their own sizes stay: without them the family's published ones would be built, 7 billion parameters.
    parts = {
        part: {**config[part], "model_type": "planted", "auto_map": AUTO} for part in ("text_config", "vision_config")
    }
    edit(folder / "config.json", auto_map=AUTO, **parts)


def kernel_of_the_hub(folder, mark):
    edit(folder / "config.json", attn_implementation="somebody/kernel")


def kernel_of_a_part(folder, mark):
    edit(folder / "config.json", _attn_implementation={"text_config": "somebody/kernel:planted"})


def quantised(folder, mark):
    edit(folder / "config.json", quantization_config={"quant_method": "planted", "modules_to_not_convert": []})


def other_weights(folder, mark):
    torch.save(Runs(mark), folder / "adapter_model.bin")
    edit(folder / "config.json", transformers_weights="adapter_model.bin")


def processor(folder, mark):
    for name in ("processor_config.json", "preprocessor_config.json"):
        edit(
            folder / name, auto_map=AUTO, processor_class="Processor", image_processor_type="ImageProcessor",
            feature_extractor_type="Processor", video_processor_type="Processor",
        )  # fmt: skip


def audio_tokenizer(folder, mark):
    named = {"audio_tokenizer_class": "AutoModel", "audio_tokenizer_name_or_path": str(folder)}
    edit(folder / "config.json", auto_map=AUTO)
    edit(folder / "processor_config.json", audio_tokenizer=named)


def tokenizer(folder, mark):
    edit(folder / "tokenizer_config.json", auto_map=AUTO, tokenizer_class="Tokenizer")


def tokenizer_map_alone(folder, mark):
    edit(folder / "tokenizer_config.json", auto_map=AUTO)


def chat_template(folder, mark):
    call = "{{ ''.__class__.__mro__[1].__subclasses__() }}{% set os = cycler.__init__.__globals__.os %}"
    text = call + "{{ os.system('touch " + str(mark) + "') }}{{ self.__init__.__globals__ }}"
    (folder / "chat_template.jinja").write_text(text)
    edit(folder / "tokenizer_config.json", chat_template=text)
    edit(folder / "processor_config.json", chat_template=text)


def generation(folder, mark):
    edit(folder / "generation_config.json", custom_generate="planted", auto_map=AUTO)


def weights(folder, mark):
    (folder / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Runs(mark)}, folder / "pytorch_model.bin")


def weights_of_fsdp(folder, mark):
    (folder / "model.safetensors").unlink()
    torch.save({"lm_head.weight": Runs(mark)}, folder / "pytorch_model_fsdp.bin")


def weights_in_the_old_format(folder, mark):
    (folder / "model.safetensors").unlink()
    torch.save({"w": Runs(mark)}, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)


def leftovers_of_a_trainer(folder, mark):
    for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "scaler.pt"):
        torch.save(Runs(mark), folder / name)


PLANTS = (
    config, unknown_architecture, inner_architecture, kernel_of_the_hub, kernel_of_a_part, quantised, other_weights,
    processor, audio_tokenizer, tokenizer, tokenizer_map_alone, chat_template, generation, weights, weights_of_fsdp,
    weights_in_the_old_format, leftovers_of_a_trainer,
)  # fmt: skip


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_code_in_a_checkpoint(plant, folder, ran):
    plant(folder, ran)
    ran.unlink(missing_ok=True)
    tried(folder)
    assert not ran.exists()


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_code_in_the_place_that_a_processor_comes_from(plant, folder, made, ran):
    plant(folder, ran)
    tried(made, processor=str(folder))
    assert not ran.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"megatron_config": {"a": 1}, "megatron_core": "planted"},
        {"megatron_config": {"a": 1}, "megatron_core": "transformers_planted"},
        {"auto_mapping": {"base_model_class": "Model", "parent_library": "planted"}},
        {"init_lora_weights": "pissa", "loftq_config": {"planted": 1}},
        {"peft_type": "PROMPT_TUNING", "prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "x",
         "tokenizer_name_or_path": ".", "tokenizer_kwargs": {"trust_remote_code": True}, "num_virtual_tokens": 2},
        {"peft_type": "XLORA", "adapters": {"a": "."}},
        {"peft_type": "planted"},
    ],
    ids=str,
)  # fmt: skip
def test_code_in_an_adapter(tmp_path, made, folder, ran, changes):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    base = AutoModelForImageTextToText.from_pretrained(made)
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path / "adapter")
    edit(tmp_path / "adapter" / "adapter_config.json", base_model_name_or_path=str(made), **changes)
    tried(tmp_path / "adapter")
    assert not ran.exists()


def test_code_in_an_adapters_weights(tmp_path, made, ran):
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    edit(adapter / "adapter_config.json", peft_type="LORA", r=2, target_modules=["q_proj"])
    edit(adapter / "adapter_config.json", base_model_name_or_path=str(made))
    torch.save({"w": Runs(ran)}, adapter / "adapter_model.bin")
    assert "adapter" in tried(adapter)
    assert not ran.exists()


@pytest.mark.parametrize(
    "name", ["AutoModel", "AutoTokenizer", "AutoProcessor", "RagRetriever", "pipeline", "Tokenizer"]
)
def test_a_publishers_tokenizer_is_a_tokenizer(tmp_path, folder, ran, name):
    """The foreign formats look the class up by name."""
    internvl = Path(shutil.copytree(PARITY / "internvl_chat" / "model", tmp_path / "internvl"))
    shutil.copy(folder / "planted.py", internvl)
    edit(internvl / "config.json", auto_map=AUTO)
    edit(internvl / "tokenizer_config.json", auto_map=AUTO, tokenizer_class=name)
    assert f"no tokenizer {name}" in tried(internvl)
    assert not ran.exists()


@pytest.mark.parametrize("part", ["pretrained", "model_base", "vision_tower"])
def test_code_in_the_parts_of_a_projector(tmp_path, ran, folder, part):
    copied = Path(shutil.copytree(LLAVA, tmp_path / "llava"))
    parts = {
        "pretrained": copied / "projector", "model_base": copied / "base_llm",
        "vision_tower": copied / "siglip-tiny-patch14-384",
    }  # fmt: skip
    weights = next(parts[part].glob("*.safetensors"), None)
    shutil.copy(folder / "planted.py", parts[part])
    edit(parts[part] / "config.json", auto_map=AUTO)
    if weights is not None:
        state = {**load_file(weights), "planted": Runs(ran)}
        weights.unlink()
        torch.save(state, weights.with_name("pytorch_model.bin"))
    else:
        torch.save({"model.mm_projector.0.weight": Runs(ran)}, parts[part] / "mm_projector.bin")
    others = {name: str(place) for name, place in parts.items() if name != "pretrained"}
    assert "cannot be read" in tried(parts["pretrained"], **others)
    assert not ran.exists()


def test_the_plants_would_run(folder, ran):
    """With the user's word they do: the tests above look for the right thing."""
    unknown_architecture(folder, ran)
    with pytest.raises((CheckpointError, SystemExit)):
        load(checkpoint_options({"pretrained": str(folder), "trust_remote_code": True}))
    assert ran.exists()

"""The wording of each format, for the questions of each source."""

import pytest
import tiny_models

from radar_tasks.errors import CheckpointError
from radar_tasks.scoring.checkpoints.explain import as_text
from radar_tasks.scoring.encoding.prompt_formats import INTERNVL_SYSTEM, Image, Text, resolve_format

ONE, TWO, THREE = (f"⟦image {k}⟧" for k in (1, 2, 3))


def shown(name, question, model_type="llama_vision", **config):
    return as_text(resolve_format(name, model_type, config).prompt(question))


def asked(text="Which?", images=1, source="spatial"):
    return tiny_models.question(text=(text,) if isinstance(text, str) else text, images=images, source=source)


MARKED = asked(("See ", " or ", " left? "), 2, "mmmu_pro")


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [
        ("qwen2_vl", "qwen2_vl"),
        ("qwen2_5_vl", "plain"),
        ("llava", "plain"),
        ("llava_onevision", "llava_onevision"),
        ("internvl", "internvl_chat"),
        ("paligemma", "paligemma"),
    ],
)
def test_auto_follows_the_family(model_type, expected):
    assert resolve_format("auto", model_type, {}).name == expected


def test_auto_follows_what_a_checkpoint_was_trained_with():
    assert resolve_format("auto", "llava", {}, trained_with="llava_onevision").name == "llava_onevision"


def test_a_format_that_nobody_knows_in_a_converted_checkpoint():
    with pytest.raises(CheckpointError, match="radar_prompt_format is 'haiku', not one of plain"):
        resolve_format("auto", "llava", {"radar_prompt_format": "haiku"})


def test_a_converted_checkpoint_is_asked_as_the_original():
    assert resolve_format("auto", "llava", {"radar_prompt_format": "llava_onevision"}).wording == "llava_onevision"


def test_official_needs_a_script():
    with pytest.raises(CheckpointError, match="no script for gemma3"):
        resolve_format("official", "gemma3", {})
    form = resolve_format("official", "qwen2_vl", {})
    assert (form.name, form.wording, form.official) == ("official", "qwen2_vl", True)


def test_plain_puts_images_in_front_or_where_they_are_marked():
    assert shown("plain", asked(images=3)) == f"{ONE}{TWO}{THREE}Which? …"
    assert shown("plain", MARKED) == f"See {ONE} or {TWO} left? …"
    assert shown("plain", asked("Pick one: ")) == f"{ONE}Pick one: …"


def test_official_qwen_keeps_the_space_at_the_end():
    assert shown("official", asked("Pick one: "), "qwen2_vl") == f"{ONE}Pick one:  …"


@pytest.mark.parametrize(
    ("source", "images", "expected"),
    [
        ("mmbench", 1, f"{ONE}\nWhich?\n…"),
        ("mathvista", 1, f"{ONE}\nWhich?\n…"),
        ("spatial", 1, f"{ONE} Which?\n…"),
        ("seephys", 3, f"{ONE}{TWO}{THREE} Which?\n…"),
    ],
)
def test_llava_onevision(source, images, expected):
    for name in ("llava_onevision", "official"):
        assert shown(name, asked(images=images, source=source), model_type="llava_onevision") == expected


def test_llava_onevision_marked():
    assert shown("llava_onevision", MARKED) == f"See {ONE} or {TWO} left? \n…"


def chat(user, system=INTERNVL_SYSTEM):
    return f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n…"


@pytest.mark.parametrize("source", ["mmbench", "mmmu_pro", "mathvista", "wiki_plant"])
def test_internvl_chat(source):
    separator = " " if source == "wiki_plant" else "\n"
    assert shown("internvl_chat", asked(source=source)) == chat(f"{ONE}{separator}Which?")


def test_internvl_images_are_in_order_and_reversed_only_officially():
    question = asked(images=3, source="seephys")
    assert shown("auto", question, "internvl") == chat(f"{ONE} {TWO} {THREE} Which?")
    assert shown("official", question, "internvl") == chat(f"{THREE} {TWO} {ONE} Which?")
    assert shown("official", MARKED, "internvl") == chat(f"See {ONE} or {TWO} left? ")


def test_internvl_system_message():
    question = asked()
    user = f"{ONE} Which?"
    assert shown("auto", question, "internvl", system_message="Be brief.") == chat(user, "Be brief.")
    assert shown("official", question, "internvl", system_message="Be brief.") == chat(user, "Be brief.")
    assert shown("auto", question, "internvl", system_message=None) == chat(user)
    assert shown("official", question, "internvl", system_message=None) == chat(user, "None")


def test_paligemma_has_images_in_front_always():
    assert shown("auto", MARKED, "paligemma") == f"{ONE}{TWO}<bos>See or left?\n…"


def test_a_mark_is_no_string():
    """Text that looks like an image is a text part."""
    prompt = resolve_format("plain", "llava", {}).prompt(asked("What does <image> mean?"))
    assert prompt.parts == (Image(0), Text("What does <image> mean?"))

"""A tenth of all types, another one every day, and all with an entry of their own in `scoring/families.py`: prompt
tokens are the processor's, and every way scores as the reference does.

RADAR_FAMILIES=N chooses the tenth, `all` takes all, `entries` none but those with an entry; the day's number is part of
a test's name.
"""

import datetime
import os
import re
from pathlib import Path

import pytest
import tiny_models
import torch
from safetensors.torch import save_file
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from families.measurement import largest_difference, measure, prompt_format
from families.page import LIMIT, SHARED_LIMIT, faults
from families.questions import GROUPS, asked
from families.reference import asked_by_processor, expected_scores
from radar_tasks.errors import CheckpointError, RadarError
from radar_tasks.scoring import Scorer
from radar_tasks.scoring.checkpoints import CheckpointOptions, from_model, recognise
from radar_tasks.scoring.engine.batching import next_batch
from radar_tasks.scoring.families import FAMILIES as ENTRIES

DAY = os.environ.get("RADAR_FAMILIES") or str(datetime.datetime.now(datetime.timezone.utc).toordinal())
if DAY in ("all", "entries"):
    OF_THE_DAY = tiny_models.FAMILIES if DAY == "all" else []
else:
    OF_THE_DAY = tiny_models.FAMILIES[int(DAY) % 10 :: 10]
chosen = pytest.mark.parametrize(
    "family",
    sorted({*OF_THE_DAY, *ENTRIES} & {*tiny_models.FAMILIES}),
    ids=lambda name: f"{name}, RADAR_FAMILIES={DAY}",
)
PROMPTS = Path(__file__).parents[2] / "docs" / "prompts.md"


def test_no_type_is_forgotten():
    made = {*tiny_models.FAMILIES, *tiny_models.NOT_MADE}
    assert made >= set(MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES)
    assert not set(tiny_models.FAMILIES) & set(tiny_models.NOT_MADE)


def refusal(folder, config):
    """What a checkpoint is refused with, from its configuration alone; None if it is not."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(config)
    for name in ("tokenizer.json", "processor_config.json"):
        (folder / name).write_text("{}")
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors")
    try:
        recognise(CheckpointOptions(pretrained=str(folder)))
    except CheckpointError as error:
        return str(error)
    return None


@pytest.mark.parametrize("family", sorted(tiny_models.NOT_MADE))
def test_a_type_of_which_no_checkpoint_is_made_is_refused(family, tmp_path):
    assert f"{family} checkpoints cannot be scored here: " in refusal(
        tmp_path / family, f'{{"model_type": "{family}"}}'
    )


def differing():
    """Types whose prompts differ from their processors', by docs/prompts.md."""
    table = PROMPTS.read_text().split("## Where prompts are not the processor's")[-1].split("\n## ")[0]
    return {name for row in re.findall(r"^\| ([^|]+) \|", table, re.M) for name in row.split(", ")}


@chosen
def test_tokens_are_the_processors(family, tmp_path):
    model, processor = tiny_models.make(family)
    if refusal(tmp_path / family, model.config.to_json_string(use_diff=False)):
        return
    compared, different = 0, []
    for question in (question for group in GROUPS for question in asked(group, 3)):
        try:
            wanted = [asked_by_processor(model, processor, question, option) for option in question.options]
        except Exception:  # its processor does not take such a prompt
            continue
        try:
            encoded = from_model(model, processor, prompt_format=prompt_format(family)).encode(question)
        except RadarError:  # refused, which docs/families.md shows
            continue
        for option, want in enumerate(wanted):
            compared += 1
            ids = (*encoded.prefix_ids.tolist(), *encoded.continuations[option].tolist())
            if (ids, encoded.scored[option]) != (want.ids, want.tokens):
                different.append((question.q_id, ids, want.ids))
    assert compared
    assert bool(different) == (family in differing()), different[:1]


@chosen
def test_scored_every_way_as_the_reference_scores(family):
    assert faults(measure(family, count=2)) == []


def test_packed_pictures_keep_to_themselves():
    """MiniCPM-V 4.6 packs pictures along one axis, and those of a pack change each other: each question is alone."""
    made = from_model(*tiny_models.make("minicpmv4_6"))
    questions = asked("several sizes", 6)
    encoded = [made.encode(question) for question in questions]
    assert len({one.vision["pixel_values"].shape for one in encoded}) > 1
    assert all(next_batch(encoded[k:], 6) == [0] for k in range(len(encoded)))
    alone = dict(Scorer(made, scoring="independent").score(questions))
    together = dict(Scorer(made, scoring="shared", batch_size=6).score(questions))
    for k in range(len(questions)):
        assert [s.logprob for s in together[k]] == pytest.approx([s.logprob for s in alone[k]], abs=SHARED_LIMIT)


@pytest.mark.parametrize("family", ["blip-2", "instructblip", "instructblipvideo"])
def test_an_encoder_decoder_within(family):
    """The prompt with the picture's tokens goes into T5's encoder, and its decoder writes the option."""
    model, processor = tiny_models.make(family, t5=True)
    questions = asked("several sizes", 3)
    made = from_model(model, processor)
    assert all(made.encode(question).by_decoder for question in questions)
    expected = {question.q_id: expected_scores(model, processor, question) for question in questions}
    for way in ("independent", "auto"):
        scores = dict(Scorer(made, scoring=way).score(questions))
        assert largest_difference(questions, [scores[k] for k in range(3)], expected) < LIMIT

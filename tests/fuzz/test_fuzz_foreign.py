"""Tasks of others: whatever they hand over as pictures, options and answers, a question or an error of ours."""

import io
from contextlib import suppress
from typing import ClassVar

import numpy as np
from fuzz.mutations import damaged, values
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radar_tasks.errors import QuestionError, RadarError
from radar_tasks.harness.responses import read_response, refusal, to_refusal
from radar_tasks.harness.sds_task import IdentifiedDocs, SDSOfOptions
from radar_tasks.harness.visuals import encoded_visuals
from radar_tasks.questions import VerbatimQuestion
from radar_tasks.scoring.encoding.images import read_image

PICTURE = io.BytesIO()
Image.new("RGB", (9, 6), "red").save(PICTURE, format="PNG")

texts = st.text(max_size=8)
cells = st.one_of(st.none(), texts, st.integers())


@settings(max_examples=cases(200), deadline=None)
@given(st.one_of(values, damaged(PICTURE.getvalue()), st.binary(max_size=40), st.lists(values, max_size=3)))
def test_pictures_are_read_or_refused_by_name(visuals):
    with suppress(QuestionError):
        for k, image in enumerate(encoded_visuals(visuals, "theirs/7")):
            assert read_image(image, "theirs/7", k).mode == "RGB"


@settings(max_examples=cases(100), deadline=None)
@given(
    st.sampled_from(["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "F"]),
    st.integers(1, 9),
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(0, 9)),
)
def test_pictures_in_memory_keep_their_size_and_turn(mode, width, height, orientation):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image = image.convert("P").convert("PA") if mode == "PA" else image.convert(mode)
    if orientation is not None:
        image.getexif()[0x0112] = orientation
    (data,) = encoded_visuals(image, "q")
    read = read_image(data, "q", 0)
    assert read.size == ((height, width) if orientation in (5, 6, 7, 8) else (width, height))


class Theirs:
    """A harness's task around one document."""

    OUTPUT_TYPE, multiple_input = "multiple_choice", 0

    def __init__(self, *_):
        pass

    def doc_to_choice(self, doc):
        return doc["choices"]

    def doc_to_target(self, doc):
        return doc["target"]


class Task(SDSOfOptions, Theirs):
    METRICS: ClassVar = {}

    def records(self, document, results):
        return document

    def _texts_only(self):
        return self.documents


@settings(max_examples=cases(200), deadline=None)
@given(st.lists(st.one_of(texts, st.integers(), st.none()), max_size=4), st.one_of(values, st.integers(-3, 5), texts))
def test_options_and_answers_fit_or_are_told(choices, target):
    task = Task(config={"task": "theirs"})
    with suppress(RadarError):
        question = task.process_results({"choices": choices, "target": target}, [])
        assert question["options"] == [str(choice) for choice in choices]
        assert 0 <= question["answer"] < len(choices) >= 2
        assert all(question["options"])


@settings(max_examples=cases(100), deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(["id", "question_id", "x"]), st.one_of(st.none(), texts, st.integers())))
)
def test_names_are_unique(documents):
    task = Task(config={"task": "theirs"})
    task.documents = documents
    names = [doc.q_id for doc in IdentifiedDocs(documents, task._q_ids)]
    assert len(set(names)) == len(names) == len(documents)
    assert all(names)


@settings(max_examples=cases(200), deadline=None)
@given(texts, texts, st.lists(texts, max_size=4))
def test_a_verbatim_question_has_options_or_is_none(text, joiner, options):
    with suppress(QuestionError):
        question = VerbatimQuestion("q", "s", text, joiner, tuple(options), (), "q")
        assert all(question.options)


@settings(max_examples=cases(200), deadline=None)
@given(st.text())
def test_a_refusal_survives_and_a_response_is_none(reason):
    assert refusal([to_refusal(reason)] * 2) == reason
    with suppress(RadarError):
        read_response(reason, "here")
        assert refusal([reason]) is None

"""The questions of the page: probabilities, pictures once, honest samples."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from radar_report_pages import picture, questions_of, store, write_results

from radar_tasks.report import gallery as module
from radar_tasks.report.gallery import gallery
from radar_tasks.report.source_page import data_address
from radar_tasks.results import find_runs


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))


def rising(question, k):
    return 0.2 + 0.3 * k


def made(tmp_path, **more):
    return gallery(find_runs([tmp_path / "results"]), np.random.default_rng(0), **more)


def test_every_question_has_its_probabilities_at_every_checkpoint_and_its_picture_once(tmp_path):
    questions = questions_of("wiki_animal", 10)
    write_results(tmp_path / "results", {"wiki_animal": questions}, rising)
    shown = made(tmp_path)
    assert len(shown.questions) == shown.total == 10
    assert len(shown.images) == 5
    assert shown.notes == []
    for row, question in zip(shown.questions, questions, strict=True):
        source, q_id, category, text, images, options, answer, probabilities, prompt = row
        assert prompt == f"Question {question.q_id}?"  # as logged, where it is not the question's own text
        assert (source, q_id, category, tuple(text)) == (0, question.q_id, question.category, question.text)
        assert (tuple(options), answer) == (question.options, question.answer)
        assert [p[answer] for p in probabilities] == [200, 500, 800]
        assert all(sum(p) == 1000 for p in probabilities)
        assert base64.b64decode(shown.images[images[0]].split(",")[1]) == question.images[0]


def test_a_page_that_would_be_too_large_shows_a_random_part_of_every_source_and_says_so(tmp_path):
    sources = {name: questions_of(name, 30) for name in ("wiki_animal", "spatial")}
    write_results(tmp_path / "results", sources, rising, steps=(100,))
    shown = made(tmp_path, budget=5_000)
    assert 4 < len(shown.questions) < 40
    counts = np.bincount([row[0] for row in shown.questions])
    assert abs(counts[0] - counts[1]) <= 1
    assert f"{len(shown.questions)} of 60 questions are shown: a random part" in shown.notes[0]
    assert len(str(shown.plain())) < 8_000
    assert made(tmp_path, budget=5_000) == shown


def test_large_pictures_become_previews(monkeypatch):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (900, 600, 3), dtype=np.uint8))
    into = io.BytesIO()
    noise.save(into, "PNG")
    kind, data = module._preview(into.getvalue())
    assert kind == "webp"
    assert max(Image.open(io.BytesIO(data)).size) == module.PREVIEW_SIDE
    small = picture((1, 2, 3))
    assert module._preview(small) == ("png", small)
    tiff = picture((1, 2, 3), kind="TIFF")
    assert module._preview(tiff)[0] == "webp"


def test_a_picture_of_16_bits_is_no_white_one():
    into = io.BytesIO()
    Image.fromarray(np.linspace(2_000, 65_535, 64).astype(np.uint16).reshape(8, 8)).save(into, "TIFF")
    address = base64.b64decode(data_address(into.getvalue(), None).partition(",")[2])
    for shown in (address, module._preview(into.getvalue())[1]):
        assert Image.open(io.BytesIO(shown)).convert("L").getextrema()[0] < 16


def test_a_preview_is_turned_as_the_camera_says(monkeypatch):
    monkeypatch.setattr(module, "SMALL_IMAGE", 0)
    turned = Image.Exif()
    turned[274] = 6
    into = io.BytesIO()
    Image.new("RGB", (60, 20)).save(into, "JPEG", exif=turned)
    assert Image.open(io.BytesIO(module._preview(into.getvalue())[1])).size == (20, 60)


def test_without_the_data_the_prompt_is_shown_and_it_says_how_to_get_pictures(tmp_path, monkeypatch):
    write_results(tmp_path / "results", {"wiki_animal": questions_of("wiki_animal", 6)}, rising)
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "elsewhere"))
    shown = made(tmp_path)
    assert shown.images == []
    assert shown.questions[0][3] == ["Question wiki_animal-0000?"]
    assert "radar data" in shown.notes[0]


def test_pictures_of_another_version_of_the_data_are_not_shown(tmp_path):
    write_results(tmp_path / "results", {"wiki_animal": questions_of("wiki_animal", 6)}, rising)
    store(questions_of("wiki_animal", 8))
    shown = made(tmp_path)
    assert shown.images == []
    assert "another version" in shown.notes[0]


def test_a_run_that_lacks_a_question_has_none(tmp_path):
    sources = {name: questions_of(name, 4) for name in ("wiki_animal", "spatial")}
    write_results(tmp_path / "results" / "a", sources, rising, steps=(100,))
    write_results(
        tmp_path / "results" / "b", {"spatial": sources["spatial"]}, rising, steps=(200,), experiment="c/other"
    )
    shown = made(tmp_path)
    lacking = [row for row in shown.questions if None in row[7]]
    assert len(shown.questions) == 8
    assert {row[0] for row in lacking} == {[s["name"] for s in shown.sources].index("wiki_animal")}

"""Every recipe on a few rows made here in the real data set's columns."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources.benchmark import BenchmarkSource
from radar_tasks.sources.benchmark_files import HubDataset
from radar_tasks.sources.benchmark_recipes import benchmark_recipes


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (6, 5), (shade, 0, 0)).save(out, "PNG")
    return out.getvalue()


def picture(shade: int) -> dict:
    return {"bytes": png(shade), "path": f"{shade}.png"}


def choices(letters: str = "abcd") -> dict:
    return {f"choice_{letter}": f"choice {letter}" for letter in letters}


# By recipe: the data set's rows; then question, options, place of the answer and category of each that is taken.
Case = tuple[list[dict], list[tuple[str, tuple[str, ...], int, str]]]
ABCD = tuple(f"choice {letter}" for letter in "abcd")
MMSTAR = (
    "Which option describe the relation?\n"
    "Options: A: The suitcase is on the book., B: The suitcase is beneath the cat., C: Neither., D: Both."
)
MATHVERSE = {
    "problem_index": "1",
    "image": picture(1),
    "answer": "D",
    "query_wo": "…",
    "query_cot": "…",
    "question_for_eval": "…",
    "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry", "subfield": "Angle"},
}
MATHVERSE_TEXT = "As shown, angle 2 is ()\nChoices:\nA:35°\nB:40°\nC:45°\nD:50°"
MMMU = {f"image_{k}": None for k in range(3, 8)} | {
    "explanation": "",
    "img_type": "['Tables']",
    "topic_difficulty": "Easy",
    "subfield": "Managerial Accounting",
    "question_type": "multiple-choice",
}

CASES: dict[str, Case] = {
    "mmbench_options": (
        [
            {"index": k, "question": "Which?", "hint": hint, "answer": "B", "A": "x", "B": "y", "C": "nan", "D": "nan"}
            | {"category": "ocr", "image": picture(1), "source": "s", "L2-category": "l", "comment": "", "split": "dev"}
            for k, hint in ((1, "nan"), (2, "Look."), (1_000_001, "nan"))
        ],
        [("Which?", ("x", "y"), 1, "ocr"), ("Look.\nWhich?", ("x", "y"), 1, "ocr")],
    ),
    "seedbench": (
        [
            {"answer": "D", "data_id": "1", "data_type": kind, "question": "How many?", "question_id": f"10{k}"}
            | choices()
            | {"question_type_id": 5, "image": [picture(k)], "segment": None}
            for k, kind in enumerate(("image", "video"))
        ],
        [("How many?", ABCD, 3, "5")],
    ),
    "seedbench_2": (
        [
            {"answer": "A", "data_id": ["1"], "data_type": kind, "question": "How <img> many?", "question_id": f"1{k}"}
            | choices()
            | {"question_type_id": 1, "image": [picture(k)], "level": "L1", "subpart": "s", "version": "1"}
            for k, kind in enumerate(("Single Image", "Multiple Images"))
        ],
        [("How <img> many?", ABCD, 0, "1")],
    ),
    "mmstar": (
        [
            {"index": 0, "question": MMSTAR, "image": picture(1), "answer": "B", "category": "coarse perception"}
            | {"l2_category": "image scene", "meta_info": {"source": "MMBench", "split": "val"}, "bench": "MMBench"}
        ],
        [
            (
                "Which option describe the relation?",
                ("The suitcase is on the book.", "The suitcase is beneath the cat.", "Neither.", "Both."),
                1,
                "coarse perception",
            )
        ],
    ),
    "scienceqa_img": (
        [
            {"image": image, "question": "Which?", "choices": ["west", "east"], "answer": k % 2, "hint": hint}
            | {"task": "closed choice", "grade": "grade2", "subject": "social science", "topic": "geography"}
            | {"category": "Geography", "skill": "Read a map", "lecture": "Maps …", "solution": "…"}
            for k, (image, hint) in enumerate(((picture(1), ""), (picture(2), "A map."), (None, "")))
        ],
        [
            ("Which?", ("west", "east"), 0, "social science"),
            ("A map.\nWhich?", ("west", "east"), 1, "social science"),
        ],
    ),
    "ai2d": (
        [{"question": "Who eats?", "options": ["owl", "mouse", "hawk"], "answer": "2", "image": picture(1)}],
        [("Who eats?", ("owl", "mouse", "hawk"), 2, "")],
    ),
    "realworldqa": (
        [
            {"image": picture(1), "image_path": "1.webp", "question": question, "answer": answer}
            for question, answer in (
                (
                    "Which way?\n\nA. Left\nB. Straight\nC. Right\nPlease answer directly with only the letter of the "
                    "correct option and nothing else.",
                    "C",
                ),
                ("How many lanes?\nPlease answer directly with a single word or number.", "3"),
            )
        ],
        [("Which way?", ("Left", "Straight", "Right"), 2, "")],
    ),
    "blink": (
        [
            {"idx": "val_Counting_1", "sub_task": "Counting", "question": "How many?", "image_1": picture(1)}
            | {"image_2": picture(2), "image_3": None, "image_4": None, "choices": ["0", "1", "2", "3"]}
            | {"answer": "(C)", "prompt": "How many?\nSelect from …", "explanation": "…"}
        ],
        [("How many?", ("0", "1", "2", "3"), 2, "Counting")],
    ),
    "mmvp": (
        [
            {"Index": 1, "Question": "Are the wings open?", "Options": "(a) Open (b) Closed", "Correct Answer": "(b)"}
            | {"image": picture(1)}
        ],
        [("Are the wings open?", ("Open", "Closed"), 1, "")],
    ),
    "cv_bench": (
        [
            {"idx": 0, "type": "2D", "task": "Count", "image": picture(1), "question": "How many organs?"}
            | {"choices": ["3", "2", "1", "0"], "answer": "(D)", "prompt": "…", "filename": "img/2D/1.png"}
            | {"source": "ADE20K", "source_dataset": "ADE20K", "source_filename": "1.jpg", "target_class": None}
        ],
        [("How many organs?", ("3", "2", "1", "0"), 3, "Count")],
    ),
    "mmmu": (
        [
            MMMU
            | {
                "id": "validation_Accounting_1",
                "question": "<image 1> Which?",
                "options": "['$6', '$7']",
                "answer": "B",
            }
            | {"image_1": picture(1), "image_2": None},
            MMMU
            | {"id": "validation_Accounting_2", "question": "<image 1> How much?", "options": "[]", "answer": "7"}
            | {"image_1": picture(1), "image_2": None, "question_type": "open"},
            MMMU
            | {"id": "validation_Art_1", "question": "Which?", "options": "['<image 1>', '<image 2>']", "answer": "A"}
            | {"image_1": picture(1), "image_2": picture(2)},
        ],
        [
            ("| Which?", ("$6", "$7"), 1, "Managerial Accounting"),
            ("Which? A. | B. | Please select the correct option: ", ("A", "B"), 0, "Managerial Accounting"),
        ],
    ),
    "mathvision": (
        [
            {"id": "1", "question": "How long is it? <image1>", "options": ["1", "2", "3"], "image": "images/1.jpg"}
            | {"decoded_image": picture(1), "answer": "C", "solution": None, "level": 2, "subject": "metric geometry"},
            {"id": "2", "question": "How long? <image1>", "options": [], "image": "images/2.jpg"}
            | {"decoded_image": picture(2), "answer": "18", "solution": None, "level": 2, "subject": "counting"},
        ],
        [("How long is it? |", ("1", "2", "3"), 2, "metric geometry")],
    ),
    "mathverse": (
        [
            MATHVERSE
            | {"sample_index": "1", "problem_version": "Text Dominant", "question": MATHVERSE_TEXT}
            | {"question_type": "multi-choice"},
            MATHVERSE
            | {"sample_index": "2", "problem_version": "Vision Only", "question": "", "question_type": "multi-choice"},
            MATHVERSE
            | {
                "sample_index": "3",
                "problem_version": "Text Lite",
                "question": "Find x.",
                "question_type": "free-form",
            },
        ],
        [("As shown, angle 2 is ()", ("35°", "40°", "45°", "50°"), 3, "Text Dominant")],
    ),
    "whatsup": (
        [{"image_path": "data/1.png", "caption_options": ["A mug on a table", "A mug under a table"]}],
        [("The image shows", ("A mug on a table", "A mug under a table"), 0, "")],
    ),
    "vsr": (
        [
            {"image": "1.png", "image_link": "…", "caption": "The cat is left of the dog.", "label": label}
            | {"relation": "left of", "annotator_id": 1, "vote_true_validator_id": [2], "vote_false_validator_id": []}
            for label in (1, 0)
        ],
        [
            ("The cat is left of the dog. Is this true or false?", ("False", "True"), 1, "left of"),
            ("The cat is left of the dog. Is this true or false?", ("False", "True"), 0, "left of"),
        ],
    ),
    "pope": (
        [
            {"id": str(k), "question_id": str(k), "question": "Is there a dog?", "answer": answer}
            | {"image_source": "COCO_1", "image": picture(1), "category": "adversarial"}
            for k, answer in enumerate(("yes", "no"))
        ],
        [
            ("Is there a dog?", ("Yes", "No"), 0, "adversarial"),
            ("Is there a dog?", ("Yes", "No"), 1, "adversarial"),
        ],
    ),
}


def copy_of(name: str, folder: Path) -> Path:
    """The case as a copy of the repository on the Hub, or as the authors' own file where it is not there."""
    recipe, rows = benchmark_recipes()[name], CASES[name][0]
    (folder / "data").mkdir(parents=True)
    for file in ("data/1.png", "1.png"):
        (folder / file).write_bytes(png(1))
    if name == "whatsup":
        (folder / "controlled_images_dataset.json").write_text(json.dumps(rows))
        return folder / "controlled_images_dataset.json"
    if name == "vsr":
        (folder / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return folder
    for k, config in enumerate(recipe.configs or ("data",)):
        (folder / config).mkdir(exist_ok=True)
        here = rows if name != "blink" or config == "Counting" else [rows[0] | {"idx": f"{config}_{k}"}]
        pq.write_table(pa.Table.from_pylist(here), folder / config / f"{recipe.split}-00000-of-00001.parquet")
    return folder


def source_of(name: str, folder: Path) -> BenchmarkSource:
    recipe, place = benchmark_recipes()[name], copy_of(name, folder)
    part = {} if place.is_file() else {"configs": recipe.configs, "split": recipe.split}
    return BenchmarkSource(name, str(place), recipe.settings(), **part)


def test_every_recipe_has_a_case_and_there_are_twelve():
    assert set(CASES) == set(benchmark_recipes())
    assert len(CASES) >= 12
    assert {recipe.ability for recipe in benchmark_recipes().values()} == {"perception", "reasoning"}


@pytest.mark.parametrize("name", CASES)
def test_a_recipe(name, tmp_path):
    recipe, expected = benchmark_recipes()[name], CASES[name][1]
    found = list(source_of(name, tmp_path / "copy").read())
    assert not [item.reasons for item in found if not isinstance(item, Question) and item.reasons]
    questions = [item for item in found if isinstance(item, Question)]
    if name == "blink":
        assert [question.category for question in questions] == list(recipe.configs)
        questions = [question for question in questions if question.category == "Counting"]
        assert questions[0].images == (png(1), png(2))
    assert [("|".join(q.text), q.options, q.answer, q.category) for q in questions] == expected
    assert {(q.ability, q.task, q.source) for q in questions} == {(recipe.ability, recipe.task, name)}
    assert all(question.images for question in questions)


@pytest.mark.parametrize("name", ["ai2d", "pope", "blink"])
def test_a_data_set_is_streamed_as_a_copy_of_it_is_read(name, tmp_path):
    """`datasets` is asked for the copy as it would be for the name on the Hub."""
    recipe, folder = benchmark_recipes()[name], copy_of(name, tmp_path / "copy")
    if name == "blink":
        configs = [{"config_name": c, "data_files": [{"split": "val", "path": f"{c}/*"}]} for c in recipe.configs]
        (folder / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n")
    stored = source_of(name, tmp_path / "other")
    streamed = HubDataset(str(folder), recipe.configs, recipe.split)
    assert set(streamed.columns) == set(stored._records.columns)
    wanted = {"question", "answer", "config"}
    expected = [dict(record.values) for record in stored._records.records(wanted)]
    assert [dict(record.values) for record in streamed.records(wanted)] == expected
    whole = [record.values for record in streamed.records()]
    assert all(values["image_1" if name == "blink" else "image"]["bytes"] == png(1) for values in whole)


def test_a_recipe_of_a_data_set_that_has_changed_says_what_is_missing(tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    pq.write_table(pa.table({"question": ["x"], "gold": ["A"]}), folder / "test.parquet")
    recipe = benchmark_recipes()["ai2d"]
    with pytest.raises(DataError, match="no column 'options', 'answer', 'image'; there are question, gold"):
        BenchmarkSource("ai2d", str(folder), recipe.settings(), split="test")


def test_recipes_say_where_they_come_from() -> None:
    check: Callable[[str], bool] = lambda text: bool(text) and text.isprintable()  # noqa: E731
    for name, recipe in benchmark_recipes().items():
        assert all(map(check, (recipe.title, recipe.licence, recipe.task))), name
        assert "/" in recipe.dataset
        assert "://" not in recipe.homepage

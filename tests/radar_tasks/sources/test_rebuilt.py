"""The public sources rebuilt, on small data sets with the columns of lmms-eval's own tasks."""

from __future__ import annotations

import contextlib
import io

import datasets
import pytest
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources import distractors
from radar_tasks.sources.rebuilt import RECIPES, PublicSource
from radar_tasks.sources.source_reader import STAND_IN


def picture(shade: int, kind: str = "PNG") -> dict:
    encoded = io.BytesIO()
    Image.new("RGB", (8, 6), (shade, 0, 0)).save(encoded, kind)
    return {"bytes": encoded.getvalue(), "path": None}


def saved(tmp_path, rows: list[dict], pictures: tuple[str, ...], lists: tuple[str, ...] = ()) -> str:
    data = datasets.Dataset.from_list(rows)
    for column in pictures:
        feature = datasets.Image()
        data = data.cast_column(column, datasets.List(feature) if column in lists else feature)
    folder = str(tmp_path / "data")
    data.save_to_disk(folder)
    return folder


def rebuilt(source: str, folder: str) -> list:
    return list(PublicSource(source, folder).read())


# --- MMBench ----------------------------------------------------------------------------------------------------------


def mmbench_row(index: int, **changes) -> dict:
    return {
        "index": str(index),
        "question": "Which one is it?",
        "hint": "nan",
        "answer": "C",
        "A": "red",
        "B": "green",
        "C": "blue",
        "D": "nan",
        "category": "attribute_recognition",
        "image": picture(index % 256),
        "source": "s",
        "L2-category": "l",
        "comment": "nan",
        "split": "dev",
    } | changes


def test_mmbench(tmp_path):
    rows = [mmbench_row(k) for k in range(40)] + [mmbench_row(40, hint="Look well.", D="grey")]
    rows += [mmbench_row(1_000_000), mmbench_row(3)]  # a rotated copy, and one that comes twice
    found = rebuilt("mmbench", saved(tmp_path, rows, ("image",)))
    assert [q.q_id for q in found] == [f"attribute_recognition/{k}" for k in range(41)]
    assert all(isinstance(q, Question) for q in found)
    assert {q.options[q.answer] for q in found} == {"blue"}
    assert {q.options[1 - q.answer] for q in found} >= {"red", "green"}  # chosen, and never `nan`
    assert not any("nan" in q.options for q in found)
    assert found[0].text == ("Which one is it?",)
    assert found[40].text == ("Look well. Which one is it?",)
    assert found[7].images == (picture(7)["bytes"],)
    assert {q.category for q in found} == {"attribute_recognition"}
    assert all("wrong options" in q.rule and not q.rule.startswith(STAND_IN) for q in found)


def test_a_choice_does_not_depend_on_the_other_rows(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    all_rows = [mmbench_row(k) for k in range(20)]
    full = {q.q_id: q for q in rebuilt("mmbench", saved(tmp_path / "a", all_rows, ("image",)))}
    part = rebuilt("mmbench", saved(tmp_path / "b", all_rows[::-3], ("image",)))
    assert part == [full[q.q_id] for q in part]


def test_rows_that_are_not_as_expected_are_told(tmp_path):
    rows = [
        mmbench_row(0, answer="D"),
        mmbench_row(1, answer="E"),
        mmbench_row(2) | {"index": "x"},
        mmbench_row(3, A="nan", B="nan"),
        mmbench_row(4, image=None),
        mmbench_row(5, image={"bytes": b"no picture", "path": None}),
    ]
    found = rebuilt("mmbench", saved(tmp_path, rows, ("image",)))
    assert len(found) == 6
    assert not any(isinstance(q, Question) for q in found)
    assert "row 0" in found[0].file
    assert "image image is missing" in found[4].reasons
    assert "not a picture" in found[5].reasons[0]


# --- MathVista --------------------------------------------------------------------------------------------------------


def mathvista_row(pid: int, **changes) -> dict:
    return {
        "pid": str(pid),
        "question": "What is x?",
        "image": f"images/{pid}.jpg",
        "decoded_image": picture(pid, "JPEG"),
        "choices": None,
        "unit": None,
        "precision": 1.0,
        "answer": "12",
        "question_type": "free_form",
        "answer_type": "integer",
        "metadata": {"split": "testmini"},
    } | changes


def test_mathvista(tmp_path):
    rows = [
        mathvista_row(1),
        mathvista_row(2, answer="1.45", answer_type="float", unit="cm"),
        mathvista_row(
            3, answer="Yes", choices=["Yes", "No"], question_type="multi_choice", answer_type="text", unit="nan"
        ),
        mathvista_row(4, answer="[1, 2]", answer_type="list"),
        mathvista_row(5, answer="blue", answer_type="text"),
    ]
    integer, decimal, choice, several, broken = rebuilt("mathvista", saved(tmp_path, rows, ("decoded_image",)))
    assert set(integer.options) in ({"12", "11"}, {"12", "13"})
    assert set(decimal.options) in ({"1.45", "1.35"}, {"1.45", "1.55"})
    assert decimal.text == ("What is x? (Unit: cm)",)
    assert choice.text == ("What is x?",)
    assert set(choice.options) == {"Yes", "No"}
    assert choice.options[choice.answer] == "Yes"
    assert several.options[several.answer] == "[1, 2]"
    assert several.rule.startswith(STAND_IN)
    assert not isinstance(broken, Question)
    assert integer.images == (picture(1, "JPEG")["bytes"],)
    assert (integer.ability, integer.task) == ("reasoning", "Mathematical reasoning")


# --- SeePhys ----------------------------------------------------------------------------------------------------------


def test_seephys(tmp_path):
    answers = ["3 N", "upward", "mgh", "blue", ""]
    rows = [
        {
            "index": k,
            "question": f"Find it {k}.",
            "answer": answer,
            "images": [picture(k), picture(k + 100)][: 1 + k % 2],
            "subject": "M",
            "language": "English",
            "level": 1,
            "sig_figs": "3",
        }
        for k, answer in enumerate(answers)
    ]
    found = rebuilt("seephys", saved(tmp_path, rows, ("images",), ("images",)))
    number, word, formula, _, broken = found
    assert number.options[1 - number.answer] in ("2 N", "4 N")
    assert set(word.options) == {"upward", "downward"}
    assert formula.options[formula.answer] == "mgh"
    assert [len(q.images) for q in found[:4]] == [1, 2, 1, 2]
    assert word.images == (picture(1)["bytes"], picture(101)["bytes"])
    assert all(q.rule.startswith(STAND_IN) for q in found[:4])
    assert not isinstance(broken, Question)


# --- MMMU-Pro ---------------------------------------------------------------------------------------------------------


def mmmu_row(number: int, **changes) -> dict:
    return {
        "id": f"test_Art_{number}",
        "question": "Compare <image 2> with <image 1>.",
        "options": "['red', 'green', 'blue', \"it's black\"]",
        "explanation": "",
        **{f"image_{k}": picture(10 * number + k) if k < 4 else None for k in range(1, 8)},
        "img_type": "[]",
        "answer": "D",
        "topic_difficulty": "Easy",
        "subject": "Art_Theory",
    } | changes


def test_mmmu_pro(tmp_path):
    shown = "['<image 2>', '<image 3>', 'none', 'both']"
    rows = [
        mmmu_row(0),
        mmmu_row(1, question="Which follows <image 1>?", options=shown, answer="A"),
        mmmu_row(2, question="See <image 7>."),
        mmmu_row(3, options="not a list"),
        mmmu_row(4, options="['a', __import__('os').getcwd()]"),
    ]
    images = tuple(f"image_{k}" for k in range(1, 8))
    plain, lettered, missing, broken, code = rebuilt("mmmu_pro", saved(tmp_path, rows, images))
    assert plain.text == ("Compare ", " with ", ".")
    assert plain.images == (picture(2)["bytes"], picture(1)["bytes"])
    assert plain.options[plain.answer] == "it's black"
    assert plain.category == "Art_Theory"
    assert lettered.options == ("A", "B")
    assert "Please select the correct option: " in lettered.text[-1]
    assert lettered.images[0] == picture(11)["bytes"]
    # The letter of the answer stands before the answer's picture.
    place = lettered.images.index(picture(12)["bytes"])
    assert lettered.text[place].endswith(f"{'AB'[lettered.answer]}. ")
    assert "image image_7 is missing" in missing.reasons
    assert not isinstance(broken, Question)
    assert not isinstance(code, Question)


# --- where data sets come from ----------------------------------------------------------------------------------------


def test_other_columns_are_told(tmp_path):
    datasets.Dataset.from_list([{"a": 1}]).save_to_disk(str(tmp_path / "data"))
    with pytest.raises(DataError, match=r"has no columns.*category.*it has a"):
        PublicSource("mmbench", str(tmp_path / "data"))


def test_a_dictionary_of_splits_and_files_that_datasets_loads_do_too(tmp_path):
    data = datasets.Dataset.from_list([mathvista_row(1)]).cast_column("decoded_image", datasets.Image())
    datasets.DatasetDict({"testmini": data, "test": data}).save_to_disk(str(tmp_path / "splits"))
    assert len(PublicSource("mathvista", str(tmp_path / "splits"))) == 1
    (tmp_path / "files").mkdir()
    data.to_parquet(tmp_path / "files" / "testmini-00000-of-00001.parquet")
    assert rebuilt("mathvista", str(tmp_path / "files")) == rebuilt("mathvista", str(tmp_path / "splits"))


def test_what_cannot_be_had_is_told_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="--from FOLDER"):
        PublicSource("seephys", "nobody/nothing-of-the-kind")
    with pytest.raises(DataError, match="radar data download"):
        PublicSource("wiki_animal")


def test_the_recipes_are_those_of_the_catalogue():
    from radar_tasks.sources.catalogue import PUBLISHED

    assert set(RECIPES) == {name for name, source in PUBLISHED.items() if source.public}


# --- distractors ------------------------------------------------------------------------------------------------------


@settings(max_examples=cases(100), deadline=None)
@given(st.text(max_size=5), st.decimals(-(10**6), 10**6, places=2) | st.integers(-(10**6), 10**6))
def test_a_shifted_number_is_off_by_one_step_and_keeps_its_form(q_id, number):
    made = distractors.shifted_number(q_id, str(number))
    step = 0.1 if "." in str(number) else 1
    assert abs(abs(float(made.text) - float(number)) - step) < 1e-6
    assert len(made.text.partition(".")[2]) == len(str(number).partition(".")[2])
    if number > 0 and float(number) > step:
        assert float(made.text) > 0


@pytest.mark.parametrize("text", ["", "blue", "1/2", "1e5", "nan", "٣"])
def test_what_is_no_number_is_not_shifted(text):
    with pytest.raises(ValueError, match="not a number"):
        distractors.shifted_number("q", text)


@pytest.mark.parametrize(
    ("answer", "possible"),
    [
        ("3 N", {"2 N", "4 N"}),
        (r"$v_1^2$", {r"$2(v_1^2)$"}),
        (
            r"$6.63\times 10^{-34}$",
            {r"$6.53\times 10^{-34}$", r"$6.73\times 10^{-34}$"} | {r"$6.63\times 9^{-34}$", r"$6.63\times 11^{-34}$"},
        ),
        ("1.5e-34 J", {"1.4e-34 J", "1.6e-34 J"}),
        ("(1) 3 m", {"(1) 2 m", "(1) 4 m"}),
        ("1,000 m", {"999 m", "1,001 m"}),
        (r"$A\sin\theta$", {r"$A\cos\theta$"}),
        ("To the Left", {"To the Right"}),
        ("$m_1 + m_2$", {"$m_1 - m_2$"}),
        ("$F = ma$", {"$F = 2(ma)$"}),
        ("electron", {"neutron"}),
        ("using", {"neutron"}),  # `sin` inside a word is no function
    ],
)
def test_expressions_are_changed_where_they_can_be(answer, possible):
    made = distractors.changed_expression("q", answer, ["electron", "neutron"] if answer != "using" else ["neutron"])
    assert made.text in possible
    assert made.rule.startswith(STAND_IN)


@settings(max_examples=cases(100), deadline=None)
@given(st.text(max_size=30), st.lists(st.text(max_size=5), max_size=3))
def test_any_answer_gets_a_wrong_option_or_an_error_of_ours(answer, others):
    with contextlib.suppress(ValueError):
        made = distractors.changed_expression("q", answer, others)
        assert made.text != answer
        assert made.text.strip()

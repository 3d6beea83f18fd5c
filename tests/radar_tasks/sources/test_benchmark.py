"""Public benchmarks in every shape they come in, and back again to the character."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import io
import json
import re
import tracemalloc
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz.mutations import damaged, spoiled
from fuzzing import cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from radar_tasks.errors import DataError, RadarError
from radar_tasks.questions import Question
from radar_tasks.sources.answer_conventions import AnswerColumn
from radar_tasks.sources.benchmark import BenchmarkSettings, BenchmarkSource
from radar_tasks.sources.benchmark_columns import given_columns, recognised_columns
from radar_tasks.sources.option_lists import lettered_options, options_in_list
from radar_tasks.sources.source_reader import Rejected
from radar_tasks.store import Origin, QuestionTable, SourceWriter
from radar_tasks.store.exchange import write_parquet, write_vlmevalkit


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (6, 5), (shade % 256, shade // 256, 0)).save(out, "PNG")
    return out.getvalue()


def coded(shade: int) -> str:
    return base64.b64encode(png(shade)).decode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("benchmark")
    (folder / "p.png").write_bytes(png(7))
    return folder


def jsonl(folder: Path, rows: list[dict], name: str = "t.jsonl") -> Path:
    path = folder / name
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def parquet(folder: Path, rows: list[dict], name: str = "t.parquet") -> Path:
    pq.write_table(pa.Table.from_pylist(rows), folder / name)
    return folder / name


def read(path: Path | str, **values) -> list[Question | Rejected]:
    place = {name: values.pop(name) for name in ("configs", "split") if name in values}
    return list(BenchmarkSource("mine", str(path), BenchmarkSettings(**values), **place).read())


def questions(path: Path | str, **values) -> list[Question]:
    found = read(path, **values)
    assert all(isinstance(question, Question) for question in found), found
    return found


ROW = {"id": "a", "question": "Which is it?", "options": ["red", "green", "blue"], "answer": "B", "image": "p.png"}


# --- Options ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        ["red", "green", "blue"],
        "['red', 'green', 'blue']",
        '["red", "green", "blue"]',
        {"A": "red", "B": "green", "C": "blue"},
        {"text": ["red", "green", "blue"], "label": ["A", "B", "C"]},
        "(a) red (b) green (c) blue",
        "A. red\nB. green\nC. blue",
    ],
)
def test_options_of_every_shape(folder, options):
    (question,) = questions(jsonl(folder, [ROW | {"options": options}]))
    assert question.options == ("red", "green", "blue")
    assert question.options[question.answer] == "green"
    assert question.images == (png(7),)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("red or green", "is not a list of options: 'red or green'"),
        ({"B": "red", "C": "green"}, "has the keys 'B', 'C'"),
        ([["red"], "green"], "option 0 is"),
        ([True, "green"], "option 0 is 'True', not a text"),
        (["red"], "at least two"),
        (["red", "red", "blue"], "repeats option 0"),
        (["red", "gr\0een"], "option 1 holds a null byte"),
        ("[" * 5000 + "]" * 5000, "is not a list of options"),
    ],
)
def test_options_that_are_none(folder, options, told):
    bad, sound = read(jsonl(folder, [ROW | {"id": "b", "options": options, "answer": "A"}, ROW]))
    assert told in "; ".join(bad.reasons)
    assert len("".join(bad.reasons)) < 500
    assert isinstance(sound, Question)


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        ("Which?\nA. x\nB. y\nC. z\nPlease answer directly with only the letter.", "Which?", ["x", "y", "z"]),
        (
            "Which?\nOptions: A: on the book., B: beneath, left., C: no",
            "Which?",
            ["on the book.", "beneath, left.", "no"],
        ),
        ("Which?\nChoices:\nA:25°\nB:30°", "Which?", ["25°", "30°"]),
        ("In picture A. Which is B?\n(A) one (B) two", "In picture A. Which is B?", ["one", "two"]),
        ("Which?\nA) Vitamin A. only\nB) none", "Which?", ["Vitamin A. only", "none"]),
    ],
)
def test_options_in_the_text_of_a_question(text, question, options):
    assert lettered_options(text) == (question, options)


@pytest.mark.parametrize("text", ["How many?", "Is it A. or C.?", "", "a" * 100_000, "A. one"])
def test_a_text_without_options(text):
    assert lettered_options(text) is None


def test_options_stay_in_the_text_unless_asked(folder):
    row = {"question": "Which?\nA. x\nB. y", "A": "x", "B": "y", "answer": "A"}
    (kept,) = questions(jsonl(folder, [row]))
    assert kept.text == ("Which?\nA. x\nB. y",)
    rows = [{"question": "Which?\nA. x\nB. y", "answer": "B"}, {"question": "How many?", "answer": "3"}]
    taken, open_question = read(jsonl(folder, rows), options_in_question=True)
    assert (taken.text, taken.options, taken.answer) == (("Which?",), ("x", "y"), 1)
    assert open_question.left_out == "an open question: no lettered options in its text"
    with pytest.raises(DataError, match="--options-in-question"):
        read(jsonl(folder, rows))


# --- Answers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "right", "convention"),
    [
        (["A", "b", "(C)", "B."], [0, 1, 2, 1], "letter"),
        ([0, 1, 2, 0], [0, 1, 2, 0], "index0"),
        (["1", "2", "3", "3"], [0, 1, 2, 2], "index1"),
        (["red", "Green", " blue", "red"], [0, 1, 2, 0], "text"),
        ([["A"], ["B"], ["C"], ["A"]], [0, 1, 2, 0], "letter"),
    ],
)
def test_the_reading_of_answers_is_told_from_the_whole_column(folder, answers, right, convention):
    rows = [ROW | {"id": str(k), "answer": answer} for k, answer in enumerate(answers)]
    path = jsonl(folder, rows)
    assert [question.answer for question in questions(path)] == right
    assert f"answer:   'answer', read as {'letters' if convention == 'letter' else ''}" in "\n".join(
        BenchmarkSource("mine", str(path), BenchmarkSettings()).recognised()
    )
    others = {"index0", "index1"} - {convention}
    assert [q.answer for q in questions(path, answer_as=convention)] == right
    for other in others:
        assert [q.answer if isinstance(q, Question) else None for q in read(path, answer_as=other)] != right


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        ([1, 2, 1], ["red", "green", "blue"]),  # 0-based or 1-based
        (["1", "2"], ["2", "1", "0"]),
        (["A", "B"], ["B", "A"]),  # a letter or a text
    ],
)
def test_two_readings_are_refused(folder, answers, options):
    rows = [ROW | {"id": str(k), "answer": answer, "options": options} for k, answer in enumerate(answers)]
    with pytest.raises(DataError, match=r"t\.jsonl.*'answer': two readings fit all rows.* or .*--answer-as"):
        read(jsonl(folder, rows))
    assert all(
        isinstance(q, Question) for q in read(jsonl(folder, rows), answer_as="index1" if 1 in answers else "text")
    )


def test_readings_that_name_the_same_options_are_no_question(folder):
    rows = [ROW | {"id": str(k), "answer": str(k + 1), "options": ["1", "2", "3"]} for k in range(3)]
    assert [q.answer for q in questions(jsonl(folder, rows))] == [0, 1, 2]


def test_answers_of_two_kinds_are_refused_unless_one_is_given(folder):
    rows = [ROW | {"id": str(k), "answer": answer} for k, answer in enumerate(["A", "B", "green"])]
    with pytest.raises(DataError, match=r"letters.*2 of 3 rows, but t.jsonl, row 3 holds 'green'.*the text.*1 of 3"):
        read(jsonl(folder, rows))
    assert [type(q) for q in read(jsonl(folder, rows), answer_as="letter")] == [Question, Question, Rejected]


def test_a_bad_answer_is_one_bad_row(folder):
    answers = ["A", "B", "E", None, "", "C", "AB"]
    found = read(jsonl(folder, [ROW | {"id": str(k), "answer": answer} for k, answer in enumerate(answers)]))
    assert [isinstance(q, Question) for q in found] == [True, True, False, False, False, True, False]
    assert "column 'answer' holds 'E': not one of the 3 options, read as letters" in found[2].reasons[0]
    assert "has no answer" in found[3].reasons[0]
    with pytest.raises(DataError, match="Has this split got answers"):
        read(jsonl(folder, [ROW | {"answer": None}, ROW | {"answer": "-"}]))


@given(st.lists(st.tuples(st.integers(2, 6), st.integers(0, 5)), min_size=1, max_size=30), st.sampled_from(["A", 0, 1]))
def test_the_right_reading_is_among_those_that_fit(rows, first):
    """An independent count: 0-based and 1-based are told apart exactly where some row allows one of them only."""
    rows = [(count, place % count) for count, place in rows]
    column = AnswerColumn("answer", lettered=False)
    for count, place in rows:
        value = chr(ord("A") + place) if first == "A" else place + first
        column.add(value, [f"option {k}" for k in range(count)], "here")
    if first == "A":
        assert column.convention() == "letter"
    elif (first == 0 and any(place == 0 for _, place in rows)) or (
        first == 1 and any(place == count - 1 for count, place in rows)
    ):
        assert column.convention() == f"index{first}"
    else:
        with pytest.raises(DataError, match="two readings"):
            column.convention()


# --- Pictures ---------------------------------------------------------------------------------------------------------


def test_pictures_of_every_shape(folder):
    struct = {"bytes": png(1), "path": None}
    base = {key: ROW[key] for key in ("question", "options", "answer")}
    for value, shades in (
        (png(1), [1]),
        (struct, [1]),
        ([struct, {"bytes": png(2), "path": None}], [1, 2]),
        ([png(1), png(2)], [1, 2]),
        (coded(1), [1]),
        (str([coded(1), coded(2)]), [1, 2]),
        (json.dumps([coded(1), coded(2)]), [1, 2]),
        ("p.png", [7]),
        ([], []),
        (None, []),
    ):
        (question,) = questions(parquet(folder, [base | {"image": value}]))
        assert question.images == tuple(map(png, shades))
        assert question.text == ("Which is it?",)


def test_numbered_pictures_and_marks(folder):
    rows = [
        {
            "question": "<image 2> or <image 1>?",
            "options": ["x", "y"],
            "answer": "A",
            "image_1": png(1),
            "image_2": png(2),
        },
        {"question": "Here: <image 1>", "options": ["x", "y"], "answer": "B", "image_1": png(1), "image_2": png(2)},
        {
            "question": "Which?",
            "options": ["<image 2>", "<image 1>"],
            "answer": "B",
            "image_1": png(1),
            "image_2": png(2),
        },
        {"question": "<image 3>?", "options": ["x", "y"], "answer": "B", "image_1": png(1), "image_2": None},
    ]
    path = parquet(folder, rows)
    swapped, front, options, bad = read(path)
    assert (swapped.text, swapped.images) == (("", " or ", "?"), (png(2), png(1)))
    assert (front.text, front.images) == (("", "Here: ", ""), (png(2), png(1)))  # the one without a mark comes first
    assert options.text == ("Which? A. ", " B. ", " Please select the correct option: ")
    assert (options.images, options.options, options.answer) == ((png(2), png(1)), ("A", "B"), 1)
    assert bad.reasons == ("a text marks image '3', the row has the images 1",)
    plain = questions(path, columns={"marks": "none"})
    assert plain[0].text == ("<image 2> or <image 1>?",)
    assert plain[2].options == ("<image 2>", "<image 1>")


def test_marks_without_numbers(folder):
    rows = [{"question": "<image>\nWhich?", "options": ["x", "y"], "answer": "A", "image": [png(1)]}] * 2
    rows[1] = rows[1] | {"question": "<image><image>", "answer": "B"}
    good, bad = read(parquet(folder, rows))
    assert (good.text, good.images) == (("", "\nWhich?"), (png(1),))
    assert "marks 2 images with <image>, the row has 1" in bad.reasons[0]


def test_options_that_are_pictures(folder):
    row = {"question": "Which?", "options": [{"bytes": png(k), "path": None} for k in (1, 2, 3)], "answer": 2}
    zero = row | {"answer": 0}
    question, _ = questions(parquet(folder, [row | {"image": png(9)}, zero | {"image": png(9)}]))
    assert question.text == ("", "Which? A. ", " B. ", " C. ", " Please select the correct option: ")
    assert question.images == tuple(map(png, (9, 1, 2, 3)))
    assert (question.options, question.answer) == (("A", "B", "C"), 2)


def test_questions_without_pictures(folder):
    row = {"question": "What is 1 + 1?", "options": ["2", "3"], "answer": "A"}
    (question,) = questions(jsonl(folder, [row]))
    assert (question.images, question.image_id) == ((), "1")
    (left_out,) = read(jsonl(folder, [row | {"image": None}]), needs_image=True)
    assert left_out.left_out == "there is no image"


def test_pictures_that_are_missing_or_broken(folder):
    rows = [
        ROW | {"id": str(k), "image": image} for k, image in enumerate(["gone.png", "https://x.org/y.png", "p.png"])
    ]
    rows.append(ROW | {"id": "9", "image": base64.b64encode(b"no picture" * 20).decode()})
    gone, url, sound, broken = read(jsonl(folder, rows))
    assert "gone.png is missing" in gone.reasons[0]
    assert "is a URL, not a path" in url.reasons[0]
    assert "not a picture" in broken.reasons[0]
    assert isinstance(sound, Question)
    other = folder / "elsewhere"
    other.mkdir()
    (other / "gone.png").write_bytes(png(3))
    assert read(jsonl(folder, rows), images=other)[0].images == (png(3),)


# --- VLMEvalKit -------------------------------------------------------------------------------------------------------


def tsv(folder: Path, rows: list[dict], name: str = "t.tsv") -> Path:
    """As pandas writes one: nothing for what is missing."""
    import pandas as pd

    pd.DataFrame(rows).to_csv(folder / name, sep="\t", index=False)
    return folder / name


def vlmevalkit_row(index: int, **changes) -> dict:
    return {
        "index": index,
        "image": coded(index),
        "question": f"Which is {index}?",
        "hint": None,
        "A": "red",
        "B": "green",
        "C": "blue",
        "D": None,
        "answer": "C",
        "category": "colour",
        "split": "dev",
    } | changes


def test_a_table_of_vlmevalkit(folder):
    first = {"hint": "Look well.\nAnd long.", "question": 'It says "a,\tb"'}
    rows = [
        vlmevalkit_row(1, **first),
        vlmevalkit_row(2, D="grey"),
        # copies for circular evaluation: options rotated, the picture named by the index of its row
        vlmevalkit_row(1_000_001, image="1", A="green", B="blue", C="red", answer="B", **first),
        vlmevalkit_row(
            1_000_002, image="2", question="Which is 2?", A="green", B="blue", C="grey", D="red", answer="B"
        ),
        # looks like a copy, and is another question
        vlmevalkit_row(2_000_002, image="2", A="one", B="two", C="three", answer="B"),
        vlmevalkit_row(3, image=str([coded(5), coded(6)])),
        vlmevalkit_row(4, image=None, image_path="p.png"),
    ]
    one, two, copy, other_copy, same, three, four = read(tsv(folder, rows))
    assert one.text == ('Look well.\nAnd long.\nIt says "a,\tb"',)
    assert (one.q_id, one.options, one.answer, one.images) == ("1", ("red", "green", "blue"), 2, (png(1),))
    assert two.options == ("red", "green", "blue", "grey")
    assert copy.left_out == other_copy.left_out == "a copy with rotated options, for circular evaluation"
    assert (same.options, same.images) == (("one", "two", "three"), (png(2),))
    assert same.image_id == two.image_id != one.image_id
    assert three.images == (png(5), png(6))
    assert four.images == (png(7),)
    assert {q.category for q in (one, two, three)} == {"colour"}


def test_a_folder_of_tables_shares_pictures_as_one_table_does(folder):
    (folder / "tables").mkdir()
    tsv(folder / "tables", [vlmevalkit_row(1)], "a.tsv")
    tsv(folder / "tables", [vlmevalkit_row(2, image="1")], "b.tsv")
    assert [q.images for q in questions(folder / "tables", answer_as="letter")] == [(png(1),)] * 2


def test_a_reference_may_point_forward_and_a_gap_between_options_is_told(folder):
    first, second = read(tsv(folder, [vlmevalkit_row(1, image="2"), vlmevalkit_row(2, B=None, answer="A")]))
    assert first.images == (png(2),)
    assert second.reasons == ("column 'B' is missing, and a later option is there (line 3)",)


def test_memory_does_not_grow_with_the_table(folder):
    def peak(count: int) -> int:
        noise = base64.b64encode(bytes(range(256)) * 2000).decode()  # 0.7 MB, and no picture
        path = folder / "large.tsv"
        with path.open("w") as file:
            file.write("index\timage\tquestion\tA\tB\tanswer\n")
            file.writelines(f"{k}\t{noise}\tWhich?\tx\ty\t{'AB'[k % 2]}\n" for k in range(count))
        tracemalloc.start()
        assert sum(1 for _ in BenchmarkSource("mine", str(path), BenchmarkSettings()).read()) == count
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(4), peak(40)
    assert large < 1.2 * small


# --- Columns and places -----------------------------------------------------------------------------------------------


def test_columns_are_known_by_their_names_or_given():
    known = recognised_columns(
        ["Index", "Question", "choice_a", "choice_b", "choice_c", "Answer", "image_2", "image_1"], {}
    )
    assert (known.question, known.options, known.answer) == ("Question", ("choice_a", "choice_b", "choice_c"), "Answer")
    assert (known.id, known.image) == ("Index", ("image_1", "image_2"))
    given_ = given_columns("question=q, options=x+y,answer=z")
    assert recognised_columns(["q", "question", "x", "y", "z"], given_).question == "q"
    for columns, told in (
        (["question", "answer"], "the options"),
        (["q"], "the question or the options or the answer"),
    ):
        with pytest.raises(DataError, match=told):
            recognised_columns(columns, {})
    with pytest.raises(DataError, match="no column 'gone'; there are question"):
        recognised_columns(["question"], {"answer": "gone"})
    for text, told in (
        ("x=y", "'x=y' is not ROLE"),
        ("id", "'id' is not"),
        ("id=a,id=b", "twice"),
        ("marks=x", "none"),
    ):
        with pytest.raises(DataError, match=told):
            given_columns(text)


def test_a_folder_with_splits_and_configurations(folder):
    root = folder / "repository"
    for config, split, count in (("cats", "test", 2), ("dogs", "test", 1), ("cats", "val", 4)):
        (root / config).mkdir(parents=True, exist_ok=True)
        rows = [ROW | {"id": f"{config}{k}", "image": png(k)} for k in range(count)]
        parquet(root / config, rows, f"{split}-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"several splits \(test, val\)"):
        read(root)
    assert [q.q_id for q in questions(root, split="test")] == ["cats0", "cats1", "dogs0"]
    found = questions(root, split="test", configs=["dogs", "cats"], columns={"category": "config"})
    assert [(q.q_id, q.category) for q in found] == [("dogs0", "dogs"), ("cats0", "cats"), ("cats1", "cats")]
    for values, told in (
        ({"split": "train"}, "split train"),
        ({"split": "test", "configs": ["cows"]}, "configuration cows"),
    ):
        with pytest.raises(DataError, match=f"no file of the {told}"):
            read(root, **values)


def test_what_datasets_saved_and_what_it_loads(folder):
    rows = [ROW | {"id": str(k), "answer": k, "image": str(folder / "p.png")} for k in range(3)]
    data = datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())
    data.save_to_disk(folder / "disk")
    datasets.DatasetDict({"test": data, "val": data}).save_to_disk(folder / "disks")
    assert [q.answer for q in questions(folder / "disk")] == [0, 1, 2]
    assert questions(folder / "disks", split="val")[0].images == (png(7),)
    with pytest.raises(DataError, match="the splits test, val: say which"):
        read(folder / "disks")


@pytest.mark.parametrize(
    ("location", "told"),
    [("gone.tsv", "is neither a file"), ("a/b/c", "neither a file, nor a folder, nor a data set"), (".", "holds no")],
)
def test_what_is_no_benchmark(tmp_path, monkeypatch, location, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=told):
        read(location)


def test_a_data_set_that_cannot_be_had_says_what_to_do(monkeypatch):
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *args, **more: (_ for _ in ()).throw(ConnectionError("offline"))
    )
    with pytest.raises(
        DataError, match=r"(?s)owner/name \(default, only split\) cannot be loaded: offline.*--from FOLDER"
    ):
        read("owner/name")


def test_ids_that_come_twice_and_other_rows(folder):
    one, twice, other = read(jsonl(folder, [ROW, ROW, ROW | {"id": "b", "kind": "x"}]))
    assert isinstance(one, Question)
    assert twice.reasons == ("the id 'a' comes more than once (line 2)",)
    assert isinstance(other, Question)
    first, _, taken = read(jsonl(folder, [ROW, ROW, ROW | {"id": "b", "kind": "x"}]), only={"kind": "x"})
    assert first.left_out == "kind is not 'x'"
    assert isinstance(taken, Question)
    with pytest.raises(DataError, match="no column 'gone'"):
        read(jsonl(folder, [ROW]), only={"gone": "x"})


# --- Out and in again -------------------------------------------------------------------------------------------------

texts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
) | st.sampled_from(
    ["a\tb", 'say "no"', "two\nlines", "\r", "A", "B", "1", "<image 1>", "<image>", "A. x B. y", "nan", "[1]", " x "]
)


@st.composite
def stored(draw) -> Question:
    """A question of any kind that the store takes."""
    options = draw(st.lists(texts, min_size=2, max_size=5, unique=True))
    assume(all(option.strip() for option in options))
    images = tuple(png(shade) for shade in draw(st.lists(st.integers(0, 300), max_size=3)))
    marked = draw(st.booleans()) and bool(images)
    pieces = draw(st.lists(texts, min_size=len(images) + 1 if marked else 1, max_size=len(images) + 1 if marked else 1))
    assume(images or "".join(pieces).strip())
    return Question(
        q_id=draw(texts.filter(lambda text: not text.strip().isdecimal())),
        text=tuple(pieces),
        images=images,
        options=tuple(options),
        answer=draw(st.integers(0, len(options) - 1)),
        ability="reasoning",
        task="Task",
        source="mine",
        category=draw(st.just("") | texts),
        image_id=draw(texts),
        rule=draw(st.just("") | texts),
    )


def cannot_be_said(question: Question, name: str) -> bool:
    """Whether one of the few reasons is there for which a question is not exported."""
    said = (*question.text, *question.options)
    blank = [question.q_id, question.image_id, *filter(None, (question.category, question.rule))]
    return (
        any(re.search("<image ?[0-9]*>", text) for text in (*said, "".join(question.text)))
        or not all(text.strip() for text in blank)
        or not "".join(question.text).strip()
        or (name == "one.tsv" and any(map(is_missing, (*blank, "".join(question.text), *question.options))))
    )


def is_missing(text: str) -> bool:
    """Whether pandas reads a text as a missing value."""
    import pandas as pd

    table = io.StringIO('"text"\n"' + text.replace('"', '""') + '"\n', newline="")
    return bool(pd.read_csv(table).text.isna().all())


@settings(max_examples=cases(60), deadline=None)
@given(st.lists(stored(), min_size=1, max_size=5, unique_by=lambda question: question.q_id))
def test_a_source_comes_back_as_it_was(folder, made):
    for question in made:
        origin = folder / "one.parquet"
        with SourceWriter(origin) as writer:
            writer.add(question)
            writer.finish(Origin(kind="table", location="here"))
        for write, name in ((write_vlmevalkit, "one.tsv"), (write_parquet, "out.parquet")):
            (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(DataError):
                write(QuestionTable(origin), folder / name, lambda count: None)
            if not (folder / name).exists():
                assert cannot_be_said(question, name)
                continue
            found = questions(folder / name, ability="reasoning", task="Task", answer_as="letter")
            assert found == [question]


def test_all_at_once_and_twice_round(folder):
    rows = [
        vlmevalkit_row(1),
        vlmevalkit_row(2, D="grey", question="<image 1> and <image 2>?", image=str([coded(1), coded(2)])),
        vlmevalkit_row(3, image=None),
    ]
    made = questions(tsv(folder, rows))
    for write, name in ((write_vlmevalkit, "twice.tsv"), (write_parquet, "twice.parquet")):
        with SourceWriter(folder / "stored.parquet") as writer:
            for question in made:
                writer.add(question)
            writer.finish(Origin(kind="table", location="here"))
        write(QuestionTable(folder / "stored.parquet"), folder / name, lambda count: None)
        assert questions(folder / name) == [dataclasses.replace(question) for question in made]
    features = datasets.load_dataset("parquet", data_files=str(folder / "twice.parquet"), split="train").features
    assert features["images"] == datasets.List(datasets.Image())
    loaded = datasets.load_dataset("parquet", data_files=str(folder / "twice.parquet"), split="train")
    assert loaded[0]["images"][0].size == (6, 5)


# --- Hostile files ----------------------------------------------------------------------------------------------------

HOSTILE = [
    ROW | {"id": "a"},
    ROW | {"id": "b", "options": "['x', 'y']", "answer": "A"},
    ROW | {"id": "c", "answer": "C"},
]


WIDE = {"index": 3, "hint": "Look.", "question": "<image 1>?", "A": "x", "B": "y", "answer": "B", "category": "c"}
HOSTILE_WIDE = [WIDE | {"image": ["p.png"]}, WIDE | {"index": 1000003, "image": "p.png", "image_id": "g"}]


@settings(max_examples=cases(300), deadline=None)
@given(
    (spoiled(HOSTILE) | spoiled(HOSTILE_WIDE)).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
    | damaged(json.dumps(HOSTILE[0]).encode())
)
def test_spoilt_rows_give_questions_or_reasons(folder, data):
    (folder / "hostile.jsonl").write_bytes(data)
    try:
        found = read(folder / "hostile.jsonl")
    except RadarError:
        return
    for question in found:
        assert (
            isinstance(question, Question)
            or question.left_out
            or (question.reasons and max(map(len, question.reasons)) < 1000)
        )


@settings(max_examples=cases(200), deadline=None)
@given(st.text(max_size=60) | st.sampled_from(["[" * 9000, "['a'" * 2000, "{" * 3000, "[1e999]", "[__import__('os')]"]))
def test_the_text_of_a_list_runs_nothing_and_ends(text):
    try:
        options_in_list(text, "options")
    except ValueError:
        return


def test_a_bad_picture_is_named_by_its_file(folder):
    (folder / "notes.png").write_text("no picture")
    rows = [
        ROW | {"id": "a", "image": "notes.png"},
        ROW | {"id": "b", "question": "See <image 2>", "image": ["p.png", "notes.png"]},
    ]
    reasons = [found.reasons[0] for found in read(jsonl(folder, rows, "named.jsonl"))]
    assert reasons[0].startswith("image 1 ('notes.png'): not a picture")
    assert reasons[1].startswith("image 2 ('notes.png'): not a picture")

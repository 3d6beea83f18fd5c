"""A user's table as a source."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources.own_table import PROMPT, TableSource, split_statements

TITLES = [
    {"image": "p.png", "title": title, "category": category}
    for title, category in (("robin", "bird"), ("finch", "bird"), ("owl", "bird"), ("oak", "tree"), ("elm", "tree"))
]
STATEMENTS = [
    {"image": "p.png", "statement": "The cup is on the left", "opposite": "The cup is on the right"},
    {"image": "p.png", "statement": "above the table", "opposite": "below the table"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    return tmp_path


def table(folder: Path, rows: list[dict], name: str = "t.jsonl") -> Path:
    path = folder / name
    ending = path.suffix
    if ending == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)) + "\n\n", encoding="utf-8")
    elif ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        separator = {".csv": ",", ".tsv": "\t"}[ending]
        lines = [separator.join(rows[0]), *(separator.join(map(str, row.values())) for row in rows)]
        path.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())  # as spreadsheets write it
    return path


def read(path: Path, **options) -> list:
    return list(TableSource("mine", path, **options).read())


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet", "T.CSV"])
def test_titles_become_identification(folder, name):
    if name == "T.CSV":
        table(folder, TITLES, "x.csv").rename(folder / name)
        path = folder / name
    else:
        path = table(folder, TITLES, name)
    found = read(path)
    assert [q.q_id for q in found] == ["1", "2", "3", "4", "5"]
    members = {"bird": {"robin", "finch", "owl"}, "tree": {"oak", "elm"}}
    for q, row in zip(found, TITLES, strict=True):
        assert q.text == (PROMPT,)
        assert q.options[q.answer] == row["title"]
        assert set(q.options) <= members[row["category"]]
        assert len(q.options) == 2
        assert (q.ability, q.category, q.image_id) == ("perception", row["category"], "p.png")
        assert q.images == ((folder / "p.png").read_bytes(),)


def test_statements_become_a_relation(folder):
    left, above = read(table(folder, STATEMENTS))
    assert left.text == ("The cup is on the",)
    assert left.options[left.answer] == "left"
    assert set(left.options) == {"left", "right"}
    assert above.text == (PROMPT,)
    assert above.options[above.answer] == "above the table"
    assert (left.ability, left.category) == ("reasoning", "")
    assert read(table(folder, STATEMENTS), ability="perception")[0].ability == "perception"


words = st.lists(st.sampled_from(["the", "cup", "is", "left", "right"]), min_size=1, max_size=5).map(" ".join)


@given(words, words)
def test_a_split_loses_nothing_and_leaves_something(statement, opposite):
    prompt, one, other = split_statements(statement, opposite)
    assert one
    assert other
    if prompt != PROMPT:
        assert (f"{prompt} {one}", f"{prompt} {other}") == (statement, opposite)
    else:
        assert (one, other) == (statement, opposite)


blanks = st.text(st.sampled_from("ab \n\t"), min_size=1, max_size=12).filter(str.strip)


@given(blanks, blanks)
def test_a_split_keeps_every_blank(statement, opposite):
    prompt, one, other = split_statements(statement, opposite)
    if prompt == PROMPT:
        assert (one, other) == (statement, opposite)
    else:
        assert (f"{prompt} {one}", f"{prompt} {other}") == (statement, opposite)
        assert one.strip()
        assert other.strip()


def test_texts_are_kept_to_the_character(folder):
    rows = [
        {"image": "p.png", "statement": "The  sign reads\n one", "opposite": "The  sign reads\n two"},
        {"image": "p.png", "statement": "It is on the\tleft", "opposite": "It is on the\tright"},
    ]
    sign, side = read(table(folder, rows))
    assert sign.text == ("The  sign",)
    assert sign.options[sign.answer] == "reads\n one"
    assert (side.text, set(side.options)) == (("It is on",), {"the\tleft", "the\tright"})
    titles = [{"image": "p.png", "title": title, "category": "c"} for title in ("two  blanks ", "a\nline", "nan")]
    for q, row in zip(read(table(folder, titles)), titles, strict=True):
        assert q.options[q.answer] == row["title"]


def test_a_wrong_option_is_not_another_spelling(folder):
    names = ("red", "Red", "RED ", "\uff52ed", "blue")
    found = read(table(folder, [{"image": "p.png", "title": name, "category": "c"} for name in names]))
    assert all("blue" in q.options for q in found)
    (same,) = read(table(folder, [{"image": "p.png", "statement": "It is Red", "opposite": "it is  red"}]))
    assert "differ in case and blanks only" in same.reasons[0]


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.jsonl", "t.parquet"])
@pytest.mark.parametrize(("column", "value"), [("title", ""), ("title", None), ("category", ""), ("title", " ")])
def test_one_bad_row_is_one(folder, name, column, value):
    if value is None and name[-2:] == "sv":
        value = ""
    rows = [dict(row) for row in TITLES]
    rows[1][column] = value
    found = read(table(folder, rows, name))
    assert [isinstance(q, Question) for q in found] == [True, False, True, True, True]
    assert found[1].file == f"{name}, row 2"
    assert f"column '{column}'" in found[1].reasons[0]
    assert not any("finch" in q.options for q in found if isinstance(q, Question))


def test_pictures_as_base64_bytes_or_a_struct(folder):
    picture = (folder / "p.png").read_bytes()
    base64_ = base64.b64encode(picture).decode()
    for given_ in (base64_, f"data:image/png;base64,{base64_}", picture, {"bytes": picture, "path": None}):
        rows = [{"image": given_, "title": title, "category": "c"} for title in ("a", "b")]
        pq.write_table(pa.Table.from_pylist(rows), folder / "t.parquet")
        one, other = read(folder / "t.parquet")
        assert one.images == other.images == (picture,)
        assert one.image_id == other.image_id
        assert len(one.image_id) < 40
    pq.write_table(
        pa.Table.from_pylist([{"image": {"bytes": None, "path": "p.png"}, "title": t, "category": "c"} for t in "ab"]),
        folder / "t.parquet",
    )
    assert read(folder / "t.parquet")[0].images == (picture,)
    rows = [{"image": base64_, "title": title, "category": "c"} for title in ("a", "b")]
    assert read(table(folder, rows, "t.tsv"))[0].images == (picture,)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("https://127.0.0.1:9/x.png", "image 'https://127.0.0.1:9/x.png' is a URL, not a path"),
        ("file:///data/red.png", "image 'file:///data/red.png' is a URL"),
        ("data:image/svg+xml,<svg/>", "is a URL, not a path"),
        ("x" * 300_000, "not base64 as expected|not a picture"),
        ("x." * 300_000, "is missing"),
        ("a\0.png", "is missing"),
        (7, "is missing"),
        (["p.png"], "a path, base64 or bytes are needed"),
    ],
)
def test_what_is_no_picture_is_told_short(folder, value, told):
    rows = [{"image": value, "title": title, "category": "c"} for title in ("a", "b")]
    for bad in read(table(folder, rows)):
        assert re.search(told, bad.reasons[0])
        assert len(bad.reasons[0]) < 400


def test_faults_are_told_with_their_row(folder):
    rows = [
        *TITLES[:2],
        {"image": "gone.png", "title": "", "category": "bird"},
        {"image": "p.png", "title": "moss", "category": "alone"},
        {"image": "", "title": "robin", "category": "bird"},
        {"image": ".", "title": "robin", "category": "bird"},
    ]
    found = read(table(folder, rows))
    assert [isinstance(q, Question) for q in found] == [True, True, False, False, False, False]
    assert found[2].file == "t.jsonl, row 3"
    assert found[2].reasons == ("column 'title' (line 3) is empty",)
    assert "only title of the category 'alone'" in found[3].reasons[0]
    (same,) = read(table(folder, [STATEMENTS[0] | {"opposite": STATEMENTS[0]["statement"]}]))
    assert "among the distractors" in same.reasons[0]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.xlsx", b"PK", "not a .csv, .tsv, .jsonl, .parquet"),
        ("t.csv", b"image,name\np.png,x\n", "the columns image, name; needed are image, title, category"),
        ("t.csv", b"", "has no rows"),
        ("t.csv", b"\xff\xfe\x00", "cannot be read"),
        ("t.jsonl", b'{"image": ', "line 1"),
        ("t.jsonl", b"[1]", "line 1: an object"),
        ("t.jsonl", b'{"image": "a", "title": "b"}\n{"image": "a"}', "the columns image, title;"),
        ("t.csv", b"image;title;category\np.png;x;y\n", "another delimiter"),
        ("t.parquet", b"PAR1", "cannot be read"),
    ],
)
def test_what_is_no_such_table_is_told(folder, name, content, told):
    (folder / name).write_bytes(content)
    with pytest.raises(DataError, match=told):
        TableSource("mine", folder / name)


def test_a_missing_table_is_told(folder):
    with pytest.raises(DataError, match="cannot be read"):
        TableSource("mine", folder / "gone.csv")


def test_the_fingerprint_follows_table_images_and_ability(folder):
    path = table(folder, TITLES)
    prints = {TableSource("mine", path).fingerprint()}
    prints.add(TableSource("mine", path, "reasoning").fingerprint())
    Image.new("RGB", (9, 9)).save(folder / "p.png")
    prints.add(TableSource("mine", path).fingerprint())
    prints.add(TableSource("mine", table(folder, TITLES[1:])).fingerprint())
    assert len(prints) == 4
    assert TableSource("mine", path).fingerprint() in prints


def test_one_picture_is_one_however_its_path_is_written(folder):
    (folder / "x").mkdir()
    paths = ["p.png", "./p.png", "x/../p.png", str(folder / "p.png"), f"{folder}/./p.png"]
    rows = [{"image": image, "title": f"title {k}", "category": "c"} for k, image in enumerate(paths)]
    names = [question.image_id for question in read(table(folder, rows))]
    assert names[:3] == ["p.png"] * 3
    assert len(set(names[3:])) == 1
    assert re.fullmatch(r"p\.png \([0-9a-f]{16}\)", names[3])  # no place of this machine


def test_a_bad_picture_is_named(folder):
    (folder / "cut.png").write_bytes((folder / "p.png").read_bytes()[:40])
    (folder / "d").mkdir()
    rows = [{"image": image, "title": f"title {k}", "category": "c"} for k, image in enumerate(["cut.png", "d"])]
    reasons = [rejected.reasons[0] for rejected in read(table(folder, rows))]
    assert reasons[0].startswith("image cut.png: not a picture")
    assert f"image {folder / 'd'} is a folder" in reasons[1]

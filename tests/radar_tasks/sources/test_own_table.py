"""A user's table as a source."""

from __future__ import annotations

import json
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
    assert "is missing" in found[2].reasons[0]
    assert "is empty" in found[2].reasons[1]
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
        ("t.jsonl", b'{"image": "a", "title": "b", "category": "c"}\n{"image": "a"}', "the columns image;"),
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

"""Tables are read to the character; whatever is not exactly one value a field is told with file, row and column."""

from __future__ import annotations

import csv
import io
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st

from radar_tasks.errors import DataError
from radar_tasks.sources import record_files
from radar_tasks.sources.record_files import open_records

# Whatever can stand in a field: also delimiters, quotes, line ends and blanks, and what pandas takes for missing.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12) | st.sampled_from(
    [
        "a,b",
        "a\tb",
        'say "no"',
        "two\nlines",
        "old\rmac",
        "a\r\nb",
        "  wide  open  ",
        "nan",
        "NULL",
        "1984.0",
        "\ufeffx",
    ]
)
tables = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(texts, min_size=width, max_size=width), min_size=1, max_size=6)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("tables")


def written(folder: Path, content: bytes | str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def keys(path: Path) -> tuple[str, ...]:
    return open_records(path).columns


def rows(path: Path, columns=None) -> list[dict]:
    found = list(open_records(path).records(columns))
    assert [record.number for record in found] == list(range(1, len(found) + 1))
    return [record.values if not record.problems else record.problems for record in found]


@settings(max_examples=cases(100), deadline=None)
@given(tables, st.sampled_from([".csv", ".tsv"]), st.booleans())
def test_delimited_text_comes_back_to_the_character(folder, values, ending, mark):
    names = [f"c{k}" for k in range(len(values[0]))]
    out = io.StringIO(newline="")
    csv.writer(out, delimiter="," if ending == ".csv" else "\t", quoting=csv.QUOTE_ALL).writerows([names, *values])
    path = written(folder, out.getvalue().encode("utf-8-sig" if mark else "utf-8"), f"t{ending}")
    assert open_records(path).columns == tuple(names)
    assert rows(path) == [{n: v for n, v in zip(names, row, strict=True) if v} for row in values]


@settings(max_examples=cases(60), deadline=None)
@given(tables, st.booleans())
def test_json_and_parquet_come_back_to_the_character(folder, values, indented):
    objects = [{f"c{k}": value for k, value in enumerate(row)} for row in values]
    lines = written(folder, "\n\n".join(map(json.dumps, objects)), "t.jsonl")
    array = written(folder, json.dumps(objects, indent=2 if indented else None), "t.json")
    pq.write_table(pa.Table.from_pylist(objects), folder / "t.parquet")
    for path in (lines, array, folder / "t.parquet"):
        assert rows(path) == objects
        assert rows(path, {"c0"}) == [{"c0": row["c0"]} for row in objects]


def test_an_array_longer_than_what_is_read_at_once(folder, monkeypatch):
    monkeypatch.setattr(record_files, "_CHUNK", 7)
    objects = [{"a": "x" * k, "b": [k, {"c": '],"'}]} for k in range(40)]
    found = list(open_records(written(folder, json.dumps(objects, indent=1), "t.json")).records())
    assert [record.values["a"] for record in found] == [row["a"] for row in objects]
    lines = json.dumps(objects, indent=1).split("\n")
    assert [record.line for record in found] == [k for k, line in enumerate(lines, 1) if line == " {"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("a,b,c\n1,2\n", "2 fields, the header has 3 (a field is missing; line 2)"),
        ("a,b\n1,2,3\n", "3 fields, the header has 2 (a comma inside a text needs quotes; line 2)"),
        ('a,b\n"x\ny",2,3\n', "3 fields, the header has 2 (a comma inside a text needs quotes; lines 2 to 3)"),
        ('a,b\n1,"2\n', "column 'b': a quote opens in line 2 and is never closed: '2\\n'"),
        ('a,b\n1,2,3,"4', "field 4: a quote opens in line 2 and is never closed: '4'"),
        ('a,b\n"1"x,2\n', "it cannot be read: ',' expected after '\"' (line 2)"),
    ],
)
def test_a_bad_row_is_one_bad_row_and_the_others_are_read(folder, content, problem):
    width = content.split("\n")[0].count(",") + 1
    path = written(folder, content + ",".join("56789"[:width]) * (content[-1] == "\n"))
    bad, *others = open_records(path).records()
    assert bad.problems == (problem,)
    assert (bad.where, bad.line) == ("t.csv, row 1", 2)
    assert [list(record.values.values()) for record in others] == [list("56789"[:width])] * (content[-1] == "\n")


def test_nothing_is_swallowed_by_a_quote_that_is_never_closed(folder):
    sound = [f"row {k},{k}\n" for k in range(50)]
    place = random.Random(0).randrange(50)
    sound.insert(place, '"open,1\n')
    found = rows(written(folder, "a,b\n" + "".join(sound)))
    assert "never closed" in found.pop(place)[0]
    assert found == [{"a": f"row {k}", "b": str(k)} for k in range(50)]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("t.csv", "a,b,a\n1,2,3\n", "the column 'a' comes more than once"),
        ("t.csv", 'a,"b\n1,2\n', "header: field 2: a quote opens"),
        ("t.csv", b"a,\xe9\n1,2\n", "header: the name of a column is not UTF-8"),
        ("t.tsv", "a\tb\n".encode("utf-16"), "UTF-16; save it as UTF-8"),
        ("t.csv", "", "has no rows"),
        ("t.jsonl", "\n", "has no rows"),
        ("t.json", "", "line 1: an array of objects"),
        ("t.json", "[]", "has no rows"),
        ("t.json", '{"a": 1}', "line 1: an array of objects"),
        ("t.json", '[{"a": 1}\n{"a": 2}]', "line 2: a comma or the end"),
        ("t.json", '[{"a": 1},\n\n{"a": 2,}]', "begins in line 3: not JSON"),
        ("t.json", '[{"a": 1},]', "begins in line 1: not JSON"),
        ("t.json", '[{"a": ' + "[" * 200_000, "nested too deeply"),
        ("t.parquet", b"PAR1", "cannot be read"),
        ("t.txt", "a", "not a .csv"),
    ],
)
def test_a_file_that_is_no_table_is_told(folder, name, content, told):
    with pytest.raises(DataError, match=told):
        keys(written(folder, content, name))


def test_a_parquet_with_a_column_twice(folder):
    pq.write_table(pa.table([["x"], ["y"]], names=["a", "a"]), folder / "t.parquet")
    with pytest.raises(DataError, match="'a' comes more than once"):
        keys(folder / "t.parquet")


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.csv")
    with pytest.raises(DataError, match="not a regular file"):
        keys(folder / "pipe.csv")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"a": "x", "a": "y"}', "line 1: the key 'a' comes more than once"),
        ("[1]", "line 1: an object is needed, not a list"),
        ('{"a": NaN}', "line 1: not JSON"),
        ('{"a": ', "line 1: not JSON"),
        (b'{"a": "\xe9"}', "line 1: not JSON"),
    ],
)
def test_a_line_that_is_no_object(folder, line, told):
    data = line if isinstance(line, bytes) else line.encode()
    bad, sound = open_records(written(folder, data + b'\n{"a": "z"}', "t.jsonl")).records()
    assert told in bad.problems[0]
    assert sound.values == {"a": "z"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "is missing"),
        (float("nan"), "is missing"),
        ("", "is empty"),
        (" \t", "is empty"),
        (1984.0, "holds the number 1984.0; store the text"),
        (True, "holds true or false, not one text"),
        (["x"], "holds a list, not one text"),
        (b"x", "holds bytes, not one text"),
        ({"x": 1}, "holds an object, not one text"),
        ("a\0b", "holds a null byte: 'a\\x00b'"),
    ],
)
def test_what_is_not_one_text(folder, value, told):
    pq.write_table(pa.Table.from_pylist([{"a": value, "b": "x"}]), folder / "t.parquet")
    (record,) = open_records(folder / "t.parquet").records()
    with pytest.raises(ValueError, match="column 'a' ") as error:
        record.text("a")
    assert told in str(error.value)
    assert record.text("b") == "x"


def test_bytes_that_are_no_utf8_and_long_values_are_told_short(folder):
    latin, long, null = open_records(written(folder, b"a\ncaf\xe9\n" + b"x" * 300_000 + b"\0\na\0b\n")).records()
    with pytest.raises(ValueError, match=r"column 'a' \(line 2\) is not UTF-8: 'caf"):
        latin.text("a")
    for record in (long, null):
        with pytest.raises(ValueError, match=r"null byte") as error:
            record.text("a")
        assert len(str(error.value)) < 250
    with pytest.raises(ValueError, match="UTF-8"):
        next(open_records(written(folder, '{"a": "\\ud800"}', "t.jsonl")).records()).text("a")


def test_whole_numbers_are_kept_as_they_are_written(folder):
    (record,) = open_records(written(folder, '{"a": 1984, "b": 1.50, "c": 1e3}', "t.jsonl")).records()
    assert [record.text(name) for name in "abc"] == ["1984", "1.50", "1e3"]
    pq.write_table(pa.table({"a": [1984]}), folder / "t.parquet")
    (record,) = open_records(folder / "t.parquet").records()
    assert record.text("a") == "1984"


def test_a_field_longer_than_the_csv_module_takes(folder):
    long = "x" * 1_000_000
    assert rows(written(folder, f"a,b\n{long},1\n")) == [{"a": long, "b": "1"}]


def test_texts_in_parquet_that_are_no_utf8(folder):
    array = pa.StringArray.from_buffers(2, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xe9a"))
    pq.write_table(pa.table({"a": array}), folder / "t.parquet")
    bad, sound = open_records(folder / "t.parquet").records()
    assert "column 'a' cannot be read" in bad.problems[0]
    assert sound.values == {"a": "a"}

"""Releases, archives, tables and pictures: questions or reasons, nothing written, nothing that hangs."""

import io
import json
import time
import zipfile
from contextlib import nullcontext, suppress

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzz.mutations import damaged, spoiled
from fuzzing import cases
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from release import ENDING

from radar_tasks.errors import QuestionError, RadarError
from radar_tasks.questions import Question
from radar_tasks.scoring.encoding.images import read_image
from radar_tasks.sources.own_table import TableSource
from radar_tasks.sources.pictures import picture_problem
from radar_tasks.sources.release import release_sources

SECONDS = 5
"""No single case may take longer: the limit of a case that hangs, on a busy machine."""


def picture(kind="PNG", mode="RGB", size=(12, 9), **saving):
    buffer = io.BytesIO()
    array = np.random.default_rng(3).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(array)
    if mode == "I;16":
        image = Image.fromarray(array[..., 0].astype(np.uint16) * 250)
    elif mode != "RGB":
        image = image.convert(mode)
    image.save(buffer, kind, **saving)
    return buffer.getvalue()


def animation():
    frames = [Image.fromarray(np.full((9, 12, 3), shade, np.uint8)) for shade in (0, 100, 200)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return picture("JPEG", exif=exif)


PICTURES = [
    picture(), picture("PNG", "P"), picture("PNG", "RGBA"), picture("PNG", "LA"), picture("PNG", "1"),
    picture("PNG", "I;16"), picture("JPEG"), picture("JPEG", "CMYK"), picture("JPEG", "L"), turned(), animation(),
    picture("WEBP"), picture("TIFF"), picture("TIFF", "CMYK"), picture("TIFF", "I;16"), picture("BMP"),
]  # fmt: skip
RELEASE = {
    "p--1": {"question": "The cup is", "answer": "left", "distraction": ["right"]},
    "p--2": {"question": "What?", "answer": "1.50", "distraction": ["1.60"], "img_num": 2, "ori_options": "['a', 'b']"},
}
FOLDERS = ["spatial_reasoning", "mathematical_reasoning", "physical_reasoning", "Wiki_animal_identification"]


@settings(max_examples=cases(400), deadline=None)
@given(st.sampled_from(PICTURES).flatmap(damaged) | st.binary(max_size=80))
def test_a_picture_that_passes_the_check_can_be_shown(data):
    """And one that cannot be shown is refused by the check, so that no question is lost at the hundredth batch."""
    started = time.perf_counter()
    sound = picture_problem(data) is None
    for official in (False, True):
        with nullcontext() if sound else suppress(QuestionError):
            assert read_image(data, "q", 0, official=official).mode == "RGB"
    assert time.perf_counter() - started < SECONDS


@pytest.mark.parametrize("number", range(len(PICTURES)))
def test_every_picture_that_is_spoilt_here_was_whole(number):
    assert picture_problem(PICTURES[number]) is None
    assert read_image(PICTURES[number], "q", 0).mode == "RGB"


def outcome(location):
    """What reading a release gives; only questions, reasons or an error of ours."""
    started = time.perf_counter()
    with suppress(RadarError):
        for source in release_sources(location):
            for found in source.read():
                assert isinstance(found, Question) or found.too_many_images != bool(found.reasons)
    assert time.perf_counter() - started < SECONDS


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("home") / "inside"
    home.mkdir()
    yield home
    assert [path.name for path in home.parent.iterdir()] == ["inside"]
    assert not (home.parent.parent / "evil").exists()


@settings(max_examples=cases(250), deadline=None)
@given(
    st.sampled_from(FOLDERS), spoiled(RELEASE).map(json.dumps).map(str.encode) | damaged(json.dumps(RELEASE).encode())
)
def test_a_spoilt_release(home, folder, content):
    place = home / "release" / folder
    (place / "images").mkdir(parents=True, exist_ok=True)
    (place / "images" / "p.jpg").write_bytes(PICTURES[6])
    for file in place.parent.rglob("*.json"):
        file.unlink()
    (place / f"x{ENDING}").write_bytes(content)
    outcome(home / "release")


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr(f"spatial_reasoning/x{ENDING}", json.dumps(RELEASE))
        target.writestr("spatial_reasoning/images/p.jpg", PICTURES[6])
    return buffer.getvalue()


@settings(max_examples=cases(300), deadline=None)
@given(damaged(archive()))
def test_a_damaged_archive(home, data):
    (home / "r.zip").write_bytes(data)
    outcome(home / "r.zip")


names = (
    st.lists(
        st.sampled_from(["..", ".", "", "evil", "spatial_reasoning", "images", "C:", "\\", f"x{ENDING}", "p.jpg", "~"]),
        min_size=1,
        max_size=6,
    )
    .map("/".join)
    .filter(bool)
)


@settings(max_examples=cases(200), deadline=None)
@given(st.lists(names, min_size=1, max_size=4, unique=True))
def test_names_in_an_archive_write_nothing_outside(home, paths):
    with zipfile.ZipFile(home / "n.zip", "w") as target:
        target.writestr(f"spatial_reasoning/x{ENDING}", json.dumps(RELEASE))
        for path in paths:
            target.writestr(zipfile.ZipInfo(path), b"{}")
    outcome(home / "n.zip")


TABLE = b'image,title,category\np.jpg,A cat,animals\np.jpg,"A ""small"" dog",animals\n'
STATEMENTS = b'{"image": "p.jpg", "statement": "The cup is left", "opposite": "The cup is right"}\n'
ARRAY = json.dumps([{"image": "p.jpg", "title": title, "category": "c"} for title in ("a", "b")], indent=1).encode()


def parquet(rows):
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


PARQUET = parquet([{"image": PICTURES[6], "title": title, "category": "c"} for title in ("a", "b")])


def read_table(home, ending, data):
    table = home / f"t{ending}"
    table.write_bytes(data)
    (home / "p.jpg").write_bytes(PICTURES[6])
    started = time.perf_counter()
    found = []
    with suppress(RadarError):
        source = TableSource("mine", table)
        found = list(source.read())
        assert len(found) == len(source)
    for question in found:
        assert isinstance(question, Question) or (question.reasons and max(map(len, question.reasons)) < 1000)
    assert time.perf_counter() - started < SECONDS
    return found


@settings(max_examples=cases(400), deadline=None)
@given(
    damaged(TABLE).map(lambda data: (".csv", data))
    | damaged(TABLE.replace(b",", b"\t")).map(lambda data: (".tsv", data))
    | damaged(STATEMENTS).map(lambda data: (".jsonl", data))
    | damaged(ARRAY).map(lambda data: (".json", data))
    | damaged(PARQUET).map(lambda data: (".parquet", data))
)
def test_a_damaged_table(home, case):
    read_table(home, *case)


ROWS = [{"image": "p.jpg", "title": title, "category": "c"} for title in ("one", "two", "three")]


@settings(max_examples=cases(200), deadline=None)
@given(spoiled(ROWS))
def test_a_spoilt_row_makes_one_bad_row(home, rows):
    """A value replaced or removed leaves the other rows questions, unless it leaves them without a wrong option."""
    lines = "\n".join(json.dumps(row) for row in rows).encode("utf-8", "surrogatepass")
    found = read_table(home, ".jsonl", lines)
    untouched = [k for k, row in enumerate(rows) if row in ROWS]
    if found and len({rows[k]["title"] for k in untouched}) > 1:
        assert all(isinstance(found[k], Question) for k in untouched)

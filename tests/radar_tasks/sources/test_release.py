"""The official release, sound and hostile, against an independent reading of its layout."""

from __future__ import annotations

import io
import json
import random
import stat
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from fuzzing import cases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from release import ENDING, make_release, write_questions, zip_release

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources import release as release_reader
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.sources.marks import split_at_marks
from radar_tasks.sources.pictures import picture_problem
from radar_tasks.sources.release import release_sources
from radar_tasks.sources.source_reader import Rejected


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("around") / "release"
    return folder, make_release(folder)


def read(location: Path) -> dict[str, list[Question | Rejected]]:
    return {source.source: list(source.read()) for source in release_sources(location)}


def spatial(tmp_path: Path, questions, name: str = f"x{ENDING}") -> list[Question | Rejected]:
    """One source whose only picture is `p.jpg`."""
    home = tmp_path / "spatial_reasoning"
    if isinstance(questions, bytes):
        home.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(questions)
    else:
        write_questions(home / name, questions)
    (home / "images").mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(home / "images" / "p.jpg")
    return read(tmp_path)["spatial"]


def item(**changes):
    return {"question": "It is on the", "answer": "left", "distraction": ["right"]} | changes


def only_reasons(read_: list[Question | Rejected]) -> str:
    assert len(read_) == 1
    assert isinstance(read_[0], Rejected)
    assert read_[0].file.endswith(ENDING)
    return "; ".join(read_[0].reasons)


def test_all_nine_sources_come_whole_and_in_the_order_of_the_paper(release):
    folder, counts = release
    found = read(folder)
    assert list(found) == list(PUBLISHED)
    assert {name: len(questions) for name, questions in found.items()} == counts
    for name, questions in found.items():
        assert all(isinstance(question, Question) for question in questions), name
        assert {(q.source, q.ability, q.task) for q in questions} == {
            (name, PUBLISHED[name].ability, PUBLISHED[name].task)
        }
        assert len({question.q_id for question in questions}) == len(questions)


def test_a_zip_with_a_folder_around_it_gives_the_same(release, tmp_path):
    folder, _ = release
    assert read(zip_release(folder, tmp_path / "r.zip")) == read(folder)
    assert read(folder.parent) == read(folder)  # one folder up


def test_questions_are_as_the_official_scripts_read_them(release):
    folder, _ = release
    for name, questions in read(folder).items():
        expected = dict(reference(folder, name, {question.q_id: question.answer for question in questions}))
        assert set(expected) == {question.q_id for question in questions}
        for question in questions:
            text, images, right, wrong = expected[question.q_id]
            assert "<image>".join(question.text) == text
            assert list(question.images) == images
            assert question.options[question.answer] == right
            assert sorted({*question.options} - {right}) == sorted(wrong)


def reference(folder: Path, name: str, places: dict[str, int]):
    """q_id -> (prompt with `<image>` where it is marked, pictures, right, wrong), by the scripts' own rules.

    Where options are images the scripts draw their order; here `places` says where the right one stands.
    """
    home = folder / PUBLISHED[name].folder
    for file in home.glob("*.json"):
        parts = file.name.split(".")[0].split("_")
        for key, value in json.loads(file.read_text(encoding="utf-8")).items():
            text, wrong = value["question"], [str(option) for option in value["distraction"]]
            right = str(value["answer"])
            q_id, images = key, [home / "images" / (key.split("--")[0] + ".jpg")]
            if name == "mmbench":
                q_id = "_".join(parts[1:-4]) + "/" + key
                images = [home / "images" / "_".join(parts[1:-4]) / f"{key}.jpg"]
            elif name == "seephys":
                images = [home / "images" / f"{key.split('--')[0]}_{k}.png" for k in range(value["img_num"])]
            elif name == "mmmu_pro":
                if "<image" in value["ori_options"]:
                    a, b = (right, wrong[0]) if places[q_id] == 0 else (wrong[0], right)
                    text = f"{text} A. {a} B. {b} Please select the correct option: "
                    right, wrong = ("A", ["B"]) if places[q_id] == 0 else ("B", ["A"])
                pieces, marks = split_at_marks(text)
                text = "<image>".join(pieces)
                images = [home / "images" / "_".join(parts[2:-4]) / f"{key}_image_{mark}.png" for mark in marks]
            present = [file if file.exists() else file.with_suffix(".png") for file in images]
            yield q_id, (text, [file.read_bytes() for file in present], right, wrong)


def test_categories_image_ids_and_places(release):
    found = read(release[0])
    assert {q.category for q in found["mmbench"]} == {"ocr", "image_style", "structuralized_imagetext_understanding"}
    assert {q.category for q in found["mmmu_pro"]} == {"Design", "Art_Theory", "Diagnostics_and_Laboratory_Medicine"}
    assert {q.category for q in found["seephys"]} == {""}
    assert len({q.image_id for q in found["wiki_plant"]}) == len(found["wiki_plant"]) / 3
    assert {q.image_id for q in found["mmbench"]} == {q.q_id for q in found["mmbench"]}
    for questions in found.values():
        # A place for the answer that carries no meaning: with 20 and more questions none of the places stays empty.
        assert {question.answer for question in questions} == set(range(len(questions[0].options)))


def test_numbers_keep_the_digits_of_the_file(tmp_path):
    data = b'{"p": {"question": "?", "answer": 1.50, "distraction": [1.5, -2e3, 12345678901234567890]}}'
    (question,) = spatial(tmp_path, data)
    assert set(question.options) == {"1.50", "1.5", "-2e3", "12345678901234567890"}
    assert question.options[question.answer] == "1.50"


def test_the_order_of_options_depends_on_the_q_id_alone(release, tmp_path):
    """Neither the seed of a run, nor the order or number of other questions, moves an answer."""
    folder, _ = release
    before = {q.q_id: q for q in read(folder)["mmmu_pro"]}
    home = tmp_path / "multiple_discipline_reasoning"
    source = folder / home.name
    (home / "images").parent.mkdir(parents=True)
    (home / "images").symlink_to(source / "images")
    file = next(source.glob("*Design*.json"))
    items = list(json.loads(file.read_text()).items())[::-2]
    write_questions(home / file.name, dict(items))
    random.seed(1)
    after = read(tmp_path)["mmmu_pro"]
    assert after == [before[q_id] for q_id, _ in items]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": " "}, "is empty"),
        ({"distraction": [""]}, "is empty"),
        ({"distraction": []}, "at least two"),
        ({"distraction": ["a", "a"]}, "repeats"),
        ({"distraction": ["left", "x"]}, "the answer 'left' is among the distractors"),
        ({"distraction": "right"}, "distraction"),
        ({"distraction": None}, "distraction"),
        ({"answer": None}, "answer"),
        ({"answer": ["a"]}, "answer"),
        ({"answer": True}, "answer"),
        ({"question": {}}, "question"),
        ({"answer": "\ud800"}, "Unicode"),
    ],
)
def test_a_broken_rule_is_told_with_file_and_q_id(tmp_path, change, reason):
    found = spatial(tmp_path, {"p": item(**change), "p--1": item()})
    assert reason in only_reasons(found[:1])
    assert found[0].q_id == "p"
    assert isinstance(found[1], Question)


@pytest.mark.parametrize("field", ["question", "answer", "distraction"])
def test_a_missing_field_is_told(tmp_path, field):
    broken = item()
    del broken[field]
    assert field in only_reasons(spatial(tmp_path, {"p": broken}))


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_question_that_is_no_object_is_told(tmp_path, value):
    assert "not JSON as expected" in only_reasons(spatial(tmp_path, {"p": value}))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"3",
        b'{"p": ',
        b"\xff\xfe",
        b'{"p": NaN}',
        b'{"a":' * 1000,
        b'{"a":' * 100_000,
        b"[" * 1000 + b"]" * 1000,
        b"[" * 200_000 + b"]" * 200_000,
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_told(tmp_path, data):
    assert only_reasons(spatial(tmp_path, data))


def test_repeated_keys_are_seen(tmp_path):
    twice = b'{"p": %s, "p": %s, "p--1": {"question": "q", "question": "r", "answer": "a", "distraction": ["b"]}}'
    one = json.dumps(item()).encode()
    first, second = spatial(tmp_path, twice % (one, one))
    assert "more than once" in only_reasons([first])
    assert "'question' comes more than once" in only_reasons([second])


def test_a_q_id_in_two_files_is_told(tmp_path):
    write_questions(tmp_path / "spatial_reasoning" / f"a{ENDING}", {"p": item()})
    first, second = spatial(tmp_path, {"p": item()}, f"b{ENDING}")
    assert isinstance(first, Question)
    assert f"a{ENDING}" in only_reasons([second])


@pytest.mark.parametrize("q_id", ["../p", "a/b", "/etc/passwd", "a\\b", "..", "", "x\0y", "../../images/p"])
def test_a_q_id_cannot_point_elsewhere(tmp_path, q_id):
    assert "path separator" in only_reasons(spatial(tmp_path, {q_id: item()}))


def test_every_fault_of_a_question_is_told_at_once(tmp_path):
    reasons = only_reasons(spatial(tmp_path, {"gone": item(answer="x", distraction=["x", ""])}))
    for part in ("gone.jpg is missing", "among the distractors", "is empty"):
        assert part in reasons


def test_marks_without_image_and_missing_fields_of_mmmu(tmp_path):
    folder = tmp_path / "multiple_discipline_reasoning"
    write_questions(
        folder / f"MMMU_Pro_Art_3{ENDING}",
        {
            "a": item(question="See <image 7>.", ori_options="[]"),
            "b": item(),
            "c": item(question="", answer="<image 1>", distraction=["no"], ori_options="['<image 1>']"),
        },
    )
    a, b, c = read(tmp_path)["mmmu_pro"]
    assert "Art/a_image_7.png is missing" in "; ".join(a.reasons)
    assert "'ori_options' is missing" in "; ".join(b.reasons)
    assert "Art/c_image_1.png is missing" in "; ".join(c.reasons)


def test_seephys_needs_its_number_of_images_and_more_than_twelve_are_left_out(tmp_path):
    folder = tmp_path / "physical_reasoning"
    write_questions(
        folder / f"SeePhys_9{ENDING}",
        {
            "a--0": item(),
            "b--0": item(img_num=10**9),
            "c--0": item(img_num=13),
            "d--0": item(img_num=-1),
            "e--0": item(img_num="x"),
        },
    )
    a, b, c, d, e = read(tmp_path)["seephys"]
    assert "'img_num' is missing" in a.reasons
    assert b.too_many_images
    assert c.too_many_images
    assert not c.reasons
    assert "img_num" in d.reasons[0]
    assert "img_num" in e.reasons[0]


def test_file_names_without_a_category_are_told(tmp_path):
    write_questions(tmp_path / "general_visual_question_answering" / f"other{ENDING}", {"1": item()})
    assert "category" in only_reasons(read(tmp_path)["mmbench"])


def test_a_task_folder_without_json_is_told(tmp_path):
    (tmp_path / "spatial_reasoning" / "images").mkdir(parents=True)
    (tmp_path / "spatial_reasoning" / "images" / "p.jpg").write_bytes(b"x")
    (rejected,) = read(tmp_path)["spatial"]
    assert "no file" in rejected.reasons[0]


def test_what_is_no_release_is_refused(tmp_path):
    with pytest.raises(DataError, match="not an M3-Bench release"):
        release_sources(tmp_path)
    with pytest.raises(DataError, match="neither a folder nor a file"):
        release_sources(tmp_path / "gone")
    for name in ("a", "b"):
        write_questions(tmp_path / name / "spatial_reasoning" / f"x{ENDING}", {"p": item()})
    with pytest.raises(DataError, match="one release"):
        release_sources(tmp_path)


# --- pictures -------------------------------------------------------------------------------------------------------


def encoded(kind: str, size=(64, 48), mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    noise = Image.frombytes("RGB", size, random.Random(0).randbytes(size[0] * size[1] * 3))
    noise.convert(mode).save(out, kind)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("truncated_allowed", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>not found</html>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n",
        encoded("JPEG")[:-200],
        encoded("PNG")[:-2000],
        encoded("PNG")[:100] + b"\0" * 300 + encoded("PNG")[400:],
        png_header(50_000, 50_000),
        png_header(11_000, 11_000),
    ],
    ids=["empty", "html", "eps", "jpeg cut", "png cut", "png overwritten", "50000x50000", "121 megapixels"],
)
def test_a_broken_picture_is_told(tmp_path, data, truncated_allowed, monkeypatch):
    """Also when lmms-eval has told Pillow to let cut-short files pass."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", truncated_allowed)
    write_questions(tmp_path / "spatial_reasoning" / f"x{ENDING}", {"q": item()})
    picture = tmp_path / "spatial_reasoning" / "images" / "q.jpg"
    picture.parent.mkdir()
    picture.write_bytes(data)
    (found,) = read(tmp_path)["spatial"]
    assert "images/q.jpg" in only_reasons([found])
    assert truncated_allowed == ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(("width", "height"), [(50_000, 50_000), (11_000, 11_000), (10_001, 10_000)])
def test_a_huge_picture_is_refused_by_its_size_before_it_is_decoded(width, height):
    assert "pixels" in picture_problem(png_header(width, height))


@pytest.mark.parametrize(
    ("kind", "mode"),
    [("JPEG", "RGB"), ("JPEG", "L"), ("JPEG", "CMYK"), ("PNG", "P"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("GIF", "P")],
)
def test_whole_pictures_of_any_kind_pass_byte_by_byte(tmp_path, kind, mode):
    write_questions(tmp_path / "spatial_reasoning" / f"x{ENDING}", {"q": item()})
    picture = tmp_path / "spatial_reasoning" / "images" / "q.jpg"
    picture.parent.mkdir()
    picture.write_bytes(encoded(kind, mode=mode))
    (found,) = read(tmp_path)["spatial"]
    assert found.images == (picture.read_bytes(),)


@settings(max_examples=cases(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=4),
)
def test_overwritten_bytes_never_crash_the_check(kind, changes):
    data = bytearray(encoded(kind, (16, 12)))
    for place, value in changes:
        data[place % len(data)] = value
    problem = picture_problem(bytes(data))
    assert problem is None or isinstance(problem, str)


# --- archives -------------------------------------------------------------------------------------------------------


def hostile_zip(path: Path, name: str, data: bytes = b"{}", mode: int | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"spatial_reasoning/x{ENDING}", json.dumps({"p": item()}))
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        if mode is not None:
            info.external_attr = mode << 16
        archive.writestr(info, data)
    return path


@pytest.mark.parametrize(
    ("name", "data", "mode", "reason"),
    [
        ("../../evil.json", b"{}", None, "climb out"),
        ("spatial_reasoning/images/../../../evil", b"{}", None, "climb out"),
        ("/etc/evil", b"{}", None, "absolute"),
        ("C:/evil", b"{}", None, "absolute"),
        ("a\\..\\evil", b"{}", None, "climb out"),
        ("spatial_reasoning/images/p.jpg", b"/etc/passwd", stat.S_IFLNK | 0o777, "link"),
        ("spatial_reasoning/pipe", b"", stat.S_IFIFO | 0o666, "special"),
        ("spatial_reasoning/images/bomb.jpg", b"\0" * (20 * 2**20), None, "bomb"),
        (f"spatial_reasoning/x{ENDING}", b"{}", None, "one name"),
    ],
)
def test_a_hostile_zip_is_refused_as_a_whole(tmp_path, name, data, mode, reason):
    archive = tmp_path / "inner" / "r.zip"
    archive.parent.mkdir()
    hostile_zip(archive, name, data, mode)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=reason):
        release_sources(archive)
    assert sorted(tmp_path.rglob("*")) == before


def test_an_encrypted_or_damaged_zip_is_refused(release, tmp_path):
    archive = zip_release(release[0], tmp_path / "r.zip")
    data = archive.read_bytes()
    for broken in (data[: len(data) // 2], data[:-10], b"PK\x03\x04 nothing", b""):
        archive.write_bytes(broken)
        with pytest.raises(DataError, match="zip"):
            release_sources(archive)
    place = data.rindex(b"PK\x01\x02")  # the last entry's flags in the central directory
    archive.write_bytes(data[: place + 8] + b"\x01\x00" + data[place + 10 :])
    with pytest.raises(DataError, match="encrypted"):
        release_sources(archive)


def test_damage_inside_a_zip_is_told_by_the_checksum(release, tmp_path):
    archive = tmp_path / "r.zip"
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr(f"spatial_reasoning/x{ENDING}", json.dumps({"p": item()}))
        target.writestr("spatial_reasoning/images/p.jpg", encoded("JPEG"))
    data = bytearray(archive.read_bytes())
    data[data.index(b"JFIF") + 40] ^= 1
    archive.write_bytes(bytes(data))
    assert "cannot be read" in only_reasons(read(archive)["spatial"])


def test_files_over_the_size_caps_are_not_read_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(release_reader, "MAX_JSON_BYTES", 10)
    assert "larger than 10 bytes" in only_reasons(spatial(tmp_path, {"p": item()}))
    monkeypatch.undo()
    monkeypatch.setattr(release_reader, "MAX_FILE_BYTES", 10)
    assert "larger than 10 bytes" in only_reasons(spatial(tmp_path, {"p": item()}))


# --- anything ---------------------------------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["<image>", "<image 1>", "<|im_end|>", "  ", "\u202eabc", "😀"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
items = st.fixed_dictionaries(
    {},
    optional={
        "question": texts | values,
        "answer": texts | values,
        "distraction": st.lists(texts, max_size=3) | values,
        "img_num": st.integers(-2, 20) | values,
        "ori_options": texts | values,
    },
)


@settings(max_examples=cases(150), deadline=None)
@given(st.sampled_from(sorted(PUBLISHED)), st.dictionaries(texts, items | values, max_size=3) | values)
def test_any_json_gives_questions_or_reasons(tmp_path_factory, source, data):
    """No input makes the reader fail, and what it lets through is text for text what the file holds."""
    folder = tmp_path_factory.mktemp("any")
    name = {"mmbench": f"MMBench_a_b_1{ENDING}", "mmmu_pro": f"MMMU_Pro_A_B_1{ENDING}"}.get(source, f"x{ENDING}")
    file = folder / PUBLISHED[source].folder / name
    file.parent.mkdir()
    file.write_text(json.dumps(data), encoding="utf-8")
    for found in read(folder)[source]:
        if isinstance(found, Question):
            assert not found.images
            assert source in ("seephys", "mmmu_pro")
        else:
            assert found.too_many_images != bool(found.reasons)


@settings(max_examples=cases(200), deadline=None)
@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda tail: b"PK\x03\x04" + tail))
def test_any_bytes_as_a_zip_give_our_own_error(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("zip") / "r.zip"
    file.write_bytes(data)
    with pytest.raises(DataError):
        release_sources(file)


@given(texts, st.lists(st.integers(0, 99), max_size=5), texts)
def test_marks_and_pieces_put_together_are_the_text_again(before, marks, after):
    text = before + "".join(f"<image {mark}>{after}" for mark in marks)
    pieces, numbers = split_at_marks(text)
    assert len(pieces) == len(numbers) + 1
    rebuilt = "".join(
        piece + (f"<image {mark}>" if mark is not None else "")
        for piece, mark in zip(pieces, [*numbers, None], strict=True)
    )
    assert rebuilt == text

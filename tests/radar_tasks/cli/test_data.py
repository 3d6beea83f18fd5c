"""`radar data` from the command to the store, with a server on loopback that has every bad habit."""

from __future__ import annotations

import base64
import hashlib
import http.server
import io
import json
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import datasets
import pytest
from PIL import Image
from release import ENDING, make_release, write_questions, zip_release
from typer.testing import CliRunner

from radar_tasks.cli import data
from radar_tasks.errors import DataError
from radar_tasks.sources import release_download
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.store import open_source, stored_names


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(release_download.time, "sleep", lambda seconds: None)
    return tmp_path / "home"


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("around") / "release"
    return folder, make_release(folder, wiki=12)


@pytest.fixture(scope="module")
def archive(release, tmp_path_factory):
    return zip_release(release[0], tmp_path_factory.mktemp("zip") / "r.zip").read_bytes()


def radar_data(*arguments: object) -> str:
    result = CliRunner().invoke(data.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_release_goes_through_prepare_status_verify_and_show(release, home):
    folder, counts = release
    told = radar_data("prepare", folder)
    for name, count in counts.items():
        assert f"{name}: {count} questions" in told
        assert open_source(name).manifest.origin.location == str(folder)
    status = radar_data("status")
    for name, count in counts.items():
        (line,) = [line for line in status.splitlines() if line.strip().startswith(name + " ")]
        assert re.search(rf"\b{count}\b", line)
        assert f"{PUBLISHED[name].count:,}" in line
        assert "release: " in line
    assert "missing" not in status
    assert f"{len(counts)} sources checked, 0 problems" in radar_data("verify")
    assert set(json.loads(radar_data("status", "--json"))) == set(counts)


def test_status_of_an_empty_a_partial_and_a_damaged_store(release, home):
    assert "9 of the 9 sources are missing" in radar_data("status")
    assert "0 sources checked" in radar_data("verify")
    radar_data("prepare", release[0])
    (home / "sources" / "mmbench.parquet").write_bytes(b"no parquet")
    (home / "sources" / "seephys.parquet").unlink()
    status = radar_data("status")
    assert "damaged" in status
    assert "1 of the 9 sources are missing" in status
    assert "error" in json.loads(radar_data("status", "--json"))["mmbench"]
    result = CliRunner().invoke(data.app, ["verify"])
    assert result.exit_code == 1
    assert "mmbench: " in result.stdout
    assert "8 sources checked, 1 problems" in result.stdout


def test_skip_bad_is_shown_in_status(tmp_path):
    folder = tmp_path / "physical_reasoning"
    Image.new("RGB", (8, 8)).save(_parent(folder / "images" / "1_0.png"))
    sound = {"question": "?", "answer": "a", "distraction": ["b"], "img_num": 1}
    write_questions(
        folder / f"SeePhys_3{ENDING}",
        {"1--0": sound, "2--0": sound, "3--0": sound | {"img_num": 13}, "1--1": sound | {"answer": "b"}},
    )
    with pytest.raises(DataError, match=r"(?s)2--0.*is missing.*1--1.*among the distractors"):
        radar_data("prepare", tmp_path)
    assert stored_names() == []
    told = radar_data("prepare", tmp_path, "--skip-bad")
    assert told == "seephys: 1 questions, 2 broken ones skipped, 1 with more than 12 images left out\n"
    (line,) = [line for line in radar_data("status").splitlines() if "seephys" in line]
    assert line.split()[4:8] == ["1", "2,000", "2", "1"]
    assert open_source("seephys").manifest.for_results()["skipped"] == 2


def _parent(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def test_rebuild_from_a_local_copy(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.jpg")
    row = {"question": "What is x?", "choices": None, "answer": "12", "question_type": "free_form"}
    rows = [row | {"pid": str(k), "answer_type": "integer", "decoded_image": str(tmp_path / "p.jpg")} for k in range(3)]
    datasets.Dataset.from_list(rows).cast_column("decoded_image", datasets.Image()).save_to_disk(tmp_path / "data")
    assert radar_data("rebuild", "mathvista", "--from", tmp_path / "data") == "mathvista: 3 questions\n"
    assert open_source("mathvista").manifest.origin.kind == "public"
    seephys = [{"index": k, "question": "?", "answer": f"{k} N", "images": [str(tmp_path / "p.jpg")]} for k in range(3)]
    made = datasets.Dataset.from_list(seephys).cast_column("images", datasets.List(datasets.Image()))
    made.save_to_disk(tmp_path / "physics")
    assert "a stand-in" in radar_data("rebuild", "seephys", "--from", tmp_path / "physics")
    assert open_source("seephys").manifest.for_results()["stand_in"] is True
    assert "stand-in" in " ".join(radar_data("status").split())
    assert "2 sources checked, 0 problems" in radar_data("verify")
    with pytest.raises(DataError, match="a single source"):
        radar_data("rebuild", "--from", tmp_path)


def test_stand_ins_are_made_where_they_are_named_and_marked(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "1.jpg")
    row = {"image": "1.jpg", "caption": "The cat is left of the dog.", "label": 1, "relation": "left of"}
    (tmp_path / "vsr.jsonl").write_text("\n".join(map(json.dumps, [row, row | {"label": 0}])))
    told = radar_data("rebuild", "spatial", "--from", tmp_path / "vsr.jsonl")
    assert told == "spatial: 1 questions, 1 left out: a statement that is false of its picture, a stand-in\n"
    assert open_source("spatial").manifest.for_results()["stand_in"] is True
    with pytest.raises(DataError, match="wiki_plant is made from Wikipedia"):
        radar_data("rebuild", "wiki_plant", "--from", tmp_path)


def test_a_source_of_ones_own(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    table = tmp_path / "t.csv"
    table.write_text("image,title,category\np.png,robin,bird\np.png,finch,bird\n")
    assert "lmms_eval --tasks radar_birds" in radar_data("new", "birds", "--table", table)
    assert open_source("birds").manifest.ability == "perception"
    assert "birds" in radar_data("status")
    radar_data("new", "birds", "--table", table, "--ability", "reasoning")
    assert open_source("birds").manifest.ability == "reasoning"
    for name in ("mmbench", "Birds", "../birds", "mini_birds"):
        with pytest.raises(DataError):
            radar_data("new", name, "--table", table)
    assert stored_names() == ["birds"]


def test_a_picture_that_some_processors_refuse_is_named(tmp_path):
    Image.new("RGB", (6000, 20)).save(tmp_path / "wide.png")
    Image.new("RGB", (4000, 20)).save(tmp_path / "p.png")  # 200 : 1 is still taken
    table = tmp_path / "t.csv"
    table.write_text("image,title,category\np.png,robin,bird\nwide.png,finch,bird\n")
    told = radar_data("new", "birds", "--table", table)
    assert "Note: birds, question '2', image 0 ('wide.png'): 6000 x 20 pixels" in told
    verified = radar_data("verify")
    assert "Note: birds, question '2', image 0 ('wide.png'): 6000 x 20 pixels" in verified
    assert "question '1'" not in told + verified
    assert "1 sources checked, 0 problems, 1 notes." in verified


def test_every_kind_of_bad_row_can_be_left_out(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    table = tmp_path / "t.tsv"
    rows = ["p.png\trobin\tbird", "p.png\tfinch", 'p.png\t"owl\tbird', "p.png\t\tbird", "gone.png\twren\tbird"]
    table.write_text("image\ttitle\tcategory\n" + "\n".join([*rows, "p.png\ttit\tbird"]) + "\n")
    with pytest.raises(DataError) as told:
        radar_data("new", "birds", "--table", table)
    lines = str(told.value).splitlines()
    assert lines[0].startswith("4 of the questions are broken")
    assert [line.split(":")[0].strip() for line in lines[1:5]] == [f"t.tsv, row {k}" for k in (2, 3, 4, 5)]
    assert "2 questions, 4 broken ones skipped" in radar_data("new", "birds", "--table", table, "--skip-bad")
    assert [bad.file for bad in open_source("birds").manifest.skipped] == [f"t.tsv, row {k}" for k in (2, 3, 4, 5)]
    table.write_text("image\ttitle\tcategory\np.png\trobin\n")
    with pytest.raises(DataError, match="No sound question would be left"):
        radar_data("new", "birds", "--table", table, "--skip-bad")


def vlmevalkit(folder: Path, rows: int = 4) -> Path:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    image = base64.b64encode(picture.getvalue()).decode()
    lines = [f"{k}\t{image}\tWhich is {k}?\tred\tblue\t{'AB'[k % 2]}\tcolour" for k in range(rows)]
    path = folder / "bench.tsv"
    path.write_text("\n".join(["index\timage\tquestion\tA\tB\tanswer\tcategory", *lines]) + "\n")
    return path


def test_a_benchmark_is_shown_imported_exported_and_imported_again(tmp_path, home):
    table = vlmevalkit(tmp_path)
    shown = radar_data("import", "bench", "--from", table, "--show")
    assert "answer:   'answer', read as letters, A for the first option" in shown
    assert "0, colour: [picture 1: 8 x 8] Which is 0?\n  * red\n    blue\n" in shown
    assert "4 questions" in shown
    assert (home / "pages" / "bench.html").read_text().count("<article>") == 3
    assert stored_names() == []
    told = radar_data("import", "bench", "--from", table, "--ability", "reasoning")
    assert "bench: 4 questions" in told
    assert "lmms_eval --tasks radar_bench" in told
    first = open_source("bench")
    assert (first.manifest.ability, first.manifest.origin.kind) == ("reasoning", "table")
    for form, name in (("vlmevalkit", "out.tsv"), ("hf", "out.parquet")):
        radar_data("export", "bench", "--format", form, "--output", tmp_path / name)
        radar_data("import", "again", "--from", tmp_path / name, "--ability", "reasoning")
        assert [replace(q, source="bench") for q in open_source("again")] == list(first)


def test_rows_of_a_benchmark_that_are_left_out_are_counted(tmp_path):
    table = vlmevalkit(tmp_path, rows=3)
    lines = table.read_text().splitlines()
    copy = lines[1].replace("0\t", "1000000\t", 1).replace("red\tblue\tA", "blue\tred\tB")
    table.write_text("\n".join([*lines, copy, lines[1].replace("0\t", "9\t", 1).replace("\tA\t", "\tC\t"), ""]))
    reason = "column 'answer' holds 'C': not one of the 2 options, read as letters, A for the first option"
    shown = radar_data("import", "bench", "--from", table, "--show")
    assert "1 rows left out, a copy with rotated options, for circular evaluation" in shown
    assert f"1 rows left out, broken: {reason}" in shown
    with pytest.raises(DataError, match=f"bench.tsv, row 5, question '9': {reason}"):
        radar_data("import", "bench", "--from", table)
    told = radar_data("import", "bench", "--from", table, "--skip-bad")
    assert "bench: 3 questions, 1 broken ones skipped, 1 left out: a copy with rotated options" in told
    assert open_source("bench").manifest.left_out == {"a copy with rotated options, for circular evaluation": 1}


def test_import_by_recipe_and_its_errors(tmp_path):
    listed = radar_data("recipes")
    assert all(name in listed for name in ("mmstar", "pope", "Apache-2.0"))
    rows = [{"question": "Who eats?", "options": ["owl", "mouse"], "answer": str(k % 2)} for k in range(2)]
    table = tmp_path / "ai2d.jsonl"
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    table.write_text("\n".join(json.dumps(row | {"image": "p.png"}) for row in rows))
    assert "ai2d: 2 questions" in radar_data("import", "ai2d", "--from", table)
    assert open_source("ai2d").manifest.task == "Science diagrams"
    for arguments, told in (
        (["import", "nothing"], "no recipe 'nothing'.*--from FILE"),
        (["import", "mmbench", "--from", table], "a task of the benchmark already"),
        (["import", "x", "--from", table, "--map", "answer=gold"], "no column 'gold'"),
        (["import", "x", "--from", table, "--category", "kind"], "no column 'kind'"),
        (["import", "x", "--from", table, "--split", "test"], "one file and has no splits"),
        (["import", "x", "--from", table, "--config", "a"], "no configurations"),
        (["export", "nothing"], "not in"),
    ):
        with pytest.raises(DataError, match=told):
            radar_data(*arguments)


def test_show_writes_a_page_that_needs_nothing_else(release, home, tmp_path):
    radar_data("prepare", release[0])
    path = Path(radar_data("show", "mmmu_pro").strip())
    assert path.is_relative_to(home)
    page = path.read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:image/(?:png|jpeg);base64,)', page)
    assert page.count("<article>") == 27
    assert page.count('class="answer"') == 27
    few = Path(radar_data("show", "wiki_plant", "--questions", "5", "--output", tmp_path / "x.html").strip())
    assert few == tmp_path / "x.html"
    assert few.read_text(encoding="utf-8").count("<article>") == 5
    one = Path(radar_data("show", "seephys", "2--0").strip()).read_text(encoding="utf-8")
    assert one.count("<article>") == 1
    assert one.count("<img") == 3
    assert Path(radar_data("show", "mini_digits").strip()).is_file()
    with pytest.raises(DataError, match="no question 'x'"):
        radar_data("show", "seephys", "x")


def test_texts_cannot_become_part_of_the_page(tmp_path):
    evil = "<script>alert(1)</script>"
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    (tmp_path / "t.jsonl").write_text(
        json.dumps({"image": "p.png", "statement": f"Here is {evil} left", "opposite": f"Here is {evil} right{evil}"})
    )
    radar_data("new", "evil", "--table", tmp_path / "t.jsonl")
    page = Path(radar_data("show", "evil").strip()).read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 2


# --- download ---------------------------------------------------------------------------------------------------------

Answer = Callable[[http.server.BaseHTTPRequestHandler, int], None]


class Server:
    """Answers the n-th request with the n-th answer (the last one from then on)."""

    def __init__(self, *answers: Answer) -> None:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                server.requests.append(dict(self.headers))
                answers[min(len(server.requests), len(answers)) - 1](self, len(server.requests))
                self.close_connection = True

            def log_message(self, *arguments):
                pass

        self.requests: list[dict[str, str]] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/M3-Bench.zip"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._server.shutdown()
        self._server.server_close()


def send(
    content: bytes,
    *,
    stop: int | None = None,
    length: int | None = None,
    kind: str = "application/zip",
    tag: str = '"v1"',
    ranges: bool = True,
) -> Answer:
    """Serve `content`, breaking off after `stop` bytes, with a `length` that need not be true."""

    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = 0
        if asked and ranges and handler.headers.get("If-Range") == tag:
            start = int(asked[1])
            if start >= len(content):
                handler.send_response(416)
                handler.send_header("Content-Range", f"bytes */{len(content)}")
                handler.end_headers()
                return
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{length or len(content)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str((length or len(content)) - start))
        handler.send_header("ETag", tag)
        handler.end_headers()
        handler.wfile.write(content[start : None if stop is None else start + stop])

    return answer


def status(code: int) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def fetch(server: Server, target: Path, sha256: str | None = None) -> bytes:
    seen: list[tuple[int, int | None]] = []
    path = release_download.download(server.url, target, lambda *step: seen.append(step), sha256, pause=0)
    assert seen[-1][0] == path.stat().st_size
    assert sorted(file.name for file in target.parent.iterdir()) == [target.name]
    return path.read_bytes()


def test_download_then_prepare(archive, release, home, monkeypatch):
    with Server(send(archive)) as server:
        monkeypatch.setenv("RADAR_RELEASE_URL", server.url)
        assert "mmbench: 24 questions" in radar_data("download", "--sha256", hashlib.sha256(archive).hexdigest())
        assert set(stored_names()) == set(release[1])
        radar_data("download")  # the archive is there
        assert len(server.requests) == 1


def test_a_transfer_that_breaks_off_goes_on_where_it_stopped(archive, tmp_path):
    piece = len(archive) // 4
    with Server(send(archive, stop=piece)) as server:
        assert fetch(server, tmp_path / "d" / "r.zip") == archive
        starts = [int(re.search(r"\d+", request.get("Range", "0"))[0]) for request in server.requests]
    assert starts == [0, piece, 2 * piece, 3 * piece, 4 * piece][: len(starts)]
    assert len(starts) in (4, 5)


def test_another_call_goes_on_too(archive, tmp_path):
    target = tmp_path / "d" / "r.zip"
    with Server(send(archive, stop=1000), status(503)) as server:
        with pytest.raises(DataError, match=r"503.*What was received is kept"):
            fetch(server, target)
        assert len(server.requests) == 1 + release_download.TRIES  # the first brought something
    with Server(send(archive)) as server:
        assert fetch(server, target) == archive
        assert server.requests[0]["Range"] == "bytes=1000-"


def test_a_part_that_is_whole_already_is_taken(archive, tmp_path):
    target = tmp_path / "d" / "r.zip"
    target.parent.mkdir()
    target.with_name("r.zip.part").write_bytes(archive)
    target.with_name("r.zip.part.tag").write_text('"v1"')
    with Server(send(archive)) as server:
        assert release_download.download(server.url, target, lambda *step: None).read_bytes() == archive
        assert len(server.requests) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_anew(archive, tmp_path, ranges):
    old = b"x" * 500 + archive
    with Server(send(old, stop=400), send(archive, tag='"v2"', ranges=ranges)) as server:
        assert fetch(server, tmp_path / "d" / "r.zip") == archive


def test_a_server_that_cannot_resume_is_asked_from_the_start(archive, tmp_path):
    with Server(send(archive, stop=900, ranges=False), send(archive, ranges=False)) as server:
        assert fetch(server, tmp_path / "d" / "r.zip") == archive


def test_a_server_that_resumes_elsewhere_is_not_believed(archive, tmp_path):
    def elsewhere(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 10-{len(archive) - 1}/{len(archive)}")
        handler.send_header("Content-Length", str(len(archive) - 10))
        handler.end_headers()
        handler.wfile.write(archive[10:])

    with Server(send(archive, stop=900), elsewhere, send(archive)) as server:
        assert fetch(server, tmp_path / "d" / "r.zip") == archive


def test_a_length_larger_than_the_file_is_found_out(archive, tmp_path):
    with (
        Server(send(archive, length=len(archive) + 100, ranges=False)) as server,
        pytest.raises(DataError, match="times in a row"),
    ):
        fetch(server, tmp_path / "d" / "r.zip")
    assert not (tmp_path / "d" / "r.zip").exists()


def test_a_length_that_the_server_takes_back_when_asked_for_the_rest_is_no_harm(archive, tmp_path):
    with Server(send(archive, length=len(archive) + 100)) as server:
        assert fetch(server, tmp_path / "d" / "r.zip") == archive


def test_a_length_smaller_than_the_file_is_found_out(archive, tmp_path):
    with (
        Server(send(archive, length=len(archive) - 100)) as server,
        pytest.raises(DataError, match="not a whole zip file"),
    ):
        fetch(server, tmp_path / "d" / "r.zip")
    assert not (tmp_path / "d" / "r.zip").exists()


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_page_instead_of_the_file_is_refused(tmp_path, kind):
    with (
        Server(send(b"<!doctype html><html>Sign in</html>", kind=kind)) as server,
        pytest.raises(DataError, match=r"instead of a zip|not a whole zip"),
    ):
        fetch(server, tmp_path / "d" / "r.zip")
    assert not (tmp_path / "d" / "r.zip").exists()


def test_a_wrong_checksum_is_refused(archive, tmp_path):
    with Server(send(archive)) as server, pytest.raises(DataError, match="has the SHA-256"):
        fetch(server, tmp_path / "d" / "r.zip", "0" * 64)
    assert not (tmp_path / "d" / "r.zip").exists()


@pytest.mark.parametrize("code", [403, 404, 410])
def test_an_address_that_is_gone_is_told_at_once(tmp_path, code):
    with Server(status(code)) as server:
        with pytest.raises(DataError, match=str(code)):
            fetch(server, tmp_path / "d" / "r.zip")
        assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/x", "no address", "http://", "file:///etc/passwd"])
def test_what_is_no_address_is_told(tmp_path, url):
    with pytest.raises(DataError):
        release_download.download(url, tmp_path / "r.zip", lambda *step: None, pause=0)


def test_a_server_that_is_not_there_is_told(tmp_path):
    with Server(status(200)) as server:
        url = server.url
    with pytest.raises(DataError, match="times in a row"):
        release_download.download(url, tmp_path / "r.zip", lambda *step: None, pause=0)


def test_the_published_address_is_the_default(monkeypatch):
    monkeypatch.delenv("RADAR_RELEASE_URL", raising=False)
    assert "dropbox.com" in release_download.release_url()
    assert "dl=1" in release_download.release_url()  # the file, not a page about it

"""The stand-ins from Wikipedia and Visual Spatial Reasoning, against a server on loopback that answers as those do."""

from __future__ import annotations

import http.server
import io
import json
import threading
import urllib.parse
import zlib
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from radar_tasks.errors import DataError
from radar_tasks.questions import Question
from radar_tasks.sources import polite_client, wiki
from radar_tasks.sources.opposite_relations import OPPOSITE_OF, OppositeRelations
from radar_tasks.sources.polite_client import PoliteClient
from radar_tasks.sources.source_reader import STAND_IN, Rejected
from radar_tasks.sources.wiki import CATEGORIES, WikiSource

PAGES = 7
"""Articles a category; the server gives three at a time."""


def jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.full((9, 12, 3), shade, np.uint8)).save(out, "JPEG")
    return out.getvalue()


class Wiki:
    """A MediaWiki and its file server: pages come in threes, and one request in `busy` is refused at first."""

    def __init__(self):
        self.requests: list[str] = []
        self.agents: set[str] = set()
        self.refuse: list[tuple[int, dict[str, str], bytes]] = []
        self.fail_after: int | None = None
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append(self.path)
                outer.agents.add(self.headers["User-Agent"])
                if outer.fail_after is not None and len(outer.requests) > outer.fail_after:
                    self.connection.close()
                    return
                if outer.refuse:
                    status, headers, body = outer.refuse.pop()
                else:
                    status, headers, body = 200, {}, outer.answer(self.path)
                self.send_response(status if body is not None else 404)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *args):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path):
        url = urllib.parse.urlsplit(path)
        asked = {name: values[0] for name, values in urllib.parse.parse_qs(url.query).items()}
        if url.path.startswith("/file/"):
            name = urllib.parse.unquote(url.path.removeprefix("/file/"))
            return b"no picture" if "broken" in name else jpeg(zlib.crc32(name.encode()) % 256)
        assert asked["format"] == "json"
        assert asked["maxlag"] == "5"
        if asked.get("generator") == "categorymembers":
            return json.dumps(self.members(asked)).encode()
        return json.dumps({"query": {"pages": [self.file(title) for title in asked["titles"].split("|")]}}).encode()

    def members(self, asked):
        category, start = asked["gcmtitle"].removeprefix("Category:"), int(asked.get("gcmcontinue", "0"))
        pages = [{"title": f"{category} thing {k} (kind)", "pageimage": f"{category}_{k}.jpg"} for k in range(PAGES)]
        pages.append({"title": f"{category} without a picture"})
        pages.append({"title": f"List of {category}", "pageimage": "list.jpg"})
        pages.append({"title": f"{category} map", "pageimage": f"{category}_map.svg"})
        pages.append({"title": f"{category} not free", "pageimage": f"{category}_notfree.jpg"})
        pages.append({"title": f"{category} broken", "pageimage": f"{category}_broken.jpg"})
        answer = {"query": {"pages": pages[start : start + 3]}}
        if start + 3 < len(pages):
            answer["continue"] = {"gcmcontinue": str(start + 3), "continue": "gcmcontinue||"}
        return answer

    def file(self, title):
        name = title.removeprefix("File:").replace("_", " ")
        about = {"url": "original", "thumburl": f"{self.address}/file/{urllib.parse.quote(name)}", "mime": "image/jpeg"}
        about["extmetadata"] = {
            "LicenseShortName": {"value": "CC BY-SA 4.0"},
            "Artist": {"value": "<a href='x'>A &amp; B</a>"},
        }
        if name.endswith(".svg"):
            about["mime"] = "image/svg+xml"
        if "notfree" in name:
            return {"title": f"File:{name}", "missing": True}
        return {"title": f"File:{name}", "imageinfo": [about]}


@pytest.fixture
def server():
    server = Wiki()
    yield server
    server.close()


def source(server, folder, name="wiki_animal", count=20):
    client = PoliteClient(folder, pause=0.001)
    return WikiSource(name, client, count, f"{server.address}/wikipedia", f"{server.address}/commons")


def test_articles_become_questions_with_the_licence_of_their_picture(server, tmp_path):
    found = list(source(server, tmp_path).read())
    questions = [q for q in found if isinstance(q, Question)]
    assert len(questions) == 20
    categories = CATEGORIES["wiki_animal"]
    per_category = Counter(next(c for c in categories if q.q_id.startswith(c)) for q in questions)
    assert set(per_category) == set(categories)
    assert max(per_category.values()) - min(per_category.values()) <= 1
    for q in questions:
        category = next(c for c in categories if q.q_id.startswith(c))
        assert q.text == ("The image shows",)
        assert q.options[q.answer] == q.q_id
        assert "(kind)" not in q.q_id
        assert q.options[1 - q.answer] != q.q_id
        assert q.options[1 - q.answer].startswith(category)
        assert q.rule.startswith(STAND_IN)
        assert f"{q.image_id}, CC BY-SA 4.0, by A & B, Wikimedia Commons" in q.rule
        assert q.images == (jpeg(zlib.crc32(q.image_id.removeprefix("File:").replace("_", " ").encode()) % 256),)
    assert len({q.q_id for q in questions}) == 20
    assert list(source(server, tmp_path / "other").read()) == found


def test_pictures_that_cannot_be_used_are_left_out(server, tmp_path):
    found = list(source(server, tmp_path, count=10_000).read())
    questions = {q.q_id for q in found if isinstance(q, Question)}
    categories = CATEGORIES["wiki_animal"]
    assert questions == {f"{c} thing {k}" for c in categories for k in range(PAGES)}
    left_out = [r for r in found if isinstance(r, Rejected)]
    assert {r.left_out for r in left_out} == {"a picture that cannot be used"}
    assert [r.q_id for r in left_out] == [f"{c} broken" for c in categories]


def test_nothing_is_asked_twice_and_an_interrupted_run_goes_on(server, tmp_path, monkeypatch):
    monkeypatch.setattr(polite_client, "TRIES", 2)
    server.fail_after = 6
    with pytest.raises(DataError, match=r"2 times in a row\. What was received is kept; run it again"):
        list(source(server, tmp_path).read())
    server.fail_after = None
    server.requests, first = [], server.requests[:6]
    found = list(source(server, tmp_path).read())
    assert len(found) == 20
    assert not set(first) & set(server.requests)
    assert len(set(server.requests)) == len(server.requests)
    server.requests = []
    assert list(source(server, tmp_path).read()) == found
    assert server.requests == []


def test_the_client_says_who_it_is_and_waits_as_it_is_told(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RADAR_CONTACT", "someone@example.org")
    waited = []
    monkeypatch.setattr(polite_client.time, "sleep", waited.append)
    busy = json.dumps({"error": {"code": "maxlag", "info": "Waiting for a host: 6 seconds lagged"}}).encode()
    server.refuse = [(429, {"Retry-After": "7"}, b"slow down"), (200, {"Retry-After": "5"}, busy), (503, {}, b"")]
    client = PoliteClient(tmp_path, pause=0.01)
    answer = client.json(f"{server.address}/commons", {"titles": "File:x.jpg", "format": "json", "maxlag": "5"})
    assert answer["query"]["pages"][0]["title"] == "File:x.jpg"
    assert [round(seconds) for seconds in waited] == [0, 0, 5, 7]
    (agent,) = server.agents
    assert agent.startswith("lmms-eval-radar/")
    assert "someone@example.org" in agent


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ((404, {}, b""), "the server answers 404"),
        ((200, {}, b'{"error": {"code": "badvalue"}}'), "the server refuses: badvalue"),
        ((200, {}, b"<html>"), "an answer that is no JSON"),
        ((200, {}, b"[" * 100_000), "an answer that is no JSON"),
    ],
)
def test_answers_that_are_none_end_at_once(server, tmp_path, refused, told):
    server.refuse = [refused]
    with pytest.raises(DataError, match=told):
        PoliteClient(tmp_path, pause=0.001).json(f"{server.address}/commons", {"titles": "x"})
    assert len(server.requests) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_no_other_address_and_no_endless_file(server, tmp_path):
    client = PoliteClient(tmp_path, pause=0.001)
    with pytest.raises(DataError, match="no address to fetch from"):
        client.file("file:///etc/passwd", 100)
    with pytest.raises(DataError, match="larger than 10 bytes"):
        client.file(f"{server.address}/file/a.jpg", 10)


@pytest.mark.parametrize("answer", [b'{"query": []}', b'{"query": {"pages": {"a": 1}}}', b'{"continue": 3}'])
def test_an_interface_that_has_changed_gives_no_questions_and_no_traceback(server, tmp_path, answer):
    server.answer = lambda path: answer
    assert list(source(server, tmp_path).read()) == []
    server.answer = lambda path: b"[]"
    with pytest.raises(DataError, match="gives an answer that its interface does not describe"):
        list(source(server, tmp_path / "other").read())


def test_a_source_that_is_not_made_from_wikipedia(tmp_path):
    with pytest.raises(DataError, match="is not made from Wikipedia; these are: wiki_animal"):
        WikiSource("spatial", PoliteClient(tmp_path))
    assert set(CATEGORIES) == {"wiki_animal", "wiki_plant", "wiki_celebrity", "wiki_attraction"}
    assert wiki.WIKIPEDIA.startswith("https://")
    assert wiki.COMMONS.startswith("https://")


# --- spatial ----------------------------------------------------------------------------------------------------------


def vsr(**changes) -> dict:
    return {
        "image": "1.jpg",
        "image_link": "http://images.example.org/1.jpg",
        "caption": "The cat is left of the dog.",
        "label": 1,
        "relation": "left of",
    } | changes


def test_true_statements_stand_against_their_opposites(server, tmp_path):
    rows = [
        vsr(image_link=f"{server.address}/file/1.jpg"),
        vsr(image="2.jpg", caption="The bird is above the tree.", relation="above"),
        vsr(label=0),
        vsr(caption="The cat is touching the dog.", relation="touching"),
        vsr(caption="The left of the two is left of the dog."),
        vsr(caption=None),
    ]
    folder = tmp_path / "copy"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "2.jpg").write_bytes(jpeg(3))
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    client = PoliteClient(tmp_path / "kept", pause=0.001)
    left, above, false, touching, twice, bad = OppositeRelations(client, str(folder)).read()
    assert left.text == ("The cat is",)
    assert left.options[left.answer] == "left of the dog."
    assert left.options[1 - left.answer] == "right of the dog."
    assert (left.rule.startswith(STAND_IN), left.source, left.ability) == (True, "spatial", "reasoning")
    assert above.images == (jpeg(3),)
    assert above.options[1 - above.answer] == "below the tree."
    assert false.left_out == "a statement that is false of its picture"
    assert touching.left_out == twice.left_out == "a relation that has no single opposite"
    assert bad.reasons == ("column 'caption' is missing",)
    assert len(server.requests) == 1


def test_an_opposite_of_an_opposite_is_the_relation():
    assert all(OPPOSITE_OF[OPPOSITE_OF[relation]] == relation for relation in OPPOSITE_OF)


def test_a_data_set_without_the_columns_is_told(tmp_path):
    pq.write_table(pa.table({"caption": ["x"]}), tmp_path / "train.parquet")
    with pytest.raises(DataError, match="has no column image, label, relation; it has caption"):
        OppositeRelations(PoliteClient(tmp_path), str(tmp_path))

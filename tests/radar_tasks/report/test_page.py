"""The page as a file: escaping, size, and an old page that survives a failure."""

import errno
import json
import os
import re

import pytest
from radar_report_pages import HOSTILE, questions_of, tables, write_results

from radar_tasks.errors import RadarError
from radar_tasks.report.page import render_page, script_json, write_page


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    os.environ["RADAR_HOME"] = str(folder / "home")
    sources = {"wiki_animal": questions_of("wiki_animal", 20, [HOSTILE]), "spatial": questions_of("spatial", 20)}
    write_results(folder / "results", sources, lambda q, k: 0.3 + 0.2 * k, experiment=f"checkpoints/{HOSTILE[:24]}")
    yield tables(folder / "results")
    del os.environ["RADAR_HOME"]


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1])


def test_the_page_has_everything_and_asks_for_nothing(made):
    page = render_page(*made, title="A <b>title</b>")
    assert "A &lt;b&gt;title&lt;/b&gt;" in page
    for section in ("abilities", "sources", "asymmetry", "metrics", "questions", "ran"):
        assert f'id="{section}"' in page
    assert made[1][0].data["spatial"]["checksum"] in page
    assert "default-src 'none'" in page
    markup = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"""\s(?:src|href)=["'](?!#)""", markup)
    assert len(page) < 1_600_000


def test_text_from_data_ends_no_script_and_becomes_no_markup(made):
    page = render_page(*made, title=HOSTILE)
    assert page.count("<script") == 3
    assert "<img" not in page.split("<script>")[0]
    assert "<!--" not in re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    texts = [row[3][0] for row in data_of(page)["gallery"]["questions"]]
    assert HOSTILE in texts
    assert "49" not in texts  # the template engine has not looked at it


def test_json_in_a_script_can_be_read_back_and_holds_no_sign_that_matters_there():
    value = {"a": HOSTILE, "b": ["</ScRipt>", "<!--", "]]>", "\u2028\u2029", "\U0001f600"]}
    text = script_json(value)
    assert json.loads(text) == value
    assert not set(text) & set("<>&\u2028\u2029")
    with pytest.raises(ValueError, match="JSON"):
        script_json(float("nan"))


def test_a_full_disk_leaves_the_old_page_and_no_scraps(made, tmp_path, monkeypatch):
    page = tmp_path / "report.html"
    page.write_text("the old page")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("radar_tasks.files.os.fsync", full)
    with pytest.raises(RadarError, match=r"No space left on device.*old file is as it was"):
        write_page(page, *made, title="new")
    assert page.read_text() == "the old page"
    assert list(tmp_path.iterdir()) == [page]


def test_a_new_page_takes_the_place_of_the_old_one(made, tmp_path):
    page = tmp_path / "pages" / "report.html"
    write_page(page, *made, title="first")
    write_page(page, *made, title="second")
    assert '<h1 dir="auto">second</h1>' in page.read_text()
    assert [file.name for file in page.parent.iterdir()] == ["report.html"]


def test_a_page_is_live_only_when_it_is_renewed(made):
    assert 'data-live="30"' in render_page(*made, title="x", live=30)
    assert "data-live" not in re.sub(r"<script.*?</script>", "", render_page(*made, title="x"), flags=re.DOTALL)


def test_what_sds_is_stands_in_the_first_lines(made):
    page = render_page(*made, title="x")
    assert page.index("Soft Discrimination Score (SDS)") < page.index('class="tiles"')

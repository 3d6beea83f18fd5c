"""The script of the charts: made once, kept, made again when the kept one is damaged."""

import pytest

from radar_tasks.report import chart_library as module


@pytest.fixture
def made(tmp_path, monkeypatch):
    """How often it was put together; each script is another one."""
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    calls = []

    def bundle(snippet):
        calls.append(snippet)
        return f"script {len(calls)} </script> <!-- {snippet}"

    monkeypatch.setattr(module.vl_convert, "javascript_bundle", bundle)
    yield calls
    module.chart_library.cache_clear()


def fresh():
    module.chart_library.cache_clear()
    return module.chart_library()


def test_it_is_put_together_once_and_ends_no_script_element(made):
    first = fresh()
    assert fresh() == first
    assert len(made) == 1
    assert "</script" not in first
    assert "<!--" not in first


def test_a_damaged_one_is_made_again(made, tmp_path):
    fresh()
    (kept,) = (tmp_path / "home" / "report").iterdir()
    kept.write_text(kept.read_text()[:-3])
    assert fresh().startswith("script 2 ")
    kept.write_bytes(b"\xff\xfe")
    assert fresh().startswith("script 3 ")
    assert fresh().startswith("script 3 ")


def test_a_data_home_that_cannot_be_written_costs_time_only(made, tmp_path):
    (tmp_path / "home").write_text("a file stands there")
    assert fresh().startswith("script 1 ")
    assert fresh().startswith("script 2 ")

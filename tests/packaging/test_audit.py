"""What `make check` says of known holes in the dependencies."""

import importlib.util
import json
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def judge():
    file = Path(__file__).parents[2] / "packaging" / "audit.py"
    spec = importlib.util.spec_from_file_location("audit", file)  # the folder's name is that of a package on PyPI
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.judge


SOUND = {"name": "numpy", "version": "2.3.0", "vulns": []}
UNKNOWN = {"name": "torch", "skip_reason": "Dependency not found on PyPI and could not be audited: torch (2.15.0)"}


def with_hole(*fixed_in):
    hole = {"id": "PYSEC-2026-7", "fix_versions": list(fixed_in), "aliases": [], "description": ""}
    return {"name": "pillow", "version": "11.0.0", "vulns": [hole]}


def report(*packages):
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_hole_that_a_newer_version_closes_ends_the_check(judge):
    lines, status = judge(report(SOUND, with_hole("11.0.1", "12.0.0")))
    assert status == 1
    assert "  pillow 11.0.0: PYSEC-2026-7, closed in 11.0.1, 12.0.0" in lines
    assert lines[0] == "2 of 2 packages checked for known holes: 1 found."
    assert lines[-1] == "Run `make lock`."


def test_a_hole_that_no_version_closes_is_told(judge):
    lines, status = judge(report(SOUND, with_hole(), UNKNOWN))
    assert (lines, status) == (
        [
            "2 of 3 packages checked for known holes: 1 found.",
            "  pillow 11.0.0: PYSEC-2026-7, no version closes it yet",
        ],
        0,
    )


@pytest.mark.parametrize("told", ["", "error: no network", "[]", "{}", report(UNKNOWN, UNKNOWN)])
def test_where_nothing_could_be_checked_it_says_so(judge, told):
    (line,), status = judge(told)
    assert "NOT checked" in line
    assert status == 0

"""The wheel that users install: what it holds, and that the manual inside is whole."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        yield archive


def test_relative_links_and_pictures_of_the_manual_hold(wheel):
    names = set(wheel.namelist())
    pages = [name for name in names if name.startswith("radar_tasks/manual/") and name.endswith(".md")]
    assert {"radar_tasks/manual/README.md", "radar_tasks/manual/docs/data.md"} <= set(pages)
    broken = []
    for page in pages:
        for target in LINK.findall(wheel.read(page).decode()):
            parts: list[str] = []
            for part in PurePosixPath(page).parent.joinpath(target).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            path = "/".join(parts)
            if path not in names and not any(name.startswith(path.rstrip("/") + "/") for name in names):
                broken.append(f"{page}: {target}")
    assert not broken


def test_it_brings_tasks_sample_checkpoints_and_the_line_for_start_up(wheel):
    names = wheel.namelist()
    for wanted in (
        "lmms_eval_radar.pth",
        "radar_tasks/task_configs/lmms_eval/radar/radar.yaml",
        "radar_tasks/sample/mini_sum.parquet",
        "radar_tasks/checkpoints/step-02400/model.safetensors",
        "radar_tasks/py.typed",
    ):
        assert wanted in names
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or name.endswith(".pyc")]


def test_uninstalling_leaves_nothing(wheel):
    """pip removes what RECORD lists; nothing of ours is written beside it at installation."""
    record = wheel.read(next(name for name in wheel.namelist() if name.endswith(".dist-info/RECORD"))).decode()
    listed = {line.rsplit(",", 2)[0] for line in record.splitlines()}
    assert set(wheel.namelist()) <= listed

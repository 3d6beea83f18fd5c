"""What docs/python.md shows runs, in its order, on results like those of `make demo`."""

import contextlib
import io
import re
from pathlib import Path

import fake_runs
import pytest

from radar_tasks import paths
from radar_tasks.scoring.checkpoints import CheckpointOptions, load

ROOT = Path(__file__).parent.parent
SNIPPET = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
STEPS = (0, 200, 1000, 2400)


def snippets(page: str) -> list[str]:
    return SNIPPET.findall((ROOT / page).read_text(encoding="utf-8"))


@pytest.fixture
def demo(tmp_path, monkeypatch):
    """A folder with results of four checkpoints on the embedded sample."""
    skills = dict.fromkeys(fake_runs.SAMPLE, (0.0, 0.5, 1.5, 3.0))
    fake_runs.write_curve(tmp_path / "demo" / "results", STEPS, skills, n=60)
    monkeypatch.chdir(tmp_path)


def test_every_snippet_of_the_page_for_python_runs(demo):
    found = snippets("docs/python.md")
    assert len(found) >= 7
    names: dict[str, object] = {}
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for snippet in found:
            exec(compile(snippet, "docs/python.md", "exec"), names)
    assert Path("abilities.svg").read_text().startswith("<svg")
    assert "emerges at" in printed.getvalue()
    assert printed.getvalue().count("sum-") >= 20  # questions of the last snippet
    assert len(names["metrics"]) == len(STEPS) * (len(fake_runs.SAMPLE) + 2)


def test_the_snippets_of_the_readme_run(demo):
    """The loop over a model in training needs one: the shipped checkpoint, and a loader of two batches."""
    checkpoint = load(CheckpointOptions(pretrained=str(paths.checkpoints() / "step-00200"), dtype="float32"))
    names: dict[str, object] = {
        "model": checkpoint.model,
        "processor": checkpoint.processor,
        "loader": range(2),
    }
    measured = io.StringIO()
    with contextlib.redirect_stdout(measured):
        for snippet in snippets("README.md"):
            small = snippet.replace('["mmbench", "spatial"], every=500', '["mini_colour"], every=1, questions=4')
            exec(compile(small, "README.md", "exec"), names)
    assert set(names["numbers"]) >= {"radar/perception_sds", "radar/mini_colour_sds"}
    assert (Path("results") / "exp1" / "step-000001").is_dir()
    assert measured.getvalue().count("sum-") == 20

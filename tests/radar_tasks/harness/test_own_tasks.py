"""A source made with `radar data new` is a task of lmms-eval, and the nine leaves are there with their groups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from PIL import Image

from radar_tasks import paths
from radar_tasks.harness.own_tasks import own_task_folder
from radar_tasks.questions import ABILITIES
from radar_tasks.sources.benchmark import BenchmarkSource
from radar_tasks.sources.benchmark_recipes import benchmark_recipes
from radar_tasks.sources.catalogue import PUBLISHED
from radar_tasks.sources.own_table import TableSource
from radar_tasks.store import source_path
from radar_tasks.store.preparation import prepare


@pytest.fixture
def birds(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RADAR_HOME", str(tmp_path / "home"))
    Image.new("RGB", (8, 8)).save(tmp_path / "p.png")
    rows = [{"image": "p.png", "title": title, "category": "bird"} for title in ("robin", "finch")]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prepare([TableSource("birds", tmp_path / "t.jsonl")], False, lambda source, count: None)
    return tmp_path / "home"


def test_a_source_of_ones_own_becomes_a_task_and_goes_with_it(birds):
    folder = own_task_folder()
    task = yaml.safe_load((folder / "radar_birds.yaml").read_text())
    assert (task["task"], task["dataset_name"]) == ("radar_birds", "birds")
    assert Path(task["include"]).is_file()
    (folder / "radar_birds.yaml").write_text("task: radar_birds\ninclude: /moved/away\n")
    (folder / "radar_gone.yaml").write_text("task: radar_gone\n")
    assert [file.name for file in own_task_folder().iterdir()] == ["radar_birds.yaml"]
    assert Path(yaml.safe_load((folder / "radar_birds.yaml").read_text())["include"]).is_file()
    source_path("birds").unlink()
    assert own_task_folder() is None


def test_a_home_that_cannot_be_written_costs_only_these_tasks(birds):
    (birds / "tasks").write_text("in the way")
    assert own_task_folder() is None


def test_lmms_eval_finds_them_all(birds):
    from lmms_eval.tasks import TaskManager

    from radar_tasks.harness.patches import task_index

    task_index.install()
    manager = TaskManager(include_defaults=False)  # those of lmms-eval itself take twenty seconds
    assert manager.task_index["radar_birds"]["type"] == "task"
    leaves = manager.load_task_or_group(["radar_birds"])
    assert len(leaves["radar_birds"].documents) == 2
    assert {"radar_mmstar", "radar_more_perception", "radar_more_reasoning"} <= set(manager.task_index)
    assert {"radar", "radar_perception", "radar_reasoning", *(f"radar_{name}" for name in PUBLISHED)} <= set(
        manager.task_index
    )


def test_the_groups_of_public_benchmarks_hold_what_is_imported(birds, tmp_path):
    folder = paths.task_configs("lmms_eval") / "radar_more"
    for ability in ABILITIES:
        expected = [f"radar_{name}" for name, recipe in benchmark_recipes().items() if recipe.ability == ability]
        assert yaml.safe_load((folder / f"radar_more_{ability}.yaml").read_text())["task"] == expected
    for name in benchmark_recipes():
        leaf = yaml.safe_load((folder / f"radar_{name}.yaml").read_text())
        assert (leaf["task"], leaf["dataset_name"]) == (f"radar_{name}", name)
    rows = [{"question": "Who eats?", "options": ["owl", "mouse"], "answer": k, "image": "p.png"} for k in range(2)]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, rows)))
    recipe = benchmark_recipes()["ai2d"]
    prepare([BenchmarkSource("ai2d", str(tmp_path / "b.jsonl"), recipe.settings())], False, lambda source, count: None)
    own = own_task_folder()
    assert sorted(file.name for file in own.iterdir()) == ["radar_birds.yaml", "radar_more_reasoning.yaml"]
    assert yaml.safe_load((own / "radar_more_reasoning.yaml").read_text())["task"] == ["radar_ai2d"]


def test_groups_hold_the_catalogue_in_its_order():
    folder = paths.task_configs("lmms_eval") / "radar"
    for ability in ("perception", "reasoning"):
        text = (folder / f"radar_{ability}.yaml").read_text()
        expected = [f"radar_{name}" for name, source in PUBLISHED.items() if source.ability == ability]
        assert yaml.safe_load(text)["task"] == expected
    for name in PUBLISHED:
        leaf = yaml.safe_load((folder / f"radar_{name}.yaml").read_text())
        assert (leaf["task"], leaf["dataset_name"]) == (f"radar_{name}", name)
        assert ("categories" in leaf["include"]) == (name in ("mmbench", "mmmu_pro"))

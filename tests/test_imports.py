"""The arrows of the design point down: each room knows only the ones before it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

RULES = {
    # folder: what its modules must not import, anywhere in them
    "radar_metrics": {"torch", "transformers", "lmms_eval", "lm_eval", "datasets", "pyarrow", "altair", "radar_tasks"},
    "radar_tasks/scoring": {"lmms_eval", "lm_eval", "radar_tasks.harness", "radar_tasks.store", "radar_tasks.results"},
    "radar_tasks/store": {"torch", "lmms_eval", "lm_eval", "radar_tasks.scoring", "radar_tasks.harness"},
    "radar_tasks/sources": {
        "torch",
        "lmms_eval",
        "lm_eval",
        "radar_tasks.store",
        "radar_tasks.scoring",
        "radar_tasks.harness",
    },
    "radar_tasks/analysis": {"lmms_eval", "lm_eval", "torch", "radar_tasks.harness", "altair", "typer"},
    "radar_tasks/report": {"lmms_eval", "lm_eval", "torch", "radar_tasks.harness", "typer"},
    "radar_tasks/export": {"lmms_eval", "lm_eval", "torch", "radar_tasks.harness", "typer"},
}


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("folder", RULES)
def test_a_room_knows_only_those_before_it(folder):
    files = list((ROOT / folder).rglob("*.py"))
    assert files
    wrong = {
        f"{file.relative_to(ROOT)}: {name}"
        for file in files
        for name in imported(file)
        for banned in RULES[folder]
        if name == banned or name.startswith(banned + ".")
    }
    assert not wrong


def test_only_the_harness_folder_imports_a_harness():
    outside = [
        file for file in (ROOT / "radar_tasks").rglob("*.py") if "harness" not in file.parts and "cli" not in file.parts
    ]
    assert not [file for file in outside for name in imported(file) if name.split(".")[0] in ("lmms_eval", "lm_eval")]


def test_the_command_line_starts_without_anything_heavy():
    heavy = ["torch", "transformers", "lmms_eval", "lm_eval", "datasets", "pyarrow", "altair", "scipy", "pandas"]
    code = f"import sys, radar_tasks.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

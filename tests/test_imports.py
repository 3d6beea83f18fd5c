"""The table of rooms in CONTRIBUTING.md is the rule: each room knows only those that its line names."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LARGE = {"torch", "transformers", "lmms_eval", "lm_eval", "datasets", "pyarrow", "altair", "typer"}
"""Libraries that are slow to import or belong to one room; the table says who may have them."""

LINE = re.compile(r"^\| `(?P<room>radar_\w+(?:/\w+)*)` \|(?P<what>[^|]+)\|(?P<knows>[^|]*)\|(?P<large>[^|]*)\|$")


def table() -> dict[str, tuple[set[str], set[str]]]:
    """By room: the rooms it knows, and the large libraries it imports."""
    lines = (LINE.match(line) for line in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines())
    found = [line for line in lines if line]
    rooms = {line["room"] for line in found}
    rules = {}
    for line in found:
        knows = rooms if line["knows"].strip() == "all" else {_full(name) for name in _named(line["knows"])}
        assert knows <= rooms, f"{line['room']} knows {knows - rooms}, which have no line"
        rules[line["room"]] = (knows, set(_named(line["large"])))
    return rules


def _named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def _full(name: str) -> str:
    return name if name.startswith("radar_") else f"radar_tasks/{name}"


RULES = table()


def room_of(path: str) -> str:
    """The innermost room that a file or module lies in, written with slashes."""
    return max((room for room in RULES if path == room or path.startswith(room + "/")), key=len)


def modules_in(folder: str) -> list[Path]:
    return [file for file in (ROOT / folder).rglob("*.py") if room_of(str(file.relative_to(ROOT).parent)) == folder]


def imported(file: Path) -> set[str]:
    """Modules that a file imports anywhere in it, without those that only a type checker reads twice over."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from radar_tasks import paths` names a module, `from radar_tasks.paths import sample` one, too.
            is_package = (ROOT / node.module.replace(".", "/")).is_dir()
            names |= {f"{node.module}.{alias.name}" if is_package else node.module for alias in node.names}
    return names


def test_every_package_has_a_line():
    packages = {
        str(file.parent.relative_to(ROOT))
        for top in ("radar_metrics", "radar_tasks")
        for file in (ROOT / top).rglob("*.py")
    }
    without = {package for package in packages if room_of(package) in ("radar_tasks",) and package != "radar_tasks"}
    assert not without, "CONTRIBUTING.md's table of rooms has no line for them"
    assert all((ROOT / room).is_dir() for room in RULES)


@pytest.mark.parametrize("room", RULES)
def test_a_room_knows_only_those_of_its_line(room):
    files = modules_in(room)
    assert files
    knows, large = RULES[room]
    wrong = set()
    for file in files:
        for name in imported(file):
            top = name.split(".")[0]
            if top in ("radar_metrics", "radar_tasks"):
                other = room_of(_path_of(name))
                if other != room and other not in knows:
                    wrong.add(f"{file.relative_to(ROOT)}: {name}")
            elif top in LARGE - large:
                wrong.add(f"{file.relative_to(ROOT)}: {name}")
    assert not wrong


def _path_of(module: str) -> str:
    """The folder of a module, or of what is imported from a package's `__init__`."""
    path = module.replace(".", "/")
    return path if (ROOT / path).is_dir() else path.rpartition("/")[0]


def test_no_two_files_of_the_package_answer_to_one_name():
    """Except one subject seen from two rooms: a command `radar X` calls what makes X."""
    places: dict[str, set[str]] = {}
    for file in (ROOT / "radar_tasks").rglob("*.py"):
        if file.stem not in ("__init__", "__main__"):
            places.setdefault(file.stem, set()).add(str(file.parent.relative_to(ROOT / "radar_tasks")))
    wrong = {name: folders for name, folders in places.items() if len(folders - {"cli", "."}) > 1}
    assert not {name: folders for name, folders in wrong.items() if name not in SAME_SUBJECT}


SAME_SUBJECT = {
    # A table of `analysis`, and its chart or page in `report`.
    **dict.fromkeys(
        (
            "asymmetry",
            "bottleneck",
            "intervention",
            "metric_quality",
            "movers",
            "question_audit",
            "prior_split",
            "scaling",
            "stability",
        ),
        "what analysis finds and report shows",
    ),
    "leaderboard": "the paper's tables, made in analysis and drawn in report",
}
"""Names that two rooms share besides `cli`, each with the one subject."""


def test_the_command_line_starts_without_anything_heavy():
    heavy = [
        "torch",
        "transformers",
        "lmms_eval",
        "lm_eval",
        "datasets",
        "pyarrow",
        "altair",
        "scipy",
        "pandas",
        "numpy",
    ]
    code = f"import sys, radar_tasks.cli; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"

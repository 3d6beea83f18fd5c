"""Nothing but `scoring/families.py` compares a model_type with a name, or knows a family's by heart."""

import ast
from pathlib import Path

import pytest
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES,
)

from radar_tasks.scoring.families import FAMILIES, Family

PACKAGE = Path(__file__).parents[3] / "radar_tasks"
TABLE = PACKAGE / "scoring" / "families.py"


def compares_model_types(source):
    """Lines where something called `model_type` meets a text: in a comparison, as a key, in a `match`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
        elif isinstance(node, ast.Match):
            sides = [node.subject, *(pattern for case in node.cases for pattern in ast.walk(case.pattern))]
        else:
            continue
        names = {
            ast.unparse(part).rpartition(".")[2] for side in sides for part in ast.walk(side) if hasattr(part, "ctx")
        }
        texts = [
            p for side in sides for p in ast.walk(side) if isinstance(p, ast.Constant) and isinstance(p.value, str)
        ]
        texts = [text for text in texts if text.value != "model_type"]
        if "model_type" in names and texts:
            found.append(node.lineno)
    return found


@pytest.mark.parametrize("line", ['a.model_type == "llava"', 'model_type in ("git", "blip")', '"x" != c.model_type'])
def test_a_comparison_is_found(line):
    assert compares_model_types(line) == [1]


def test_only_the_table_knows_families():
    files = [file for file in PACKAGE.rglob("*.py") if file != TABLE]
    assert len(files) > 100
    assert not {file.relative_to(PACKAGE): lines for file in files if (lines := compares_model_types(file.read_text()))}


def test_entries_are_families_that_transformers_has_and_say_something():
    known = {*MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, *MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES}
    assert set(FAMILIES) <= known
    assert Family() not in FAMILIES.values()

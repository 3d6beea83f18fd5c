"""The study's file of factors says what its plan says."""

from pathlib import Path

import yaml

from radar_tasks.analysis.run_descriptions import read_descriptions

STUDY = Path(__file__).parents[3] / "studies" / "tiny"


def test_the_studys_factors_are_those_of_its_plan():
    plan = yaml.safe_load((STUDY / "plan.yaml").read_text(encoding="utf-8"))
    rows = {(row.run, row.factor): row.level for row in read_descriptions(STUDY / "runs.csv")}
    of_base = {"width": "128", "documents": str(plan["steps"] * plan["batch"]), "mix": "base"}
    for (run, factor), level in rows.items():
        about = plan["runs"][run]
        if factor != "strategy":
            planned = {"width": about.get("width"), "documents": about.get("pool"), "mix": about.get("mix")}[factor]
            assert level == str(planned or of_base[factor])
    differing = {run for run, about in plan["runs"].items() if {"width", "pool", "mix"} & set(about)}
    # Runs that also differ in something else (their length, a mix that changes on the way) are at no level.
    apart = {run for run, about in plan["runs"].items() if {"later", "steps"} & set(about)}
    assert differing - apart == {run for run, factor in rows if factor != "strategy"} - {"base-1", "base-2", "base-3"}

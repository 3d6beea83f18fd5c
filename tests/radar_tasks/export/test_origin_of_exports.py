"""Whatever is published of results that an older version wrote on some machine: a release, UTC, and no path of it."""

import json

import pytest
from fake_runs import simulate, write_run
from typer.testing import CliRunner

from radar_tasks.cli import app

PLACE = "/srv/zebulon/secret-project/exp1"
TELLTALE = (
    "/srv",
    "srv-zebulon",
    "zebulon",
    "secret-project",
    "36d9245",
    "10:11:12",
    "101112",
    "T10-11",
    "Singapore",
)


@pytest.fixture
def old_results(tmp_path):
    """As lmms-eval wrote them at 02:11:12 UTC, from inside a git repository."""
    for step in (100, 200):
        sources = {source: simulate(source, 8, 0.5 + step / 400, seed=step) for source in ("spatial", "wiki_plant")}
        scoring = {"pretrained": f"{PLACE}/step-{step:05d}", "adapter": f"{PLACE}/lora", "processor": PLACE}
        file = write_run(tmp_path / "in", f"step-{step:05d}", sources, experiment=PLACE, scoring=scoring)
        results = json.loads(file.read_text())
        results |= {"lmms_eval_version": "main@36d9245", "git_hash": "36d9245"}
        for config in results["configs"].values():
            config["radar"]["data"]["origin"] = {"kind": "table", "location": f"{PLACE}/table.csv"}
        file.write_text(json.dumps(results))
    return tmp_path / "in"


@pytest.mark.parametrize(
    "command",
    [
        ["export", "--format", "csv", "--output", "out/values.csv"],
        ["export", "--format", "parquet", "--output", "out/values.parquet"],
        ["export", "--format", "markdown", "--output", "out/table.md"],
        ["export", "--format", "latex", "--output", "out/table.tex"],
        ["export", "--format", "eval_results", "--dataset-id", "o/n", "--output", "out"],
        ["export", "--format", "every_eval_ever", "--organisation", "o", "--output", "out"],
        ["report", "--output", "out/page.html"],
        ["analyze", "--json", "out/tables.json"],
        ["leaderboard", "--format", "csv"],
        ["results", "pack", "--output", "out/run.parquet"],
    ],
    ids=lambda command: "-".join(command[:3]),
)
def test_nothing_of_the_machine_is_published(old_results, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    at = 2 if command[0] == "results" else 1
    done = CliRunner().invoke(app, [*command[:at], str(old_results), *command[at:]], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert written or command[0] == "leaderboard"
    said = done.stdout.replace(str(tmp_path), "")
    for path in written:
        said += f"{path.relative_to(tmp_path)}\n" + path.read_bytes().decode("utf-8", "replace")
        assert not path.name.startswith(("-", "."))
    assert not [text for text in TELLTALE if text in said]
    if command[0] in ("export", "report") and "markdown" not in command and "latex" not in command:
        assert "2026-11-23T02:11:12Z" in said or "2026-11-23 02:11 UTC" in said

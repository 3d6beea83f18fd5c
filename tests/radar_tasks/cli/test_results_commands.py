"""The commands on results: what they print, and errors as one line without a traceback."""

import csv
import io
import json
import sys

import numpy as np
import pytest
from fake_runs import ABILITIES, simulate, write_curve, write_run
from rich.console import Console
from typer.testing import CliRunner

from radar_tasks import cli
from radar_tasks.analysis.compare import compare
from radar_tasks.cli.compare import overview, show
from radar_tasks.results import load_run


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for name, skill in (("A", 0.4), ("B", 0.6)):
        write_run(folder / name, name, {s: simulate(s, 12, skill=skill, seed=ord(name)) for s in ABILITIES})
    blind = {s: simulate(s, 12, skill=0.0, seed=3) for s in ABILITIES}
    write_run(folder / "blind", "B", blind, scoring={"blind": True})
    write_curve(folder / "curve", [100, 200, 300, 400], {"spatial": [0, 0.3, 0.6, 0.9], "seephys": [0, 0, 0, 0.1]})
    return folder


def radar(*arguments):
    done = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["radar", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("radar: ")
    assert "Traceback" not in error
    return error


def test_compare_prints_a_table_a_metric(results):
    text = radar("compare", results / "A", results / "B", "--resamples", 200)
    assert "B minus A" in text
    for part in ("sds (higher is better)", "acc (higher is better)", "perception", "wiki_plant", "95% interval"):
        assert part in text


def test_compare_with_a_blind_twin_and_published_rows(results):
    assert "Visual gain: what the picture added, B minus B (blind)" in radar(
        "compare", results / "B", results / "blind", "--resamples", 200, "--metric", "sds"
    )
    text = radar("compare", "published:Qwen2-VL-2B", results / "A")
    assert "no pairs, no interval" in text
    assert "0.6940" in text


def test_comparisons_fit_80_columns_and_many_runs_begin_with_an_overview(results):
    screen = Console(width=80, file=io.StringIO(), highlight=False)
    names = [results / "A", results / "B", results / "A"]
    compared = json.loads(radar("compare", *names, "--resamples", 200, "--format", "json"))
    assert [made["second"] for made in compared] == ["B", "A"]
    runs = [load_run(name) for name in names]
    made = [compare(runs[0], run, np.random.default_rng(0), resamples=200) for run in runs[1:]]
    screen.print(overview(made))
    for one in made:
        show(one, screen)
    lines = screen.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    for source in ABILITIES:  # no name is broken over two lines
        assert sum(line.startswith(source) for line in lines) == 4
    text = radar("compare", *names, "--resamples", 200)
    assert text.index("2 runs minus A") < text.index("B minus A")
    assert "runs minus" not in radar("compare", *names[:2], "--resamples", 200)


def test_a_comparison_is_the_same_in_every_format(results):
    arguments = ("compare", results / "A", results / "B", "--resamples", 200, "--format")
    (made,) = json.loads(radar(*arguments, "json"))
    rows = list(csv.DictReader(io.StringIO(radar(*arguments, "csv"))))
    markdown = radar(*arguments, "markdown")
    assert len(rows) == len(made["rows"]) == 2 * (len(ABILITIES) + 2)
    for row, line in zip(made["rows"], rows, strict=True):
        assert (line["source"], line["metric"], line["questions"]) == (
            row["name"],
            row["metric"],
            str(row["questions"]),
        )
        assert float(line["change"]) == pytest.approx(row["second"] - row["first"])
        assert float(line["low"]) == row["interval"]["low"]
        assert f"| {row['name']} | {row['first']:.4f} | {row['second']:.4f} |" in markdown
    assert markdown.startswith("**B minus A**")


def test_a_name_that_does_not_exist_is_answered_with_the_nearest(results, monkeypatch, capsys):
    pairs = [
        (("compare", results / "A", results / "B", "--metric", "sds_logits"), "Did you mean sds_logit"),
        (("analyze", results / "curve", "--metric", "margn"), "Did you mean margin"),
        (("agreement", results / "curve", "--metric", "briar"), "Did you mean brier"),
        (("agreement", results / "curve", "--on", "spatail"), "Did you mean spatial"),
        (("samples", results / "A", results / "B", "--source", "mathvsta"), "Did you mean mathvista"),
        (("plot", results / "curve", "--chart", "bottlenek", "--out", "x.svg"), "Did you mean bottleneck"),
    ]
    for arguments, said in pairs:
        assert said in refused(monkeypatch, capsys, *arguments)


def test_compare_says_what_is_wrong(results, monkeypatch, capsys):
    assert "one run only (A)" in refused(monkeypatch, capsys, "compare", results / "A")
    assert "there are LLaVA" in refused(monkeypatch, capsys, "compare", results / "A", "published:nobody")
    assert "images: shown against blind" in refused(monkeypatch, capsys, "compare", results / "A", results / "blind")


@pytest.mark.parametrize("form", ["terminal", "markdown", "latex"])
def test_leaderboard(results, form):
    text = radar("leaderboard", results / "A", results / "B", "--format", form)
    assert "Qwen2-VL-7B (published)" in text
    assert "0.758 / 0.736" in text
    assert text.index("Qwen2-VL-7B") < text.index("LLaVA-OV-proj-0.5B")


def test_leaderboard_as_csv(results):
    rows = list(csv.DictReader(io.StringIO(radar("leaderboard", results / "A", "--format", "csv"))))
    assert {row["origin"] for row in rows} == {"published", "run"}
    assert next(r for r in rows if r["model"] == "Qwen2-VL-2B" and r["source"] == "mmbench")["sds_logit"] == "0.681"


def test_agreement(results, tmp_path):
    (tmp_path / "sft.csv").write_text("checkpoint,sft\n" + "".join(f"step-00{k}00,{k / 10}\n" for k in (1, 2, 3, 4)))
    text = radar(
        "agreement", results / "curve", "--outside", tmp_path / "sft.csv", "--on", "spatial", "--format", "markdown"
    )
    header = next(line for line in text.splitlines() if line.startswith("| metric"))
    for column in ("tau with step", "noise", "growth / noise", "r with sft"):
        assert column in header
    assert "| sds | +1.000 |" in text


def test_agreement_needs_checkpoints(results, monkeypatch, capsys):
    assert "2 or more checkpoints" in refused(monkeypatch, capsys, "agreement", results / "A")


def test_samples_writes_a_page(results, tmp_path):
    page = tmp_path / "page.html"
    assert "5 questions" in radar("samples", results / "A", results / "B", "--count", 5, "--output", page)
    assert page.read_text().count("<article>") == 5


def test_mir_says_what_is_wrong(monkeypatch, capsys, tmp_path):
    assert "not both" in refused(monkeypatch, capsys, "mir", "x", "--source", "mini_sum", "--images", tmp_path)
    assert "dtype has no value" in refused(monkeypatch, capsys, "mir", "x", "--model-args", "dtype")

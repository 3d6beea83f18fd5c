"""`radar analyze`, `plot`, `report` and `export` as typed: what they print, write and refuse."""

import json
import re

import pytest
import typer
from fake_runs import write_curve
from typer.testing import CliRunner

from radar_tasks.cli import agreement, analyze, compare, decide, export, forecast, plot, report
from radar_tasks.errors import RadarError


def call(module, *arguments):
    app = typer.Typer()
    app.command()(module.command)
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "exp1"
    skills = {"mini_colour": [0, 1, 2.0], "mini_shape": [0, 1, 1.5], "mini_sum": [0, 0, 0.1]}
    write_curve(folder, [100, 200, 300], skills, n=60)
    return folder


def test_analyze_prints_tables_that_fit_and_writes_json(curve, tmp_path):
    result = call(analyze, curve, "--json", tmp_path / "all.json")
    assert result.exit_code == 0
    assert max(len(line) for line in result.stdout.splitlines() if "/" not in line) <= 100
    for word in ("emerges", "Asymmetry", "Bottlenecks", "signal to noise", "order agreement", "mini_shape"):
        assert word in result.stdout
    made = json.loads((tmp_path / "all.json").read_text())
    assert {row["step"] for row in made["abilities"]} == {100, 200, 300}


def test_plot_writes_the_picture(curve, tmp_path):
    call(plot, curve, "--chart", "sources", "--out", tmp_path / "sources.svg")
    assert "mini_colour" in (tmp_path / "sources.svg").read_text()
    with pytest.raises(RadarError, match=r"needs --runs FILE"):
        call(plot, curve, "--chart", "scaling", "--out", tmp_path / "x.svg")


def test_plot_takes_a_size_no_title_another_axis_and_a_logarithm(curve, tmp_path):
    def drawn(*arguments):
        call(plot, curve, "--out", tmp_path / "x.svg", *arguments)
        return (tmp_path / "x.svg").read_text()

    def size(svg):
        return [float(re.search(rf'{side}="([0-9.]+)"', svg)[1]) for side in ("width", "height")]

    plain = drawn()
    small = drawn("--width", 200, "--height", 100, "--no-title")
    assert all(a < b - 100 for a, b in zip(size(small), size(plain), strict=True))
    assert "Abilities of exp1 over training" in plain
    assert "over training" not in small
    images = drawn("--x", "images=512")
    assert "Images" in images
    assert ">102k<" in images
    assert "Training step (log scale)" in drawn("--log")
    (tmp_path / "runs.csv").write_text("run,tokens\nexp1,3e9\nstep-00100,5e8\n")
    assert "Tokens (log scale)" in drawn("--x", "tokens", "--log", "--runs", tmp_path / "runs.csv")
    for arguments, said in [
        (("--x", "tokes", "--runs", tmp_path / "runs.csv"), "Did you mean tokens"),
        (("--x", "images"), "images=512"),
        (("--x", "images=none"), "must have a name and be a number above 0"),
        (("--chart", "source"), "Did you mean sources"),
    ]:
        with pytest.raises(RadarError, match=said):
            drawn(*arguments)


def test_report_writes_one_page(curve, tmp_path):
    result = call(report, curve, "--output", tmp_path / "page.html")
    assert result.stdout.strip() == str(tmp_path / "page.html")
    assert "RADAR report: exp1" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize(
    ("format", "arguments"),
    [
        ("csv", []),
        ("parquet", []),
        ("markdown", []),
        ("latex", ["--metric", "acc"]),
        ("eval_results", ["--dataset-id", "owner/name"]),
        ("every_eval_ever", ["--organisation", "Somebody"]),
    ],
)
def test_export_writes_every_format(curve, tmp_path, format, arguments):  # noqa: A002
    result = call(export, curve, "--format", format, "--output", tmp_path / "out", *arguments)
    assert result.exit_code == 0
    written = [path for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")] if path.is_file()]
    assert len(written) == {"eval_results": 3, "every_eval_ever": 6}.get(format, 1)
    assert all(path.stat().st_size > 100 for path in written)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "csv"], "needs --output"),
        (["--format", "eval_results", "--output", "x"], "needs --dataset-id"),
        (["--format", "eval_results", "--output", "x.yaml", "--dataset-id", "a/b"], "3 runs do not go into one file"),
        (["--format", "every_eval_ever", "--output", "x"], "needs --organisation"),
        (["--format", "every_eval_ever", "--output", "x", "--organisation", "y", "--model-id", "a/b"], "one by one"),
    ],
)
def test_export_says_what_is_missing(curve, arguments, message):
    with pytest.raises(RadarError, match=message):
        call(export, curve, *arguments)


def test_a_folder_of_another_tool_is_refused(tmp_path):
    (tmp_path / "metrics.json").write_text("{}")
    for module, more in ((analyze, []), (report, ["--output", tmp_path / "page.html"])):
        with pytest.raises(RadarError, match="no results in"):
            call(module, tmp_path, *more)
    assert not (tmp_path / "page.html").exists()


def test_compare_of_trainings_gives_a_verdict_in_every_format(curve, tmp_path):
    better = tmp_path / "exp2"
    write_curve(better, [100, 200, 300], {"mini_colour": [0, 2, 3.0], "mini_shape": [0, 2, 2.5]}, n=60)
    said = call(compare, curve, better, "--metric", "sds", "--resamples", 300)
    assert "exp2 minus exp1: sds (higher is better), 3 matched steps, 100 to 300" in said.stdout
    assert "perception: exp2 better from step 200 to 300, +0." in said.stdout
    assert "two runs only" in said.stdout
    table = call(compare, curve, better, "--format", "markdown", "--resamples", 300).stdout
    assert "| source | first | second | change at the end |" in table
    rows = call(compare, curve, better, "--format", "csv", "--metric", "acc", "--resamples", 300).stdout.splitlines()
    assert len(rows) == 1 + 3 * 3  # two sources and their mean at three steps
    made = json.loads(call(compare, curve, better, "--format", "json", "--resamples", 300).stdout)
    assert [(one["metric"], one["over_seeds"]) for one in made] == [("sds", False), ("acc", False)]
    seeds = call(compare, curve, "vs", better, better.parent / "exp2", "--metric", "sds", "--resamples", 300)
    assert seeds.exit_code == 0


def test_compare_of_trainings_says_what_is_wrong(curve, tmp_path):
    for arguments, said in [
        ((curve, "vs"), "stands once, between the runs of one side and those of the other"),
        (("vs", curve), "stands once"),
        ((curve, "vs", curve), "cannot be on both sides"),
        ((curve, "vs", "published:Qwen2-VL-2B"), "is a row of the paper, not a training"),
    ]:
        with pytest.raises(RadarError, match=said):
            call(compare, *arguments)


def test_decide_writes_every_format(curve, tmp_path):
    folders = [curve]
    for k in range(2, 6):
        folders.append(tmp_path / f"exp{k}")
        colour, total = ([0, min(k, 4), skill * min(k, 4)] for skill in (0.5, 0.3))  # two seeds of one configuration
        write_curve(folders[-1], [100, 200, 300], {"mini_colour": colour, "mini_sum": total}, n=60)
    (tmp_path / "runs.csv").write_text("run,factor,level\nexp4,kind,x\nexp5,kind,x\n")
    (tmp_path / "sft.csv").write_text(
        "checkpoint,tuned\n" + "".join(f"exp{k}/step-00300,{min(k, 4)}\n" for k in range(1, 6))
    )
    more = ["--runs", tmp_path / "runs.csv", "--outside", tmp_path / "sft.csv", "--metric", "sds"]
    said = call(decide, *folders, *more).stdout
    assert "4 configurations in 5 runs, 1 of them with several seeds" in said
    assert "perception: pairs ordered as by its own end, by step" in said
    assert "perception: pairs ordered as by tuned, by step" in said
    assert "| metric | signal / noise |" in call(decide, *folders, *more, "--format", "markdown").stdout
    lines = call(decide, *folders, *more, "--format", "csv").stdout.splitlines()
    assert lines[0].startswith("target,size,metric,source,ability,pairs,not_told")
    made = json.loads(call(decide, *folders, *more, "--format", "json").stdout)
    assert made["amounts"] == [100, 200, 300]
    with pytest.raises(RadarError, match="Did you mean perception"):
        call(decide, *folders, "--on", "perceptio", "--metric", "sds")
    (tmp_path / "half.csv").write_text("run,factor\nexp4,kind\n")
    with pytest.raises(RadarError, match="row 1: `factor` and `level` must be given together"):
        call(decide, *folders, "--runs", tmp_path / "half.csv")


def test_analyze_of_many_runs_keeps_to_abilities_and_tells_the_lead_by_factor(curve, tmp_path):
    folders = [curve]
    for k in range(2, 5):
        folders.append(tmp_path / f"exp{k}")
        skills = {"mini_colour": [0, 1, 2.0], "mini_shape": [0, 1, 1.0 + 0.2 * k], "mini_sum": [0, 0, 0.1 * k]}
        write_curve(folders[-1], [100, 200, 300], skills, n=60)
    (tmp_path / "runs.csv").write_text("run,factor,level\n" + "".join(f"exp{k},size,{2**k}\n" for k in range(1, 5)))
    said = call(analyze, *folders, "--runs", tmp_path / "runs.csv").stdout
    growth = said[said.index("Development of sds") : said.index("Gain between")]
    assert "perception" in growth
    assert "mini_shape" not in growth
    assert "one run at a time, --json FILE" in said
    assert "Perception's lead by size at step 300" in said
    assert "per ten times size" in said
    assert "exp4" in said[said.index("Training against exp1") :]


def test_brackets_in_what_users_call_things_are_shown_to_the_letter(curve, tmp_path):
    """rich would take them for markup: drop them, or stop at an end of what never began."""
    other = tmp_path / "[b]exp0"
    write_curve(
        other, [100, 200, 300], {"mini_colour": [0, 1, 2.5], "mini_shape": [0, 1, 2], "mini_sum": [0, 0, 0.4]}, n=60
    )
    runs, outside = tmp_path / "runs.csv", tmp_path / "sft.csv"
    runs.write_text("run,factor,level,[/tok]\nexp1,[/size],1,300\n[b]exp0,[/size],2,300\n")
    rows = [f"{run}/step-00{k}00,0.{k}\n" for run in ("exp1", "[b]exp0") for k in (1, 2, 3)]
    outside.write_text("checkpoint,[/sft] [free]\n" + "".join(rows))
    analysed = call(analyze, other, curve, "--runs", runs).stdout
    assert "Training against [b]exp0 at shared steps" in analysed
    assert "Perception's lead by [/size] at step 300" in analysed
    judged = call(agreement, curve, other, "--outside", outside, "--metric", "sds").stdout
    assert "r with [/sft] [free]" in " ".join(judged.split())
    assert "Correlation with [/sft] [free]" in " ".join(judged.split())
    compared = call(compare, curve, other, "--runs", runs, "--x", "[/tok]", "--resamples", "100").stdout
    assert "3 matched [/tok]s" in compared
    assert re.search(r"(?m)^ *\[/tok\] +perception", compared)


def test_colons_in_what_users_call_things_are_no_emoji(curve, tmp_path):
    other = tmp_path / "a:100:b"
    write_curve(other, [100, 200], {"mini_colour": [0, 1], "mini_shape": [0, 1], "mini_sum": [0, 0.2]}, n=60)
    (tmp_path / "runs.csv").write_text("run,factor,level\nexp1,size:x:,1\na:100:b,size:x:,2\n")
    analysed = call(analyze, other, curve, "--runs", tmp_path / "runs.csv").stdout
    assert "Training against a:100:b at shared steps" in analysed
    assert "Perception's lead by size:x: at step 200" in analysed
    assert "a:100:b" in call(compare, curve, other, "--resamples", "100").stdout


def test_analyze_judges_metrics_by_onsets_that_are_known(curve, tmp_path):
    (tmp_path / "onsets.csv").write_text("run,source,onset\nexp1,mini_colour,100\nexp1,mini_sum,never\n")
    result = call(analyze, curve, "--onsets", tmp_path / "onsets.csv", "--json", tmp_path / "all.json")
    assert re.search(r"(?m)^ mini_colour +sds +100 +200 +200 +\+100", result.stdout)
    made = json.loads((tmp_path / "all.json").read_text())
    (sds,) = [row for row in made["onset_summary"] if row["metric"] == "sds"]
    assert (sds["onsets"], sds["found"], sds["bias"], sds["controls"]) == (1, 1, 100.0, 1)
    assert {row["onset"] for row in made["onsets"]} == {100.0, None}


def test_a_run_of_the_descriptions_that_no_result_is_of_is_told(curve, tmp_path):
    (tmp_path / "runs.csv").write_text("run,images\nexp1,5\nexpp1,5\n")
    assert "no results here of expp1" in call(analyze, curve, "--runs", tmp_path / "runs.csv").stderr


def test_only_what_is_asked_for_is_written_in_every_format(curve, tmp_path):
    other = tmp_path / "exp2"
    write_curve(other, [100, 200, 300], {"mini_colour": [0, 1, 1.0], "mini_sum": [0, 0, 0.4]}, n=60)
    found = [curve, other, "--metric", "sds", "--on", "mini_sum"]
    lines = call(decide, *found, "--format", "csv").stdout.splitlines()
    source = lines[0].split(",").index("source")
    assert {line.split(",")[source] for line in lines[1:]} == {"mini_sum"}
    rows = json.loads(call(decide, *found, "--format", "json").stdout)["rows"]
    assert {row["name"] for row in rows} == {"mini_sum"}


@pytest.mark.parametrize("module", [agreement, analyze, compare, decide, plot, report])
def test_a_seed_that_cannot_be_is_no_traceback(curve, module):
    result = call(module, curve, curve, "--seed", "-1")
    assert result.exit_code == 2
    assert "--seed" in result.stderr


def test_what_is_named_twice_is_written_once(curve, tmp_path):
    for module in (agreement, compare):
        once, twice = (call(module, curve, "--format", "csv", *["--metric", "acc"] * k).stdout for k in (1, 2))
        assert once == twice
    call(export, curve, "--format", "markdown", "--output", tmp_path / "t.md", *["--metric", "sds"] * 2)
    assert (tmp_path / "t.md").read_text().count("**sds**") == 1


def test_options_and_names_that_say_nothing_are_refused(curve):
    first, second = sorted(curve.iterdir())[:2]
    for arguments, said in [
        ((first, second, "--x", "images=512"), "whole trainings are matched; these are single checkpoints"),
        ((first, second, "--runs", "nowhere.csv"), "these are single checkpoints"),
        (("", second), "name of some results is empty"),
    ]:
        with pytest.raises(RadarError, match=said):
            call(compare, *arguments)


def test_a_logarithmic_axis_without_a_place_for_any_checkpoint_is_told(tmp_path):
    write_curve(tmp_path / "exp1", [0], {"mini_colour": [0.5], "mini_sum": [0.5]}, n=20)
    for chart in ("abilities", "sources"):
        with pytest.raises(RadarError, match="no place on a logarithmic axis"):
            call(plot, tmp_path / "exp1", "--chart", chart, "--log", "--out", tmp_path / "x.svg")


@pytest.mark.parametrize("arguments", [("--width", "100000000"), ("--parting", "-5")])
def test_numbers_that_mean_nothing_are_refused(curve, tmp_path, arguments):
    result = call(plot, curve, "--out", tmp_path / "x.svg", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"checksums": {"spatial": "0" * 64}}, "not scored alike.*data of spatial"),
        ({"scoring": {"prompt_format": "official"}}, "not scored alike.*prompt_format: plain against official"),
        ({"n": 20}, "were asked different questions"),
    ],
)
def test_trainings_that_were_not_asked_alike_say_nothing_of_each_other(tmp_path, other, said):
    steps = [100, 200, 300, 400, 500]
    for name, more in (("a", {}), ("b", other), ("c", {"scoring": {"dtype": "bfloat16"}})):
        write_curve(tmp_path / name, steps, {"spatial": [0.2 * k for k in range(5)]}, **{"n": 30, **more})
    for module in (agreement, forecast):
        with pytest.raises(RadarError, match=said):
            call(module, tmp_path / "a", tmp_path / "b")
        assert call(module, tmp_path / "a", tmp_path / "c").exit_code == 0

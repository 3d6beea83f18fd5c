"""`radar forecast` from results folders to table, JSON and picture, and what it refuses."""

import json

import pytest
from fake_runs import simulate, write_run
from typer.testing import CliRunner

from radar_tasks.cli import app

STEPS = (50, 100, 200, 400, 800, 1600)


def radar(*arguments):
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["forecast", *map(str, arguments)])
    said = done.output + (f"{done.exception}" if done.exception else "")
    return done.exit_code, said


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Three trainings of two sources, one of which stops at step 400."""
    folder = tmp_path_factory.mktemp("results")
    for seed, run in enumerate(("exp1", "exp2", "exp3")):
        for k, step in enumerate(STEPS[: 4 if run == "exp3" else None]):
            skill = {"mmbench": 0.5 * k, "spatial": 0.3 * k}
            sources = {name: simulate(name, 30, of, seed=10 * seed + k, noise=0.05) for name, of in skill.items()}
            write_run(folder, f"step-{step:05d}", sources, experiment=f"checkpoints/{run}")
    return folder


def test_what_has_not_ended_is_forecast_and_drawn(results, tmp_path):
    into, picture = tmp_path / "forecast.json", tmp_path / "forecast.svg"
    code, said = radar(results, "--json", into, "--chart", picture)
    assert code == 0, said
    assert "sds at step 1,600" in said
    assert "Back-test of sds" in said
    made = json.loads(into.read_text())
    assert {row["run"] for row in made["forecasts"]} == {"exp3"}
    assert {row["metric"] for row in made["forecasts"]} == {"sds", "acc"}
    assert {row["name"] for row in made["forecasts"]} == {"perception", "mmbench", "reasoning", "spatial"}
    assert all(row["forecast"]["at"] == 1600 for row in made["held_out"] if row["forecast"]["run"] != "exp3")
    assert "Perception" in picture.read_text()


def test_a_larger_model_needs_the_sizes_of_those_that_there_are(results, tmp_path):
    described = tmp_path / "runs.csv"
    described.write_text("run,parameters\nexp1,1e6\nexp2,2e6\n")
    code, said = radar(results, "--runs", described, "--size", "parameters=4e6", "--metric", "acc")
    assert code == 0, said
    assert "acc with parameters 4e+06, at step 1,600, from up to 2e+06" in said
    assert "none can be held out" in said
    assert "not predictable" in said  # with two sizes nothing says what it is worth


def test_a_column_in_brackets_is_shown_to_the_letter(results, tmp_path):
    described = tmp_path / "runs.csv"
    described.write_text("run,[/size]\nexp1,1e6\nexp2,2e6\n")
    code, said = radar(results, "--runs", described, "--size", "[/size]=4e6")
    assert code == 0, said
    assert "sds with [/size] 4e+06" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--metric", "sbs"], "--metric sbs: sds and acc are forecast."),
        (["--size", "parameters=4e6"], "needs --runs FILE, which gives the runs their parameters"),
        (["--size", "parameters=many"], "must be a number above 0, as in parameters=7e9"),
        (["--chart", "forecast.txt"], "ending says the format"),
    ],
)
def test_bad_options_are_refused_before_anything_is_read(arguments, said):
    code, output = radar("nowhere", *arguments)
    assert code == 1
    assert said in output


def test_a_step_that_all_runs_have_passed_is_refused(results):
    code, said = radar(results, "--at", 300)
    assert code == 1
    assert "--at 300: these runs have come to step 400 and further" in said
    assert radar(results, "--at", 400)[0] == 0

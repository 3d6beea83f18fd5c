"""Tables of development, from results folders with known curves."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from fake_runs import simulate, write_curve, write_run

from radar_tasks.analysis.development.curves import training_curves
from radar_tasks.analysis.development.tables import development
from radar_tasks.analysis.run_descriptions import read_descriptions, with_descriptions
from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.results import find_runs

STEPS = [100, 200, 300, 400, 500]
RISING = {"wiki_animal": [0.0, 0.0, 2.0, 3.0, 3.0], "wiki_plant": [0.0, 0.0, 2.0, 3.0, 3.0]}
FLAT = {"spatial": [0.0] * 5, "mathvista": [0.0] * 5}


def analysed(paths, metric="sds", **more):
    runs = find_runs(paths)
    rng = np.random.default_rng(0)
    experiments, notes = training_curves(runs, rng, metric, resamples=300)
    return development(experiments, runs, rng, notes=notes, **more)


def by_source(rows, **wanted):
    return {row.source: row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())}


@pytest.fixture(scope="module")
def curve(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "exp1"
    write_curve(folder, STEPS, RISING | FLAT, n=120)
    return folder


@pytest.fixture(scope="module")
def made(curve):
    return analysed([curve])


def test_an_ability_that_rises_at_a_step_emerges_there_and_one_that_does_not_never_does(made):
    growth = by_source(made.growth)
    # With skill 0 the simulated questions are at chance; their hardness is drawn once and stays.
    assert growth["perception"].emergence == 300
    assert growth["perception"].saturation == 400
    assert growth["perception"].rate_per_1000_steps.estimate > 0
    assert growth["reasoning"].emergence is None


def test_the_curve_of_an_ability_is_the_mean_of_its_sources_and_of_what_the_harness_printed(curve, made):
    rows = {(row.source, row.step): row for row in [*made.abilities, *made.sources]}
    for run in find_runs([curve]):
        expected = [run.metrics[f"radar_{source}"]["sds"][0] for source in RISING]
        assert rows["wiki_animal", run.step].value == pytest.approx(expected[0])
        assert rows["perception", run.step].value == pytest.approx(np.mean(expected))
    assert all(row.low <= row.value <= row.high for row in rows.values())
    assert rows["perception", 100].chance == 0.5
    assert rows["perception", 100].questions == 240


def test_asymmetry_bottleneck_metrics_and_stability_follow(made):
    lead = made.asymmetry_summary[0]
    assert lead.area.low > 0
    assert lead.lag is None
    assert {row.ability for row in made.bottleneck} == {"perception", "reasoning"}
    assert sum(row.share for row in made.bottleneck if row.ability == "reasoning") == pytest.approx(1)
    assert {row.metric for row in made.metrics} >= {"sds", "sds_logit", "acc", "nll"}
    sizes = [row for row in made.stability_summary if row.ability == "perception"]
    assert [row.size for row in sizes] == [50, 100, 240]
    assert sizes[0].spread > sizes[1].spread > sizes[2].spread == pytest.approx(0, abs=1e-9)
    assert any("mean of wiki_animal, wiki_plant only" in note for note in made.notes)


def test_everything_is_plain_and_finite(made):
    json.dumps(asdict(made), allow_nan=False)


def test_the_same_seed_gives_the_same_tables(curve, made):
    assert asdict(analysed([curve])) == asdict(made)


def test_a_loss_has_no_chance_and_therefore_no_emergence(curve):
    made = analysed([curve], metric="nll")
    assert made.abilities
    assert {row.chance for row in made.abilities} == {None}
    assert made.growth == made.asymmetry == made.bottleneck == []


def test_headlines_over_categories_keep_their_weights_even_with_one_image_in_some(tmp_path):
    records = simulate("mmbench", 21, 1.0, per_image=1)
    for record in records[:2]:
        record["category"] = f"rare {record['q_id']}"
    for step in (1, 2):
        write_run(tmp_path, f"step-{step:05d}", {"mmbench": records})
    by_category = {}
    for record in records:
        by_category.setdefault(record["category"], []).append(record["score"])
    row = analysed([tmp_path]).sources[0]
    assert row.value == pytest.approx(np.mean([np.mean(scores) for scores in by_category.values()]))
    assert row.low < row.value < row.high


def test_one_checkpoint_gives_values_and_says_that_there_is_no_development(tmp_path):
    write_curve(tmp_path / "exp1", [700], {"spatial": [1.0]})
    made = analysed([tmp_path])
    assert made.abilities[0].low < made.abilities[0].value
    assert made.asymmetry == made.metrics == made.stability == []
    assert made.growth[0].saturation is None
    assert any("one checkpoint only" in note for note in made.notes)


def test_data_of_other_versions_make_no_curve(tmp_path):
    write_curve(tmp_path / "a", [100], {"spatial": [0.0]})
    write_curve(tmp_path / "b", [200], {"spatial": [0.0]}, checksums={"spatial": "0" * 64})
    with pytest.raises(
        ResultsError, match=r"different versions of the data.*\n  spatial: .*000000000000 in step-00200"
    ):
        analysed([tmp_path])


def test_steps_that_cannot_be_told_are_asked_for_and_taken_from_a_file(tmp_path):
    for name in ("early", "late"):
        write_run(tmp_path / name, name, {"spatial": simulate("spatial", 40, 1.0)})
    made = analysed([tmp_path])
    assert made.abilities == []
    assert "steps cannot be told" in made.notes[0]
    assert "--runs" in made.notes[0]
    file = tmp_path / "runs.csv"
    file.write_text("run,experiment,step\nlate,exp,2000\nearly,exp,1000\n")
    runs = with_descriptions(find_runs([tmp_path]), read_descriptions(file))
    experiments, _ = training_curves(runs, np.random.default_rng(0))
    assert [(e.name, e.steps) for e in experiments] == [("exp", [1000, 2000])]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("runs.csv", "run,images\nexp1,many\n", "row 1, column 'images'"),
        ("runs.yaml", "- {images: 3}\n", "row 1, column 'run'"),
        ("runs.yaml", "- just text\n", "row 1"),
        ("runs.yaml", "a: [", "cannot be read"),
        ("runs.json", "[]", "is .csv or .yaml"),
        ("runs.csv", "run,images\nexp1,nan\n", "row 1, column 'images'"),
    ],
)
def test_a_file_of_descriptions_that_is_wrong_says_where(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(RadarError, match=message):
        read_descriptions(tmp_path / name)


def test_a_step_for_a_run_that_is_not_there_is_refused(tmp_path, curve):
    (tmp_path / "runs.yaml").write_text("- {run: nobody, step: 3}\n")
    with pytest.raises(RadarError, match="no run is called 'nobody'"):
        with_descriptions(find_runs([curve]), read_descriptions(tmp_path / "runs.yaml"))


def test_scaling_fits_the_line_that_the_runs_were_made_with(tmp_path):
    lines = ["run,images"]
    for k in range(4):
        # Spatial does not move; wiki_animal gains with every factor of ten.
        write_curve(tmp_path / f"exp{k}", [100], {"wiki_animal": [0.8 * k], "spatial": [0.0]}, n=60)
        lines.append(f"exp{k},{10 ** (3 + k)}")
    (tmp_path / "runs.csv").write_text("\n".join(lines))
    made = analysed([tmp_path], descriptions=read_descriptions(tmp_path / "runs.csv"))
    points = [row for row in made.scaling if row.ability == "perception"]
    slope = np.polyfit([np.log10(row.x) for row in points], [row.value for row in points], 1)[0]
    fits = {row.ability: row for row in made.scaling_lines}
    assert fits["perception"].slope.estimate == pytest.approx(slope)
    assert fits["perception"].slope.low > 0.02
    assert abs(fits["reasoning"].slope.estimate) < 0.02
    assert made.scaling_tests[0].between == "abilities"
    assert made.scaling_tests[0].p < 0.05


def test_rows_about_checkpoints_with_amounts_make_a_point_each(tmp_path):
    for name, slope in (("a", 0.5), ("b", 1.0)):
        skills = {"wiki_animal": [slope * k for k in range(4)], "spatial": [0.0] * 4}
        write_curve(tmp_path / name, STEPS[:4], skills, n=60)
    lines = ["run,images"] + [f"{run}/step-{step:05d},{256 * step}" for run in "ab" for step in STEPS[:4]]
    (tmp_path / "runs.csv").write_text("\n".join(lines))
    made = analysed([tmp_path], descriptions=read_descriptions(tmp_path / "runs.csv"))
    points = [(p.run, p.step, p.x) for p in made.scaling if p.ability == "perception"]
    assert points == [(run, step, 256.0 * step) for run in "ab" for step in STEPS[:4]]
    assert {p.group for p in made.scaling} == {"a", "b"}  # a line per training run
    curve = {(p.run, p.step): p for p in made.abilities if p.ability == "perception"}
    for point in made.scaling:
        if point.ability == "perception":
            on_curve = curve[point.run, point.step]
            assert (point.value, point.low, point.high) == (on_curve.value, on_curve.low, on_curve.high)
    assert [line.n for line in made.scaling_lines] == [4] * 4


def test_one_training_with_amounts_of_its_checkpoints_is_one_line_an_ability(tmp_path):
    write_curve(tmp_path / "a", STEPS[:4], {"wiki_animal": [0.0, 0.5, 1.0, 1.5], "spatial": [0.0] * 4}, n=60)
    (tmp_path / "runs.csv").write_text("run,tokens\n" + "".join(f"step-{s:05d},{9 * s}\n" for s in STEPS[:4]))
    made = analysed([tmp_path], descriptions=read_descriptions(tmp_path / "runs.csv"))
    assert {(line.ability, line.group, line.n) for line in made.scaling_lines} == {
        ("perception", "", 4),
        ("reasoning", "", 4),
    }
    (tmp_path / "other.csv").write_text("run,tokens\nnobody,9\n")
    made = analysed([tmp_path], descriptions=read_descriptions(tmp_path / "other.csv"))
    assert any("gives tokens to one of these runs" in note for note in made.notes)


def test_an_intervention_shows_where_it_was_made_and_not_elsewhere(tmp_path):
    flat = [0.5] * 5
    write_curve(tmp_path / "general", STEPS, {"wiki_animal": flat, "spatial": flat}, n=60)
    write_curve(tmp_path / "targeted", STEPS, {"wiki_animal": flat, "spatial": [0.5, 0.5, 0.5, 1.5, 2.0]}, n=60)
    made = analysed([tmp_path / "general", tmp_path / "targeted"], parting=200)
    summary = {row.ability: row for row in made.intervention_summary}
    assert summary["reasoning"].onset == 400
    assert summary["reasoning"].low > 0
    assert summary["perception"].onset is None
    assert sorted({row.step for row in made.intervention}) == [300, 400, 500]


def test_further_runs_are_compared_with_the_first_where_that_can_be(tmp_path, curve):
    better = {name: [0.0, 0.0, 3.0, 4.0, 4.0] for name in RISING}
    write_curve(tmp_path / "other", STEPS, better | FLAT, n=120)
    write_curve(tmp_path / "late", [600, 700], {name: values[:2] for name, values in (RISING | FLAT).items()}, n=120)
    made = analysed([curve, tmp_path / "other", tmp_path / "late"])
    (one,) = made.comparisons
    assert (one.first, one.second, one.amounts) == ("exp1", "other", (100, 200, 300, 400, 500))
    assert [(s.start, s.end) for s in one.rows[0].stretches] == [(300, 500)]
    assert any(
        note.startswith("late is not compared with exp1: these runs have no step in common") for note in made.notes
    )
    json.dumps(asdict(made), allow_nan=False)


def test_a_parting_needs_two_experiments_and_a_later_checkpoint(tmp_path, curve):
    with pytest.raises(ResultsError, match="needs two experiments"):
        analysed([curve], parting=100)
    write_curve(tmp_path / "other", STEPS, RISING | FLAT, n=40)
    with pytest.raises(ResultsError, match="no checkpoint"):
        analysed([curve, tmp_path / "other"], parting=500)


def test_blind_runs_are_no_checkpoints_and_give_the_visual_gain(tmp_path):
    write_curve(tmp_path / "exp1", [100, 200], {"wiki_animal": [0.0, 2.0], "wiki_plant": [0.0, 2.0]}, n=60)
    blind = {"wiki_animal": simulate("wiki_animal", 60, 0.0)}
    write_run(tmp_path / "blind", "step-00200", blind, scoring={"blind": "true"})
    made = analysed([tmp_path])
    assert [row.step for row in made.abilities] == [100, 200]
    gains = {row.source: row.visual_gain for row in made.bottleneck}
    assert gains["wiki_animal"] > 0.15
    assert gains["wiki_plant"] is None

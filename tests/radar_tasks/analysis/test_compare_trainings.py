"""Training against training: against plain loops over results whose difference is known."""

import numpy as np
import pytest
from fake_runs import simulate, write_curve, write_run
from made_runs import made_run

from radar_tasks.analysis.compare_trainings import TrainingSide, compare_trainings, holds_training, training_sides
from radar_tasks.analysis.run_descriptions import read_descriptions
from radar_tasks.analysis.study_curves import study_of
from radar_tasks.analysis.training_amount import training_amount
from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.report.wording import verdict_words
from radar_tasks.results import find_runs

STEPS = [0, 100, 200, 400]
SKILLS = {"mini_digits": [0.0, 0.5, 1.0, 1.5], "mini_shape": [0.0, 0.4, 0.8, 1.2], "mini_sum": [0.0, 0.0, 0.3, 0.6]}


def trained(folder, seed, *, gain=0.0, steps=STEPS, **more):
    """A run whose perception is better by `gain` from step 200 on."""
    for k, step in enumerate(steps):
        sources = {}
        for source, values in SKILLS.items():
            better = gain if step >= 200 and source != "mini_sum" else 0.0
            sources[source] = simulate(source, 60, values[k] + better, seed=1000 * seed + step + 1)
        name = f"step-{step:05d}"
        write_run(folder / name, name, sources, experiment=f"checkpoints/{folder.name}", **more)
    return folder


def compared(*paths, **more):
    sides, _ = training_sides([(str(path), find_runs([path])) for path in paths])
    return compare_trainings(*sides, np.random.default_rng(0), resamples=600, **more)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainings")
    trained(folder / "base" / "base-1", 1)
    trained(folder / "base" / "base-2", 2)
    trained(folder / "rich" / "rich-1", 3, gain=1.0)
    trained(folder / "rich" / "rich-2", 4, gain=1.0)
    return folder


@pytest.fixture(scope="module")
def pair(folder):
    return compared(folder / "base" / "base-1", folder / "rich" / "rich-1")


def row_of(made, name):
    return next(row for row in made.rows if row.name == name)


def sds(folder, step, source):
    """Per question, by q_id, read from the results without any of the code under test."""
    run = next(run for run in find_runs([folder]) if run.step == step)
    samples = run.sources[source]
    scores = [np.exp(row - row.max()) for row in samples.logprob]
    return {q: row[answer] / row.sum() for q, row, answer in zip(samples.q_id, scores, samples.answer, strict=True)}


def test_a_training_that_is_better_from_a_step_on_is_found_there(pair):
    assert (pair.first, pair.second) == ("base-1", "rich-1")
    assert pair.amounts == (0, 100, 200, 400)
    perception = row_of(pair, "perception").stretches
    assert [(s.start, s.end, s.better) for s in perception] == [(200, 400, "second")]
    assert row_of(pair, "reasoning").stretches == ()
    said = verdict_words(pair)
    assert "perception: rich-1 better from step 200 to 400, +0." in said
    assert "reasoning: not told apart (up to ±0." in said
    assert "two runs only" in " ".join(pair.notes)


def test_differences_are_means_over_paired_questions(folder, pair):
    row = row_of(pair, "mini_digits")
    for point in row.points:
        first, second = (sds(folder / side, point.at, "mini_digits") for side in ("base/base-1", "rich/rich-1"))
        assert point.value == pytest.approx(np.mean([second[q] - first[q] for q in first]))
        assert point.first == pytest.approx(np.mean(list(first.values())))
    digits, shape, ability = (row_of(pair, name) for name in ("mini_digits", "mini_shape", "perception"))
    for a, b, mean in zip(digits.points, shape.points, ability.points, strict=True):
        assert mean.value == pytest.approx((a.value + b.value) / 2)
    values = [point.value for point in row.points]
    area = 100 * (values[0] + values[1]) / 2 + 100 * (values[1] + values[2]) / 2 + 200 * (values[2] + values[3]) / 2
    assert row.mean.estimate == pytest.approx(area / 400)


def test_the_band_is_that_of_a_plain_bootstrap_of_pictures(folder, pair):
    """Loops over drawn pictures, their own draws: half-widths agree within the error of so many resamples."""
    differences = []
    for step in STEPS:
        first, second = (sds(folder / side, step, "mini_digits") for side in ("base/base-1", "rich/rich-1"))
        differences.append([second[q] - first[q] for q in sorted(first)])
    table = np.array(differences)  # two questions a picture, in order
    rng, draws = np.random.default_rng(9), []
    for _ in range(3000):
        pictures = rng.integers(30, size=30)
        draws.append(np.mean([table[:, 2 * p : 2 * p + 2].mean(axis=1) for p in pictures], axis=0))
    errors = np.std(draws, axis=0, ddof=1)
    largest = np.quantile(np.max(np.abs(np.array(draws) - table.mean(axis=1)) / errors, axis=1), 0.95)
    row = row_of(pair, "mini_digits")
    for k, point in enumerate(row.points):
        assert (point.high - point.low) / 2 == pytest.approx(largest * errors[k], rel=0.12)
    assert row.last.high - row.last.estimate == pytest.approx(1.96 * errors[-1], rel=0.12)


def test_several_seeds_a_side_bring_their_spread_into_the_intervals(folder, pair):
    made = compared(folder / "base", folder / "rich")
    assert (made.first, made.second) == ("base (2 runs)", "rich (2 runs)")
    assert made.over_seeds
    assert made.notes == ()
    runs = [folder / "base/base-1", folder / "base/base-2", folder / "rich/rich-1", folder / "rich/rich-2"]
    ends = [np.mean(list(sds(run, 400, "mini_sum").values())) for run in runs]
    row = row_of(made, "mini_sum")
    assert row.last.estimate == pytest.approx((ends[2] + ends[3] - ends[0] - ends[1]) / 2)
    # Student's t with two degrees of freedom times the pooled spread: the questions only add to it.
    pooled = np.sqrt(((ends[1] - ends[0]) ** 2 / 2 + (ends[3] - ends[2]) ** 2 / 2) / 2)
    assert row.last.high - row.last.estimate > 4.302 * pooled


def test_order_and_listing_of_questions_do_not_matter(folder, pair, tmp_path):
    shuffled = tmp_path / "rich-1"
    for step in STEPS:
        records = {}
        for source, values in SKILLS.items():
            skill = values[STEPS.index(step)] + (1.0 if step >= 200 and source != "mini_sum" else 0.0)
            records[source] = simulate(source, 60, skill, seed=3000 + step + 1)[::-1]
        write_run(shuffled / f"step-{step:05d}", f"step-{step:05d}", records, experiment="checkpoints/rich-1")
    made = compared(folder / "base" / "base-1", shuffled)
    for before, after in zip(pair.rows, made.rows, strict=True):
        assert [p.value for p in before.points] == pytest.approx([p.value for p in after.points])


def test_a_loss_is_better_where_it_is_lower(folder):
    made = compared(folder / "base" / "base-1", folder / "rich" / "rich-1", metric="nll")
    row = row_of(made, "perception")
    assert row.points[-1].value < 0
    assert row.stretches[-1].better == "second"


def test_where_no_step_is_shared_runs_are_read_between_their_checkpoints(folder, tmp_path):
    other = trained(tmp_path / "other", 5, steps=[0, 150, 300, 450])
    made = compared(folder / "base" / "base-1", other, amount=training_amount("images=3", []))
    assert made.amounts == (0, 300, 600, 1200)
    assert made.measured_by == "images"
    low, high = (np.mean(list(sds(other, step, "mini_sum").values())) for step in (150, 300))
    assert row_of(made, "mini_sum").points[2].second == pytest.approx(low + (high - low) / 3)
    assert "other has no checkpoint at 3 of the 4 matched amounts" in " ".join(made.notes)


def test_amounts_of_a_file_match_runs_of_other_batches(folder, tmp_path):
    large = trained(tmp_path / "large", 6, steps=[0, 50, 100, 200])
    (tmp_path / "runs.csv").write_text("run,images\nbase-1,4000\nlarge,4000\n")
    runs = find_runs([folder / "base" / "base-1", large])
    amount = training_amount("images", runs, read_descriptions(tmp_path / "runs.csv"))
    made = compared(folder / "base" / "base-1", large, amount=amount)
    assert made.amounts == (0, 1000, 2000, 4000)
    assert not any("straight line" in note for note in made.notes)


def test_amounts_of_a_file_are_those_of_a_run_whatever_it_is_called_beside_others(tmp_path):
    for place, name in (("a", "exp"), ("b", "exp"), ("c", "other")):
        write_curve(tmp_path / place, [100, 200], {"mini_sum": [0.0, 0.5]}, experiment=f"{place}/{name}")
    (tmp_path / "runs.csv").write_text("run,images\nexp,4000\nother,4000\n")
    sides, _ = training_sides([(place, find_runs([tmp_path / place])) for place in "abc"])
    assert [side.name for side in sides] == ["a/exp", "b/exp", "c/other"]
    results = [result for side in (sides[0], sides[2]) for run in side.runs for result in run.results]
    amount = training_amount("images", results, read_descriptions(tmp_path / "runs.csv"))
    made = compare_trainings(sides[0], sides[2], np.random.default_rng(0), amount=amount, resamples=200)
    assert made.amounts == (2000, 4000)


@pytest.mark.parametrize("what", ["=5", "images=", "images=0", "images=nan", "images=1e999"])
def test_an_amount_a_step_is_a_name_and_a_number_above_0(what):
    with pytest.raises(RadarError, match=f"--x {what}: the amount a step"):
        training_amount(what, [])


def test_what_cannot_be_compared_is_refused(folder, tmp_path):
    late = trained(tmp_path / "late", 7, steps=[500, 600, 700, 800])
    with pytest.raises(
        ResultsError, match="no step in common at which to compare them: base-1 0 to 400; late 500 to 800"
    ):
        compared(folder / "base" / "base-1", late)
    with pytest.raises(ResultsError, match="cannot be on both sides"):
        compared(folder / "base", folder / "base" / "base-1")
    with pytest.raises(ResultsError, match="has no sds_pmi on mini_digits"):
        compared(folder / "base" / "base-1", folder / "base" / "base-2", metric="sds_pmi")
    other = trained(tmp_path / "other-data", 8, checksums={"mini_sum": "0" * 64})
    with pytest.raises(ResultsError, match=r"cannot be compared as they are:\n  data of mini_sum"):
        compared(folder / "base" / "base-1", other)
    assert compared(folder / "base" / "base-1", other, allow_different=True).rows


def test_one_training_scored_in_two_ways_has_two_names(tmp_path):
    for way in ("now", "then"):
        write_curve(tmp_path / way, [100, 200], {"mini_sum": [0.0, 0.5]}, experiment="checkpoints/exp1")
    sides, _ = training_sides([(str(tmp_path / way), find_runs([tmp_path / way])) for way in ("now", "then")])
    assert [side.name.split("/")[0] for side in sides] == ["now", "then"]
    made = compare_trainings(*sides, np.random.default_rng(0), resamples=200)
    assert all(point.value == 0 for row in made.rows for point in row.points)
    assert all(row.stretches == () for row in made.rows)


def test_a_side_is_a_training_where_it_has_steps(folder):
    assert holds_training(find_runs([folder / "base" / "base-1"]))
    assert not holds_training(find_runs([folder / "base" / "base-1" / "step-00100"]))


def test_two_trainings_that_differ_by_nothing_rarely_part():
    """150 pairs of runs that have learned the same: the band over the steps leaves 0 in about one of twenty."""
    rng, parted = np.random.default_rng(3), 0
    for k in range(150):
        level = rng.normal(0.6, 0.2, size=120)
        runs = [
            made_run(f"run-{side}", STEPS, {"mini_sum": level + rng.normal(scale=0.1, size=(4, 120))}) for side in "ab"
        ]
        sides = [TrainingSide(run.name, (run,)) for run in runs]
        made = compare_trainings(*sides, np.random.default_rng(k), resamples=300, metric="margin")
        parted += bool(made.rows[0].stretches)
    assert parted <= 0.09 * 150


def test_study_curves_share_their_draws(folder):
    sides, _ = training_sides([("a", find_runs([folder / "base" / "base-1"])), ("b", find_runs([folder / "rich"]))])
    study = study_of([run for side in sides for run in side.runs]).curves(np.random.default_rng(1), resamples=300)
    curve = next(curve for curve in study.curves if curve.name == "mini_digits")
    # Hard questions are hard for all: without shared draws replicates of two runs would not go together.
    first, second = curve.replicates[:, 0, -1], curve.replicates[:, 1, -1]
    assert np.corrcoef(first, second)[0, 1] > 0.5


@pytest.mark.parametrize("metric", ["sdss", "ece"])
def test_a_metric_without_numbers_of_single_questions_is_refused(folder, metric):
    with pytest.raises(ResultsError, match=f"'{metric}' is not a mean over questions"):
        compared(folder / "base", folder / "rich", metric=metric)

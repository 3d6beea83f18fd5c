"""Decisions between configurations: what is told apart, how early and on how few questions, against plain loops."""

import json
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from made_runs import made_run

from radar_tasks.analysis.decisions import ACCURACY, ITSELF, decisions
from radar_tasks.analysis.outside_column import Outside
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.analysis.run_factors import configurations, configurations_of, factors_of, shared_name
from radar_tasks.errors import ResultsError

STEPS = [100, 200, 400]
SEEDS = {"a-1": "a", "a-2": "a", "b-1": "b", "b-2": "b", "c": "c", "d": "d", "e": "e", "f": "f"}
ENDS = {"a": 0.0, "b": 0.002, "c": 0.4, "d": 0.8, "e": 1.2, "f": 1.6}
"""Margins in the end: a and b are not told apart, the others are."""


@pytest.fixture(scope="module")
def runs():
    rng = np.random.default_rng(0)
    level = {source: rng.normal(scale=0.5, size=80) for source in ("mini_sum", "mini_count", "mini_digits")}
    made = []
    for name, kind in SEEDS.items():
        # At the first step everything is the reverse of the end, at the second half-way there.
        growth = [-0.3 * ENDS[kind], 0.5 * ENDS[kind], ENDS[kind]]
        margins = {}
        for source, of in level.items():
            seed, luck = rng.normal(scale=0.01, size=(3, 1)), 1.0 if source == "mini_count" else 0.1
            margins[source] = np.array(growth)[:, None] + of + seed + rng.normal(scale=luck, size=(3, 80))
        made.append(made_run(name, STEPS, margins))
    return made


ROWS = [RunDescription(run=name, factor="kind", level=kind) for name, kind in SEEDS.items()]


@pytest.fixture(scope="module")
def made(runs):
    return decisions(runs, np.random.default_rng(1), descriptions=ROWS, metrics=("sds", "nll", "acc"), at=200)


def row_of(made, metric, name, target=ITSELF):
    return next(row for row in made.rows if (row.metric, row.name, row.target) == (metric, name, target))


def probability(run, step, source):
    samples = next(result for result in run.results if result.step == step).sources[source]
    rows = [np.exp(row) for row in samples.logprob]
    return np.array([row[answer] / row.sum() for row, answer in zip(rows, samples.answer, strict=True)])


def test_configurations_are_runs_at_the_same_levels(runs, made):
    assert list(made.configurations.values()) == [("a-1", "a-2"), ("b-1", "b-2"), ("c",), ("d",), ("e",), ("f",)]
    assert (made.amounts, made.at) == ((100.0, 200.0, 400.0), 200.0)
    assert made.notes == ()


def test_what_the_end_does_not_tell_apart_is_counted_and_not_asked(made):
    row = row_of(made, "sds", "mini_sum")
    assert (row.pairs, row.not_told) == (14, 1)
    assert [part.accuracy.estimate for part in row.by_step] == pytest.approx([0.0, 1.0, 1.0])
    assert row.by_step[0].questions == 80


def test_accuracy_is_the_share_of_pairs_of_runs_and_a_loss_is_turned_round(runs, made):
    for name in ("mini_sum", "mini_digits"):
        row = row_of(made, "nll", name)
        assert row.pairs == 14
        shares = []
        for a, b in combinations("abcdef", 2):
            if (a, b) == ("a", "b"):
                continue
            pairs = [(x, y) for x in runs for y in runs if (SEEDS[x.name], SEEDS[y.name]) == (a, b)]
            loss = [[-np.log(probability(run, 200, name)).mean() for run in pair] for pair in pairs]
            shares.append(np.mean([y < x for x, y in loss]))  # the later letter is better in the end
        assert row.by_step[1].accuracy.estimate == pytest.approx(np.mean(shares))


def test_an_ability_is_the_mean_of_its_sources_also_on_few_questions(runs, made):
    row = row_of(made, "sds", "reasoning")
    assert row.of_ability
    assert row.by_step[-1].questions == 160
    assert [part.questions for part in row.by_questions] == [25, 50, 100, 160]
    assert row.by_questions[-1] == row.by_step[1]
    accuracies = [part.accuracy.estimate for part in row_of(made, "sds", "mini_count").by_questions]
    assert accuracies[0] < accuracies[-1]


def test_every_metric_is_also_held_against_accuracy(made):
    assert {row.target for row in made.rows if row.metric == "sds"} == {ITSELF, ACCURACY}
    assert {row.target for row in made.rows if row.metric == "acc"} == {ITSELF}
    # Pairs are those that accuracy tells apart, whatever the metric.
    assert row_of(made, "sds", "mini_sum", ACCURACY).pairs == row_of(made, "acc", "mini_sum").pairs


def test_signal_is_measured_against_other_seeds_where_there_are_some(runs, made):
    row = row_of(made, "sds", "mini_sum")
    ends = {run.name: probability(run, 400, "mini_sum").mean() for run in runs}
    pooled = np.sqrt(((ends["a-1"] - ends["a-2"]) ** 2 / 2 + (ends["b-1"] - ends["b-2"]) ** 2 / 2) / 2)
    lowest = min((ends["a-1"] + ends["a-2"]) / 2, (ends["b-1"] + ends["b-2"]) / 2)
    assert row.signal_to_seed_noise == pytest.approx((ends["f"] - lowest) / pooled)
    assert row.signal_to_noise > 0


def test_a_column_from_outside_decides_for_the_runs_that_it_knows(runs):
    # After fine-tuning everything is the other way round; f is not known.
    values = {(run.results[-1].file, "", "tuned"): -ENDS[SEEDS[run.name]] for run in runs if run.name != "f"}
    outside = Outside(("tuned",), values, ("nobody",))
    made = decisions(runs, np.random.default_rng(1), descriptions=ROWS, metrics=("sds",), outside=outside)
    row = row_of(made, "sds", "mini_sum", "tuned")
    assert (row.pairs, row.not_told) == (10, 0)
    assert row.by_step[1].accuracy.estimate < 0.1
    assert row.by_step[0].accuracy.estimate > 0.9
    assert "no results of 'nobody', left out" in made.notes


def test_without_descriptions_every_run_is_one_and_it_is_said(runs):
    made = decisions(runs, np.random.default_rng(1), metrics=("sds",))
    assert len(made.configurations) == 8
    assert "another seed" in made.notes[0]
    assert row_of(made, "sds", "mini_sum").signal_to_seed_noise is None
    json.dumps(asdict(made), allow_nan=False)


SIZES = {"64": [-0.1, 0.3, 0.2], "128": [0.1, 0.6, 0.8], "256": [0.2, 0.8, 1.0]}
"""How much of the end's differences models of a width show at each step; at 64, a and f have changed places."""


@pytest.fixture(scope="module")
def sized():
    """Five configurations at three widths, b at the largest twice, e not at the smallest, and their descriptions."""
    rng = np.random.default_rng(5)
    level = rng.normal(scale=0.5, size=120)
    made, rows = [], []
    for width, shares in SIZES.items():
        ends = (
            {"b": 0.0, "c": 0.4, "d": 0.8, "e": 1.2, "f": 1.6}
            if width != "64"
            else {"f": 0.0, "c": 0.4, "d": 0.8, "b": 1.6}
        )
        for kind, end in ends.items():
            for seed in ("1", "2") if (width, kind) == ("256", "b") else ("1",):
                name = f"{kind}-{width}-{seed}"
                margins = np.array(shares)[:, None] * end + level + rng.normal(scale=0.05, size=(3, 120))
                # The smallest are trained half as long.
                steps = [50, 100, 200] if width == "64" else STEPS
                made.append(made_run(name, steps, {"mini_sum": margins}))
                rows += [RunDescription(run=name, factor="width", level=width)]
                rows += [RunDescription(run=name, factor="kind", level=kind)]
    return made, rows


def test_smaller_models_are_asked_for_what_the_largest_say_at_their_end(sized):
    """Against plain loops over pairs of configurations and the runs of each."""
    runs, rows = sized
    made = decisions(runs, np.random.default_rng(1), descriptions=rows, metrics=("sds",), size="width")
    assert (made.size_factor, made.sizes) == ("width", ("64", "128", "256"))
    assert len(made.configurations) == 5
    asked = {row.size: row for row in made.rows if row.target == ITSELF and row.name == "mini_sum"}
    assert {size: (row.pairs, row.not_told) for size, row in asked.items()} == {
        "64": (6, 0),  # e is not there
        "128": (10, 0),
        "256": (10, 0),
    }
    for size, row in asked.items():
        kinds = [kind for kind in "bcdef" if (size, kind) != ("64", "e")]
        steps = [50, 100, 200] if size == "64" else STEPS
        assert [part.at for part in row.by_step] == steps
        for step, part in zip(steps, row.by_step, strict=True):
            shares = []
            for k, first in enumerate(kinds):
                for second in kinds[k + 1 :]:  # the later letter is better at width 256
                    pairs = [
                        (x, y)
                        for x in runs
                        for y in runs
                        if x.name.startswith(f"{first}-{size}") and y.name.startswith(f"{second}-{size}")
                    ]
                    right = [
                        probability(x, step, "mini_sum").mean() < probability(y, step, "mini_sum").mean()
                        for x, y in pairs
                    ]
                    shares.append(np.mean(right))
            assert part.accuracy.estimate == pytest.approx(np.mean(shares))
    assert asked["128"].by_step[-1].accuracy.estimate == 1.0
    assert asked["64"].by_step[-1].accuracy.estimate < 0.5


def test_a_column_from_outside_is_of_the_largest_models(sized):
    runs, rows = sized
    tuned = {run.name: float("bcdef".index(run.name[0])) for run in runs if "-256-" in run.name}
    values = {(run.results[-1].file, "", "tuned"): tuned[run.name] for run in runs if run.name in tuned}
    outside = Outside(("tuned",), values, ())
    made = decisions(runs, np.random.default_rng(1), descriptions=rows, metrics=("sds",), outside=outside, size="width")
    row = next(row for row in made.rows if (row.size, row.target, row.name) == ("128", "tuned", "mini_sum"))
    assert (row.pairs, row.by_step[-1].accuracy.estimate) == (10, 1.0)


def test_sizes_that_share_no_two_configurations_are_refused(sized):
    runs, rows = sized
    only = [row for row in rows if row.factor == "width"]
    with pytest.raises(ResultsError, match="no two configurations are there at width 256 and at a smaller one"):
        decisions(runs, np.random.default_rng(0), descriptions=only, size="width")
    with pytest.raises(ResultsError, match="no two levels of a factor 'wdith'; there is width, kind. Did you mean"):
        decisions(runs, np.random.default_rng(0), descriptions=rows, size="wdith")
    with pytest.raises(ResultsError, match="kind is no size: its levels are"):
        decisions(runs, np.random.default_rng(0), descriptions=rows, size="kind")


def test_what_goes_wrong_is_said(runs):
    with pytest.raises(ResultsError, match="one configuration only"):
        decisions(runs[:2], np.random.default_rng(0), descriptions=ROWS)
    with pytest.raises(ResultsError, match="at step 300; they share 100, 200, 400"):
        decisions(runs, np.random.default_rng(0), at=300)
    with pytest.raises(ResultsError, match="'ece' is not a mean over questions"):
        decisions(runs, np.random.default_rng(0), metrics=("ece",))
    longer = made_run("longer", [100, 200, 400, 800], {"mini_sum": np.ones((4, 80)) * 5})
    made = decisions([*runs, longer], np.random.default_rng(0), metrics=("sds",))
    assert any("longer goes on to step 800: the end is the last step that all runs have, 400" in n for n in made.notes)


def test_factors_hold_levels_in_the_order_of_the_file(runs):
    rows = [RunDescription(run="a-1", factor="size", level="64"), RunDescription(run="c", factor="size", level="128")]
    rows += [RunDescription(run="a-2", factor="size", level="64"), RunDescription(run="d", factor="mix", level="rich")]
    (factor,) = factors_of(runs, rows)
    assert [(level.name, [run.name for run in level.runs]) for level in factor.levels] == [
        ("64", ["a-1", "a-2"]),
        ("128", ["c"]),
    ]
    assert factor.amounts == [64.0, 128.0]
    assert shared_name(["width-064", "width-096"]) == "width (2 runs)"
    assert shared_name(["base-1", "base-2", "base-3"]) == "base (3 runs)"
    assert shared_name(["left", "right"]) == "left + right"
    first, second, third = configurations_of(runs[:3], rows)
    assert first == second != third == "b-1"


def test_configurations_whose_runs_are_called_alike_are_told_apart():
    runs = [made_run(f"run-{k}", STEPS, {"mini_sum": np.full((3, 20), end)}) for k, end in enumerate((1, 2, 1, 2, 1))]
    rows = [RunDescription(run=run.name, factor="mix", level=of) for run, of in zip(runs, "abab", strict=False)]
    assert configurations_of(runs, rows) == [
        "run-0 + run-2",
        "run-1 + run-3",
        "run-0 + run-2",
        "run-1 + run-3",
        "run-4",
    ]


def test_configurations_stand_in_the_order_of_their_factors_whatever_these_are_called():
    runs = [made_run(name, STEPS, {"mini_sum": np.zeros((3, 20))}) for name in ("base", "late", "early")]
    said = {"early": ("width, depth", "2"), "late": ("mix", "b"), "base": ("mix", "a")}
    rows = [RunDescription(run=run, factor=factor, level=level) for run, (factor, level) in said.items()]
    assert [(of.name, of.varies) for of in configurations(runs, rows)] == [
        ("base", ""),
        ("early", "width, depth"),
        ("late", "mix"),
    ]

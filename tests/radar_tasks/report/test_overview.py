"""The page of many training runs: its table and sentences against the numbers that they are made from."""

import re

import numpy as np
import pytest
from made_runs import made_run

from radar_tasks.analysis.development.curves import training_curves
from radar_tasks.analysis.development.tables import FEW_RUNS, development
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.report.figures import figures
from radar_tasks.report.gallery import gallery
from radar_tasks.report.overview import overview, study_findings
from radar_tasks.report.page import render_page
from radar_tasks.report.tiles import tiles

STEPS = [0, 100, 200, 400]
ENDS = {"base-1": (2.0, 1.0), "base-2": (2.01, 0.99), "wide": (3.0, 0.0), "rich": (1.5, 2.5), "odd": (1.0, 0.5)}
ROWS = [
    RunDescription(run=run, factor=factor, level=level)
    for factor, levels in {
        "width": {"base-1": "128", "base-2": "128", "wide": "256"},
        "mix": {"base-1": "base", "base-2": "base", "rich": "rich"},
    }.items()
    for run, level in levels.items()
]


def study(names):
    """Runs whose margins grow to these ends, and their tables."""
    rng = np.random.default_rng(0)
    growth = np.array([0.0, 0.2, 0.6, 1.0])[:, None]
    hard = {source: np.random.default_rng(k).normal(scale=0.4, size=120) for k, source in enumerate(("p", "r"))}
    runs = []
    for name in names:
        perception, reasoning = ENDS[name]
        margins = {"mini_digits": perception + hard["p"], "mini_sum": reasoning + hard["r"]}
        made = {s: growth * end + rng.normal(scale=0.02, size=(4, 120)) for s, end in margins.items()}
        runs += made_run(name, STEPS, made).results
    rng = np.random.default_rng(0)
    trainings, notes = training_curves(runs, rng, resamples=300)
    return development(trainings, runs, rng, descriptions=ROWS, notes=notes), runs


@pytest.fixture(scope="module")
def many():
    return study(ENDS)


def ends(made, ability):
    return {p.run: p.value for p in made.abilities if p.ability == ability and p.step == STEPS[-1]}


def test_a_row_a_configuration_with_the_mean_and_the_range_of_its_seeds(many):
    made, _ = many
    table = overview(made)
    assert [row[:2] for row in table.rows] == [
        ["base (2 runs)", "–"],
        ["wide", "width"],
        ["rich", "mix"],
        ["odd", "–"],
    ]
    found = ends(made, "perception")
    low, high = sorted((found["base-1"], found["base-2"]))
    assert table.rows[0][table.head.index("perception")] == (f"{(low + high) / 2:.3f} ({low:.3f} to {high:.3f})")
    assert re.fullmatch(rf"{found['wide']:.3f} \[0\.\d+, 0\.\d+\]", table.rows[1][2])
    assert table.rows[0][table.head.index("perception emerges")].count(",") == 1
    assert all(len(row) == len(table.head) for row in table.rows)


def test_sentences_on_all_runs_say_what_the_tables_say(many):
    made, _ = many
    said = study_findings(made)
    found = ends(made, "reasoning")
    assert f"Reasoning ends between {found['wide']:.3f} (wide) and {found['rich']:.3f} (rich) in 5 runs." in said
    ahead = sum(lead.area.low > 0 for lead in made.asymmetry_summary)
    behind = sum(lead.area.high < 0 for lead in made.asymmetry_summary)
    assert (ahead, behind) == (4, 1)  # rich is the one whose reasoning is ahead
    assert any(f"perception leads in {ahead} and reasoning in {behind}" in sentence for sentence in said)
    assert any("never stays above chance: mini_sum in 1 of 5" in sentence for sentence in said)
    pairs = {row.metric: row.pairs for row in made.decisions.rows if row.name == "perception" and "own" in row.target}
    told = next(sentence for sentence in said if sentence.startswith("Pairs of configurations that perception"))
    assert f"of 6: {', '.join(f'{m} {n}' for m, n in sorted(pairs.items(), key=lambda item: -item[1]))}." in told
    effects = [effect for effect in made.factor_effects if effect.quantity in {"perception", "reasoning", "lead"}]
    clear = [effect for effect in effects if effect.p_value < 0.05]
    told = next(sentence for sentence in said if "looked at" in sentence)
    assert f"of {len(effects)} looked at" in told
    assert told.count(", p ") == len(clear)


def test_a_metric_is_compared_with_seeds_on_their_side(many):
    made, _ = many
    assert [(one.first, one.first_runs, one.second) for one in made.comparisons] == [
        ("base (2 runs)", ("base-1", "base-2"), name) for name in ("wide", "rich", "odd")
    ]
    assert all(one.over_seeds for one in made.comparisons)


def test_the_page_of_many_has_an_overview_and_folds_its_words(many):
    made, runs = many
    page = render_page(made, runs, gallery(runs, np.random.default_rng(0)), "x")
    words = page[: page.index('<script type="application/json"')]
    assert 'id="overview"' in words
    assert words.index('id="overview"') < words.index("Run by run, in words (5)") < words.index('id="abilities"')
    for caption in (
        "Perception&#39;s lead by width",
        "Does it depend on mix?",
        "perception: pairs ordered as by its own end",
    ):
        assert caption in words
    assert [tile.name for tile in tiles(made, runs)][:3] == ["Perception", "Reasoning", "Checkpoints"]
    low, high = min(ends(made, "perception").values()), max(ends(made, "perception").values())
    assert tiles(made, runs)[0].number == f"{low:.2f} – {high:.2f}"
    assert [figure.name for figure in figures(made)][:3] == ["abilities", "factors", "decisions"]


def test_few_runs_are_told_one_by_one():
    made, runs = study(list(ENDS)[1 : 1 + FEW_RUNS])
    page = render_page(made, runs, gallery(runs, np.random.default_rng(0)), "x")
    assert 'id="overview"' not in page
    assert "Run by run" not in page
    assert len([tile for tile in tiles(made, runs) if " · " in tile.name]) == 2 * FEW_RUNS


def test_decisions_leave_out_runs_with_other_checkpoints_and_say_so():
    made, runs = study(ENDS)
    short = [run for run in runs if not (run.experiment == "odd" and run.step == 200)]
    rng = np.random.default_rng(0)
    trainings, notes = training_curves(short, rng, resamples=300)
    made = development(trainings, short, rng, descriptions=ROWS, notes=notes)
    assert set(made.decisions.configurations) == {"base (2 runs)", "wide", "rich"}
    assert any("without odd" in note for note in made.notes)

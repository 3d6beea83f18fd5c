"""What the page and the terminal say of development: whose it is, and nothing that was not measured."""

import numpy as np
import pytest
from fake_runs import SAMPLE, write_curve

from radar_tasks.analysis.development.curves import training_curves
from radar_tasks.analysis.development.tables import development
from radar_tasks.report.figures import figure
from radar_tasks.report.findings import findings
from radar_tasks.report.tiles import tiles
from radar_tasks.report.wording import emergence_words, saturation_words
from radar_tasks.results import find_runs

RISING = [0.0, 1.0, 2.0, 3.0]


def made(folder):
    runs = find_runs([folder])
    rng = np.random.default_rng(0)
    trainings, notes = training_curves(runs, rng, resamples=300)
    return development(trainings, runs, rng, notes=notes), runs


def said(tables):
    return [sentence for of in findings(tables) for sentence in of.sentences]


@pytest.fixture(scope="module")
def one(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    write_curve(folder / "exp1", [700], {"wiki_animal": [2.0], "wiki_plant": [2.0], "spatial": [0.0]}, n=80)
    return made(folder)


def test_of_one_checkpoint_no_growth_is_claimed(one):
    tables, runs = one
    words = " ".join(said(tables))
    assert "Perception is above chance at step 700" in words
    assert "Reasoning cannot be distinguished from chance at step 700" in words
    for claim in ("growing", "from step", "emerges", "fell", "no further gain", "leads"):
        assert claim not in words
    by_source = {row.source: row for row in tables.growth}
    assert [emergence_words(by_source[s]) for s in ("wiki_animal", "spatial")] == ["above chance", "at chance"]
    assert {saturation_words(row) for row in tables.growth} == {"–"}
    assert all(row.rate_per_1000_steps is None and row.rate_per_doubling is None for row in tables.growth)
    assert all(row.gain is None for row in tables.bottleneck)
    assert [tile.name for tile in tiles(tables, runs)][:2] == ["Perception", "Reasoning"]
    for name in ("abilities", "sources"):
        assert "at step 700" in figure(name, tables).title
        assert figure(name, tables).subtitle.startswith("Lines: ")


def test_what_never_emerged_neither_grows_nor_saturates_and_is_named(tmp_path):
    skills = dict.fromkeys(("wiki_animal", "wiki_plant"), RISING) | {"spatial": [0.0] * 4}
    write_curve(tmp_path / "exp1", [0, 100, 200, 300], skills, n=100)
    tables, _ = made(tmp_path)
    flat = next(row for row in tables.growth if row.source == "spatial")
    assert (flat.emergence, flat.saturation) == (None, None)
    assert (emergence_words(flat), saturation_words(flat)) == ("not yet", "–")
    assert "Never above chance to the end: spatial." in said(tables)


def test_what_is_above_chance_at_the_first_checkpoint_emerged_by_then(tmp_path):
    skills = {"wiki_animal": [2.0, 2.5, 3.0], "spatial": [0.0, 0.0, 2.0]}
    write_curve(tmp_path / "exp1", [100, 200, 300], skills, n=100)
    tables, _ = made(tmp_path)
    early = next(row for row in tables.growth if row.source == "wiki_animal")
    assert emergence_words(early) == "by 100"
    assert any("Perception is above chance at every checkpoint" in sentence for sentence in said(tables))
    assert any("emerges at least 200 steps earlier" in sentence for sentence in said(tables))


def test_what_fell_on_the_way_and_what_holds_back_are_named(tmp_path):
    skills = {"wiki_animal": [0.0, 3.0, 0.5, 3.0], "wiki_plant": RISING, "spatial": RISING, "seephys": [0, 0, 0, 0.5]}
    write_curve(tmp_path / "exp1", [100, 200, 300, 400], skills, n=120)
    words = said(made(tmp_path)[0])
    assert any(s.startswith("wiki_animal fell on the way") and "from step 200 to 300" in s for s in words)
    assert any(s.startswith("What holds reasoning back most: seephys,") for s in words)


def test_several_trainings_have_their_names_on_tiles_and_sentences(tmp_path):
    for name in ("a", "b"):
        write_curve(tmp_path / name, [100, 200], {"wiki_animal": [0.0, 2.0], "spatial": [0.0, 1.0]}, n=60)
    tables, runs = made(tmp_path)
    names = [tile.name for tile in tiles(tables, runs)]
    assert names[:4] == ["Perception · a", "Reasoning · a", "Perception · b", "Reasoning · b"]
    assert [of.run for of in findings(tables)] == ["a", "b"]


def test_an_own_source_beside_a_complete_suite_is_said_to_be_left_out_of_the_ability(tmp_path):
    skills = {source: [0.0, 1.0] for source in SAMPLE} | {"wiki_animal": [0.0, 1.0]}
    write_curve(tmp_path / "exp1", [100, 200], skills, n=30)
    tables, _ = made(tmp_path)
    assert any("perception is the mean of the 5 sources" in n and "not in it: wiki_animal" in n for n in tables.notes)
    assert not any("reasoning is the mean" in note for note in tables.notes)


def test_the_stability_chart_says_whose_and_which_ability(tmp_path):
    for name in ("a", "b"):
        write_curve(tmp_path / name, [100, 200], {"wiki_animal": [0.0, 2.0], "spatial": [0.0, 1.0]}, n=120)
    drawn = figure("stability", made(tmp_path)[0])
    assert "of a are enough" in drawn.title
    assert {panel.title for panel in drawn.panels} == {"Perception, 50 questions", "Reasoning, 50 questions"}


def test_averages_of_the_leaderboard_have_intervals_and_published_ones_have_none(tmp_path):
    write_curve(tmp_path / "exp1", [100], {source: [1.0] for source in SAMPLE}, n=40)
    rows = made(tmp_path)[0].leaderboard
    assert rows
    assert all(row.low < row.value < row.high for row in rows if not row.published)

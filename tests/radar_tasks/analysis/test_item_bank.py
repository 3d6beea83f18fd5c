"""The bank of a made-up study: its rows against numbers made by hand, the file, and what is refused."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from made_runs import made_run

from radar_metrics.item_bank import fit_items
from radar_metrics.ragged import Ragged
from radar_tasks.analysis.item_bank import item_bank
from radar_tasks.errors import RadarError, ResultsError
from radar_tasks.export.item_table import write_item_table

STEPS = [0, 100, 200, 400]


def study():
    rng = np.random.default_rng(0)
    level = np.linspace(0, 3, 4)[:, None]
    return [
        made_run(
            name,
            STEPS,
            {
                "mini_digits": level + rng.normal(0, 1, 30),
                "mini_sum": 0.5 * level + rng.normal(0, 0.3, (4, 20)),
                "mini_side": np.zeros((4, 10)),
            },
        )
        for name in ("run-a", "run-b", "run-c")
    ]


def with_blind(training, source):
    """The source's text alone answers with odds of 3 to 1."""
    results = []
    for result in training.results:
        part = result.sources[source]
        rows = [np.where(np.arange(2) == answer, np.log(0.75), np.log(0.25)) for answer in part.answer]
        blind = replace(part, logprob_blind=Ragged.of(rows))
        results.append(replace(result, sources={**result.sources, source: blind}))
    return replace(training, results=tuple(results))


def test_every_question_has_its_mean_spread_and_discrimination():
    trainings = study()
    items = item_bank(trainings)
    assert len(items) == 60
    digits = [item for item in items if item.source == "mini_digits"]
    scores = np.array(
        [
            [np.exp(row[answer]) / np.exp(row).sum() for row, answer in zip(part.logprob, part.answer, strict=True)]
            for training in trainings
            for part in (result.sources["mini_digits"] for result in training.results)
        ]
    )
    np.testing.assert_allclose([item.mean for item in digits], scores.mean(axis=0))
    slopes = [np.polyfit(scores.mean(axis=1), column, 1)[0] for column in scores.T]
    np.testing.assert_allclose([item.discrimination for item in digits], slopes)
    # Perception is digits alone, and fitted for itself.
    bank = fit_items(scores)
    np.testing.assert_allclose([item.spread for item in digits], bank.spread)
    np.testing.assert_allclose([item.loading for item in digits], bank.loading)
    assert {item.text for item in items} == {None}


def test_a_source_that_never_moved_discriminates_nothing():
    side = [item for item in item_bank(study()) if item.source == "mini_side"]
    assert {item.discrimination for item in side} == {None}
    assert {item.mean for item in side} == {0.5}


def test_what_the_text_alone_answers_is_there_where_it_was_asked_everywhere():
    trainings = study()
    asked = [with_blind(training, "mini_sum") for training in trainings]
    assert {item.text for item in item_bank([*asked[:2], trainings[2]])} == {None}
    told = [item.text for item in item_bank(asked) if item.source == "mini_sum"]
    np.testing.assert_allclose(told, 0.75)


def test_the_file_holds_the_same(tmp_path):
    items = item_bank(study())
    write_item_table(items, tmp_path / "bank.parquet")
    rows = pq.read_table(tmp_path / "bank.parquet").to_pylist()
    assert [row["q_id"] for row in rows] == [item.q_id for item in items]
    assert rows[7]["mean"] == items[7].mean
    assert rows[7]["loading"] == list(items[7].loading)
    assert rows[-1]["discrimination"] is None
    with pytest.raises(RadarError, match=r"ends with .parquet"):
        write_item_table(items, tmp_path / "bank.csv")


def test_trainings_that_were_asked_other_questions_are_refused():
    first, second, _ = study()
    fewer = [replace(r, sources={s: part.take(range(5)) for s, part in r.sources.items()}) for r in second.results]
    with pytest.raises(ResultsError, match="mini_digits: run-a and run-b were asked different questions.*same --limit"):
        item_bank([first, replace(second, results=tuple(fewer))])
    with pytest.raises(ResultsError, match="no source in common"):
        item_bank([first, replace(second, sources=("mini_most",))])
    with pytest.raises(ResultsError, match=r"2 checkpoint\(s\)"):
        item_bank([replace(first, results=first.results[:2])])

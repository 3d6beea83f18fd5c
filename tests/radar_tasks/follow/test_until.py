"""Asking as much as it takes, on made documents and made answers: what is asked, in which order, what is decided."""

import math
import re

import numpy as np
import pytest

from radar_tasks.errors import RadarError
from radar_tasks.follow.until import FIRST, Earlier, Until
from radar_tasks.harness.documents import Documents

ABILITY = {"colour": "perception", "shape": "perception", "sum": "reasoning"}


def documents(source, pictures, per_picture=1, categories=("",)):
    headers = [
        {
            "q_id": f"{source}-{k}",
            "image_id": f"{source}-picture-{k // per_picture}",
            "category": categories[k % len(categories)],
            "answer": 0,
        }
        for k in range(pictures * per_picture)
    ]
    return Documents({"source": source, "ability": ABILITY[source], "checksum": source}, headers)


@pytest.fixture
def asked():
    return {"colour": documents("colour", 900), "shape": documents("shape", 300, 3), "sum": documents("sum", 1500)}


def places_of(asked):
    return [(source, k) for source, of in asked.items() for k in range(len(of))]


def chances(asked, shifts, seed):
    """A made checkpoint: a probability of the right answer a question, `shifts` of a source added."""
    level, own = np.random.default_rng(7), np.random.default_rng(seed)
    found = {}
    for source, of in asked.items():
        base = level.uniform(0.3, 0.7, len(of))
        found |= {
            (source, k): p
            for k, p in enumerate(np.clip(base + own.normal(0, 0.06, len(of)) + shifts.get(source, 0.0), 0, 1))
        }
    return found


def measured(until, earlier, answers):
    """Runs a measurement to its end."""
    measurement, order = until.measurement(earlier), []
    while places := measurement.next():
        order += places
        measurement.tell({place: answers[place] for place in places})
    return measurement.record(), order


def earlier_of(name, asked, answers, order):
    found = {}
    for source, k in order:
        found.setdefault(source, {})[asked[source][k]["q_id"]] = answers[source, k]
    return Earlier(name, found)


def test_first_measurement_asks_everything_and_decides_nothing(asked):
    until = Until(0.02, asked, places_of(asked))
    answers = chances(asked, {}, 0)
    record, order = measured(until, None, answers)
    assert sorted(order) == sorted(places_of(asked))
    assert record.changes == []
    assert record.delta == 0.02
    for name, sources in (("perception", ("colour", "shape")), ("reasoning", ("sum",))):
        means = [np.mean([answers[place] for place in order if place[0] == source]) for source in sources]
        band = record.sds[name]
        assert band.low == band.high == pytest.approx(np.mean(means))


def test_each_ability_ends_when_it_is_decided_and_says_after_how_many(asked):
    until = Until(0.02, asked, places_of(asked))
    before = chances(asked, {}, 0)
    everything = places_of(asked)
    now = chances(asked, {"colour": -0.12, "shape": -0.08}, 1)
    record, order = measured(until, earlier_of("step-000500", asked, before, everything), now)
    fell, stayed = record.changes
    assert (fell.ability, fell.verdict, fell.since) == ("perception", "fell", "step-000500")
    assert (stayed.ability, stayed.verdict) == ("reasoning", "no change")
    assert FIRST <= fell.decided_after < 250 < stayed.decided_after < 900
    for change in record.changes:
        assert 1.5 * change.decided_after <= change.asked + 3
        assert change.asked <= max(0.25 * change.questions, 1.6 * change.decided_after) + 3
        assert change.compared == change.asked
    assert fell.asked + stayed.asked == len(order) == len(set(order))
    assert fell.questions == 1800
    assert stayed.questions == 1500
    assert -0.2 < fell.change.low < -0.1 < fell.change.high < 0
    assert -0.02 <= stayed.change.low < stayed.change.high <= 0.02
    truth = {s: np.mean([now[s, k] - before[s, k] for k in range(len(asked[s]))]) for s in asked}
    for source, band in record.source_changes.items():
        assert band.low < truth[source] < band.high
    assert set(record.sds) == {"perception", "reasoning", *asked}
    assert "fell since step-000500" in str(fell)


def test_pictures_stay_together_and_sources_come_as_they_count(asked):
    until = Until(0.02, asked, places_of(asked))
    _, order = measured(until, None, chances(asked, {}, 0))
    shape = [k for source, k in order if source == "shape"]
    assert all(sorted(shape[i : i + 3]) == list(range(shape[i] - shape[i] % 3, shape[i] - shape[i] % 3 + 3))
               for i in range(0, 900, 3))  # fmt: skip
    # Both count alike, so that as many pictures of each are drawn, and three times the questions of `shape`.
    first = [source for source, _ in order if source != "sum"][:400]
    assert 70 < first.count("colour") < 130
    assert shape[::3] != sorted(shape[::3])


def test_order_is_the_same_whatever_else_is_asked(asked):
    _, order = measured(Until(0.02, asked, places_of(asked)), None, chances(asked, {}, 0))
    fewer = {"sum": asked["sum"]}
    _, alone = measured(Until(0.1, fewer, places_of(fewer)), None, chances(fewer, {}, 0))
    assert alone == [place for place in order if place[0] == "sum"]


def test_questions_of_the_last_measurement_run_out_and_all_others_are_asked(asked):
    asked = {"sum": asked["sum"]}
    until = Until(0.02, asked, places_of(asked))
    _, order = measured(until, None, chances(asked, {}, 0))
    before = chances(asked, {}, 0)
    earlier = earlier_of("step-000500", asked, before, order[:100])
    record, again = measured(until, earlier, chances(asked, {"sum": 0.01}, 1))
    change = record.changes[0]
    assert change.verdict == "undecided"
    assert change.compared == change.decided_after == 100
    assert change.asked == len(again) == 1500
    assert change.change.low < 0 < change.change.high
    assert "undecided" in str(change)


def test_a_training_that_rises_and_rests_is_told_right_and_never_starves(asked):
    until = Until(0.02, asked, places_of(asked))
    level, earlier, verdicts, numbers = 0.0, None, [], []
    rises = [0, 0.06, 0.06, 0, 0, -0.06, 0]
    for step, rise in enumerate(rises):
        level += rise
        answers = chances(asked, dict.fromkeys(asked, level), 10 + step)
        record, order = measured(until, earlier, answers)
        earlier = earlier_of(f"step-{step}", asked, answers, order)
        verdicts += [(rise, change.verdict) for change in record.changes]
        numbers.append(len(order))
    right = {0.06: "rose", -0.06: "fell", 0: "no change"}
    assert all(verdict in (right[rise], "undecided") for rise, verdict in verdicts)
    assert sum(verdict == "undecided" for _, verdict in verdicts) <= 4
    assert np.mean(numbers[1:]) < 0.7 * numbers[0]


def test_a_question_that_one_of_two_checkpoints_refuses_counts_as_unchanged(asked):
    until = Until(0.02, asked, places_of(asked))
    before, now = chances(asked, {}, 0), chances(asked, {}, 0)
    everything = places_of(asked)
    measurement = until.measurement(earlier_of("step-0", asked, before, [p for p in everything if p[1] % 50]))
    while places := measurement.next():
        measurement.tell({place: now[place] for place in places if place[1] % 40})
    record = measurement.record()
    assert [change.verdict for change in record.changes] == ["no change", "no change"]
    assert all(change.change.estimate == 0 for change in record.changes)


def test_the_headline_over_categories_weighs_them_alike():
    asked = {"sum": documents("sum", 600, categories=("a", "b", "b"))}
    until = Until(0.02, asked, places_of(asked), ["sum"])
    answers = {place: 0.9 if asked["sum"][place[1]]["category"] == "a" else 0.5 for place in places_of(asked)}
    record, order = measured(until, None, answers)
    assert record.sds["reasoning"].estimate == pytest.approx(0.7)
    first = [asked["sum"][k]["category"] for _, k in order[:200]]
    assert 70 < first.count("a") < 130


def test_sources_that_change_by_different_amounts_do_not_hide_that_the_ability_rests(asked):
    until = Until(0.05, asked, places_of(asked))
    before, everything = chances(asked, {}, 0), places_of(asked)
    now = chances(asked, {"colour": 0.2, "shape": -0.2}, 1)
    change = measured(until, earlier_of("step-0", asked, before, everything), now)[0].changes[0]
    assert change.verdict == "no change"
    assert change.decided_after < 550  # of 1800; it takes 640 if sources are not told apart
    assert change.change.low < change.change.estimate < change.change.high
    assert change.change.estimate == pytest.approx(0.0, abs=0.01)


def test_too_few_questions_to_save_any_are_told(asked):
    assert Until(0.05, asked, places_of(asked)).saves_nothing == ""
    few = {"sum": documents("sum", 200)}
    said = Until(0.02, few, places_of(few)).saves_nothing
    assert re.search(r"asks every question where nothing changed: at least 1\d\d of 200 \(reasoning\) are needed", said)
    answers = chances(few, {}, 0)
    earlier = earlier_of("step-0", few, answers, places_of(few))
    _, order = measured(Until(0.02, few, places_of(few)), earlier, answers)
    assert len(order) == 200


def test_a_source_of_which_nothing_could_be_asked_has_no_interval(asked):
    until = Until(0.02, asked, places_of(asked))
    answers = chances(asked, {}, 0)
    measurement = until.measurement(None)
    while places := measurement.next():
        measurement.tell({place: answers[place] for place in places if place[0] == "colour"})
    assert set(measurement.record().sds) == {"perception", "colour"}


def test_any_real_number_can_be_a_delta(asked):
    assert Until(np.float32(0.02), asked, places_of(asked)).delta == pytest.approx(0.02)


@pytest.mark.parametrize("wrong", [0, -0.02, 1, 1.5, math.nan, "0.02", True])
def test_what_is_no_delta_is_refused(asked, wrong):
    with pytest.raises(RadarError, match=r"until=.*above 0 and below 1"):
        Until(wrong, asked, places_of(asked))

"""A guardian finds planted falls and their causes at once, and leaves clean trainings alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_runs import write_curve
from typer.testing import CliRunner

from radar_tasks.analysis.guardian import Guardian, Measurement
from radar_tasks.analysis.training_runs import training_runs
from radar_tasks.cli import app
from radar_tasks.results import find_runs, samples_of

DATA = Path(__file__).parents[2] / "data" / "guardian"
SOURCES = {
    "mini_colour": "perception", "mini_shape": "perception", "mini_digits": "perception",
    "mini_count": "reasoning", "mini_sum": "reasoning",
}  # fmt: skip
SCORING = {"dtype_loaded": "float32", "images": {"size": 48}, "prompt_format": "plain"}


def measured(step, seed=0, *, sight=2.5, prior=0.0, text=0.0, only=None, scoring=None, blind=True, tokens=1, n=40):
    """A model that sees so well (nats for the right option), likes the first option so much more than it should, and
    finds all texts by so much less likely; `only` is the source that these hold for, the others see as ever."""
    own, sources = np.random.default_rng([seed, step, 3]), {}
    for k, (source, ability) in enumerate(SOURCES.items()):
        fixed = np.random.default_rng([seed, k, 4])
        sees, likes, less = (sight, prior, text) if only in (None, source) else (2.5, 0.0, 0.0)
        records = []
        for i in range(n):
            answer, base = int(fixed.integers(4)), fixed.normal(0, 0.7, 4)
            without = base * 0.3 + likes * np.eye(4)[0] + own.normal(0, 0.1, 4)
            seen = without + sees * np.eye(4)[answer] + base + own.normal(0, 0.4, 4)
            logprob, alone = (x - np.logaddexp.reduce(x) - less - 0.1 for x in (seen, without))
            records.append(
                {
                    "score": float(np.exp(logprob[answer]) / np.exp(logprob).sum()),
                    "q_id": f"q{i}", "image_id": f"i{i}", "category": "", "options": ["a", "b", "c", "d"],
                    "answer": answer, "logprob": logprob.tolist(), "bytes": [1] * 4, "tokens": [tokens] * 4,
                    **({"logprob_blind": alone.tolist()} if blind else {}),
                }
            )  # fmt: skip
        data = {"source": source, "ability": ability, "task": "t", "checksum": "a" * 64, "questions": n}
        sources[source] = samples_of(records, data, f"radar_{source}", False)
    return Measurement(step, sources, {**SCORING, **(scoring or {})})


def mixed_categories(seen, unseen, kept):
    """The first questions of one measurement, in one category, the others of another one, each in its own."""
    values = seen.logprob.values.copy()
    values[seen.logprob.offsets[kept] :] = unseen.logprob.values[unseen.logprob.offsets[kept] :]
    category = np.array(["kept"] * kept + [f"lost {i}" for i in range(len(seen) - kept)])
    return replace(seen, logprob=seen.logprob.with_values(values), category=category, by_category=True)


FAULTS = {
    "sight": {"sight": 0.1},
    "text": {"sight": 0.1, "text": 3.0},
    "prior": {"prior": 4.0},
    "source": {"sight": 0.0, "only": "mini_sum"},
    "processor": {"sight": 0.5, "scoring": {"images": {"size": 24}}},
    "numerics": {"sight": 0.5, "scoring": {"dtype_loaded": "float16"}},
}


@pytest.mark.parametrize("cause", FAULTS)
@pytest.mark.parametrize("seed", range(3))
def test_planted_falls_are_named_at_once_with_their_cause(cause, seed):
    guardian = Guardian()
    for step in (0, 20, 40):
        assert guardian.observe(measured(step, seed)) == []
    found = guardian.observe(measured(60, seed, **FAULTS[cause]))
    assert found
    assert {alarm.cause for alarm in found} == {cause}
    assert {(alarm.step, alarm.since) for alarm in found} == {(60, 40)}
    expected = {"reasoning"} if cause == "source" else {"perception", "reasoning"}
    assert {alarm.name for alarm in found} == expected
    # It is told once.
    assert guardian.observe(measured(80, seed, **FAULTS[cause])) == []


@pytest.mark.parametrize("change", [{"tokens": 2}, {"scoring": {"vocabulary": "other"}}])
def test_another_tokenizer_is_a_cause(change):
    """Also where it cuts texts as before: to the model they are other words, and look as if its language were lost."""
    guardian = Guardian()
    guardian.observe(measured(0, scoring={"vocabulary": "one"}))
    change.setdefault("scoring", {"vocabulary": "one"})
    assert {a.cause for a in guardian.observe(measured(20, sight=0.3, text=3.0, **change))} == {"processor"}


def test_a_prior_that_hides_all_that_is_seen_is_told_from_sight_that_was_lost():
    """Nothing is left of what is seen, so that only the questions without their pictures tell the two apart."""
    guardian = Guardian()
    guardian.observe(measured(0))
    found = guardian.observe(measured(20, sight=0.0, prior=6.0))
    assert {alarm.cause for alarm in found} == {"prior"}
    assert "without the picture" in found[0].why


@pytest.mark.parametrize("text", [0.0, 6.0])
@pytest.mark.parametrize(("sight", "name"), [(0.8, "mini_digits"), (-2.0, "perception")])
def test_wrong_labels_of_one_source_are_told_whether_its_ability_stands_or_falls(sight, name, text):
    """What is right of it becomes unlikely for a model that has learnt wrong labels: that is no loss of language."""
    guardian = Guardian()
    guardian.observe(measured(0))
    found = guardian.observe(measured(20, only="mini_digits", sight=sight, text=text))
    assert {(alarm.name, alarm.cause) for alarm in found} == {(name, "source")}
    assert "mini_digits alone" in found[0].why


def test_a_source_is_no_cause_where_the_others_had_nothing_to_lose():
    guardian = Guardian()
    for step, sight in ((0, 2.5), (20, 0.0)):
        able, unable = measured(step, sight=sight), measured(step, sight=-0.3)
        found = guardian.observe(Measurement(step, unable.sources | {"mini_sum": able.sources["mini_sum"]}, SCORING))
    assert {alarm.cause for alarm in found if alarm.name in ("reasoning", "mini_sum")} == {"sight"}


def test_without_the_prior_lost_sight_is_told_with_less_certainty():
    guardian = Guardian()
    guardian.observe(measured(0, blind=False))
    found = guardian.observe(measured(20, sight=0.0, blind=False))
    assert {a.cause for a in found} == {"sight"}
    assert "it seems" in found[0].why


def test_clean_trainings_raise_no_alarm_although_they_are_looked_at_often():
    alarmed = 0
    for seed in range(20):
        guardian = Guardian()
        # Growing, then level, with a wobble of the model's own.
        skills = [0.5, 1.5, *(2.5 + np.random.default_rng(seed).normal(0, 0.1, 10))]
        alarmed += bool(
            [a for k, s in enumerate(skills) for a in guardian.observe(measured(20 * k, seed, sight=s, n=25))]
        )
    assert alarmed <= 1


def test_a_slow_fall_is_dated_to_where_it_still_stood():
    guardian = Guardian()
    found = []
    for k, sight in enumerate((2.5, 2.5, 2.2, 1.0, 0.2)):
        found += guardian.observe(measured(20 * k, sight=sight))
    assert found[0].step == 60
    assert found[0].since in (20, 40)


def test_what_could_not_be_measured_is_numerics():
    guardian = Guardian()
    guardian.observe(measured(0))
    alarm = guardian.not_measured(20, "question 'q1', option 0: the model's logits are not finite")
    assert (alarm.cause, alarm.step, alarm.since, alarm.name) == ("numerics", 20, 0, "measurement")


def test_questions_that_only_one_measurement_has_do_not_count():
    first, second = measured(0), measured(20)
    part = {name: samples.take(range(15)) for name, samples in second.sources.items()}
    guardian = Guardian()
    guardian.observe(first)
    assert guardian.observe(replace(second, sources=part)) == []
    assert guardian.observe(replace(second, step=40, sources={})) == []


def test_the_command_prints_a_line_of_json_an_alarm_and_its_status_says_so(tmp_path):
    skills = {"mini_colour": [3.0, 3.0, -1.0], "mini_sum": [2.0, 2.0, 2.0]}
    write_curve(tmp_path / "exp1", [100, 200, 300], skills, n=80)
    done = CliRunner().invoke(app, ["guard", str(tmp_path / "exp1")])
    assert done.exit_code == 4
    (alarm,) = map(json.loads, done.stdout.splitlines())
    assert (alarm["name"], alarm["step"], alarm["since"], alarm["training"]) == ("perception", 300, 200, "exp1")
    write_curve(tmp_path / "exp2", [100, 200], {"mini_colour": [1.0, 2.0]}, n=40)
    done = CliRunner().invoke(app, ["guard", str(tmp_path / "exp2")])
    assert done.exit_code == 0
    assert done.stdout == ""


def test_a_fall_that_is_tolerated_is_not_passed_over_in_silence(tmp_path):
    # Beyond noise it fell, but not beyond noise by all that is tolerated.
    write_curve(tmp_path / "exp1", [100, 200, 300], {"mini_colour": [2.0, 2.0, 0.9], "mini_shape": [2.0] * 3}, n=60)
    done = CliRunner().invoke(app, ["guard", str(tmp_path / "exp1")])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no alarm in 3 measurements; nearest to one came perception, which fell by 0.085" in done.stderr
    assert "from step 200 to step 300" in done.stderr
    write_curve(tmp_path / "exp2", [100, 200], {"mini_colour": [1.0, 2.0]}, n=40)
    done = CliRunner().invoke(app, ["guard", str(tmp_path / "exp2")])
    assert "exp2: nothing fell beyond noise in 2 measurements" in done.stderr


def test_a_category_counts_once_where_the_headline_is_their_mean():
    """What fell is near chance in the categories' mean, as the headline is, and far from it in the questions'."""
    guardian = Guardian()
    for step, sight in ((0, 2.5), (20, 0.0)):
        seen, unseen = (measured(step, sight=s, blind=False, n=60) for s in (2.5, sight))
        # Forty questions of one category stay as they were; twenty, each a category of its own, are lost.
        sources = {
            name: mixed_categories(samples, unseen.sources[name], kept=40) for name, samples in seen.sources.items()
        }
        found = guardian.observe(Measurement(step, sources, SCORING))
    assert {alarm.cause for alarm in found} == {"sight"}


def test_weights_that_were_lost_in_two_real_trainings_are_told():
    """Interrupted trainings of `studies/tiny` that went on from new weights by a fault of their script.

    A quarter of the questions of six abilities, at the last measurement before the fault and the first one behind it.
    """
    alarms = {}
    for training in training_runs(find_runs([DATA / "weights_lost.parquet"]))[0]:
        alarms[training.name] = [(a.name, a.cause, a.since, a.step) for a in Guardian.of(training.results).alarms]
    assert alarms == {
        "group-rich-1": [("perception", "text", 1131, 1600)],
        "onset-0283": [("perception", "text", 800, 1131)],
    }

"""Forecasts of made-up trainings whose ends are known: what is hit, what is refused, and that no end leaks."""

from dataclasses import replace

import numpy as np
import pytest
from made_runs import made_run

from radar_tasks.analysis.forecast.backtest import back_test, largest_size, last_thirds
from radar_tasks.analysis.forecast.forecast_tables import Larger, forecast_tables
from radar_tasks.analysis.forecast.margin_tracks import RunTrack, run_track
from radar_tasks.analysis.run_descriptions import RunDescription
from radar_tasks.errors import ResultsError
from radar_tasks.results import TrainingRun

STEPS = [0, 50, 71, 100, 141, 200, 283, 400, 566, 800, 1131, 1600]
SOURCES = ("mini_digits", "mini_colour", "mini_sum", "mini_most", "mini_side")
QUESTIONS = 150


def growing(seed: int, *, size: float = 1.0, steps=tuple(STEPS)) -> TrainingRun:
    """Margins that rise in a saturating law from an onset on, sooner in some seeds; `mini_side` never rises."""
    rng = np.random.default_rng([seed, 5])
    margins = {}
    for k, source in enumerate(SOURCES):
        shared = np.random.default_rng(k)
        place = shared.normal(0, 1, QUESTIONS)
        onset = 60.0 * (1 + k) * np.exp(rng.normal(0, 0.05))
        since = np.maximum(np.asarray(steps, dtype=float) / onset, 1.0)
        mean = 3.0 * (1.0 - since**-0.6) + 0.8 * (1.0 - size**-0.5) * (since > 1)
        if source == "mini_side":
            mean = np.zeros(len(steps))
        spread = 0.3 + 0.4 * mean
        own = rng.normal(0, 0.02, (len(steps), QUESTIONS))
        margins[source] = mean[:, None] + spread[:, None] * place + own
    return made_run(f"run-{seed}", steps, margins)


def cut(training: TrainingRun, last: int) -> TrainingRun:
    return replace(training, results=tuple(result for result in training.results if result.step <= last))


def row_of(made, name, metric="sds", run=None):
    (row,) = [row for row in made.forecasts if (row.name, row.metric) == (name, metric) and run in (None, row.run)]
    return row


def test_a_run_is_forecast_from_the_others_and_nearly_hit():
    runs = [growing(seed) for seed in range(5)]
    unfinished, truth = cut(runs[0], 566), run_track(runs[0])
    made = forecast_tables([unfinished, *runs[1:]])
    assert {row.run for row in made.forecasts} == {"run-0"}
    for source in SOURCES[:4]:
        sds, accuracy = truth.sources[source].scores[-1]
        row = row_of(made, source)
        assert (row.start, row.at, row.step, row.along) == (566, 1600, 566, "step")
        assert row.predictable
        assert abs(row.value - sds) < min(0.02, abs(row.last - sds))
        assert abs(row_of(made, source, "acc").value - accuracy) < 0.05
    perception = row_of(made, "perception")
    assert perception.of_ability
    assert perception.value == pytest.approx(np.mean([row_of(made, s).value for s in SOURCES[:2]]))
    assert perception.low < perception.value < perception.high
    # What was measured until then goes along, for the chart.
    assert {(point.along, point.at) for point in made.measured} == {("step", step) for step in STEPS[:9]}


def test_what_comes_after_the_last_known_step_is_not_looked_at():
    runs = [run_track(growing(seed)) for seed in range(4)]
    garbage = np.random.default_rng(0).normal(size=QUESTIONS) * 9
    spoilt = made_run("run-0", STEPS[-2:], {source: np.stack([garbage, -garbage]) for source in SOURCES})
    known, other_end = runs[0], run_track(spoilt)
    mixed = RunTrack(
        "run-0",
        known.steps,
        {
            source: replace(
                track,
                margins=track.margins[:-2] + other_end.sources[source].margins,
                accuracy=np.concatenate([track.accuracy[:-2], other_end.sources[source].accuracy]),
            )
            for source, track in known.sources.items()
        },
    )
    honest = [held.forecast for held in last_thirds(runs) if held.forecast.run == "run-0"]
    assert honest == [held.forecast for held in last_thirds([mixed, *runs[1:]]) if held.forecast.run == "run-0"]


def test_a_run_alone_is_forecast_from_its_own_law():
    run = growing(1)
    truth = run_track(run).sources["mini_digits"].scores[-1, 0]
    row = row_of(forecast_tables([cut(run, 800)], at=1600), "mini_digits")
    assert row.trials >= 3
    assert row.predictable
    assert abs(row.value - truth) < abs(row.last - truth)


def test_a_source_that_only_trembles_is_not_predictable():
    rng = np.random.default_rng(3)

    def trembling(seed):
        own = np.random.default_rng(seed)
        return made_run(
            f"run-{seed}", STEPS, {"mini_side": own.normal(0, 0.3, (12, 1)) + rng.normal(0, 1, (12, QUESTIONS))}
        )

    made = forecast_tables([cut(trembling(0), 800), *(trembling(seed) for seed in range(1, 8))])
    row = row_of(made, "mini_side")
    assert row.missed >= 0.9 * row.copying_missed
    if not row.predictable:
        assert row.value == row.last
    tested = back_test(last_thirds([run_track(trembling(seed)) for seed in range(8)]), "last third")
    sds = next(row for row in tested if row.metric == "sds" and not row.of_ability)
    assert sds.missed < 1.25 * sds.copying_missed  # what cannot be known does not cost much more than copying
    assert sds.coverage > 0.75


def test_the_back_test_counts_what_was_held_out():
    held = last_thirds([run_track(growing(seed)) for seed in range(4)])
    # Two checkpoints of four runs; five sources and two abilities; SDS and accuracy.
    assert len(held) == 2 * 4 * 7 * 2
    assert {one.forecast.at for one in held} == {1131.0, 1600.0}
    assert {one.forecast.start for one in held} == {800.0}
    rows = back_test(held, "last third")
    assert len(rows) == 8
    row = next(row for row in rows if (row.metric, row.ability, row.of_ability) == ("sds", "perception", False))
    of = [h for h in held if h.forecast.name in SOURCES[:2] and h.forecast.metric == "sds"]
    assert (row.forecasts, row.runs) == (len(of), 4) == (16, 4)
    assert row.missed == pytest.approx(sum(abs(h.forecast.value - h.truth) for h in of) / 16)
    assert row.copying_missed == pytest.approx(sum(abs(h.forecast.last - h.truth) for h in of) / 16)
    assert row.coverage == pytest.approx(sum(h.forecast.low <= h.truth <= h.forecast.high for h in of) / 16)
    assert row.missed < row.copying_missed
    assert row.missed < row.line_missed


def test_intervals_cover_as_they_say_over_many_trainings():
    held = [
        one
        for study in range(6)
        for one in last_thirds([run_track(growing(10 * study + seed)) for seed in range(5)])
        if one.forecast.metric == "sds" and one.forecast.name != "mini_side"
    ]
    assert 0.82 <= np.mean([one.covered for one in held]) <= 0.99


def described(sizes):
    return [RunDescription(run=name, size=size) for name, size in sizes.items()]


def test_a_larger_model_is_forecast_from_smaller_ones():
    sizes = {1: 1.0, 2: 2.0, 3: 4.0, 4: 4.0}
    runs = [growing(seed, size=size) for seed, size in sizes.items()]
    rows = described({f"run-{seed}": size for seed, size in sizes.items()})
    made = forecast_tables(runs, larger=Larger("size", 16.0), descriptions=rows)
    larger = run_track(growing(9, size=16.0))
    for source in SOURCES[1:4]:
        row = row_of(made, source)
        truth = larger.sources[source].scores[-1, 0]
        assert (row.along, row.start, row.at, row.step, row.run) == ("size", 4.0, 16.0, 1600, "size=16")
        assert abs(row.value - truth) < 0.02
        assert row.low <= truth <= row.high
    assert {(point.along, point.at) for point in made.measured} == {("size", size) for size in (1.0, 2.0, 4.0)}
    # The largest size, held out: two runs of it at the checkpoints after the first third.
    tested = [row for row in made.back_test if row.held_out == "largest size"]
    assert {row.runs for row in tested} == {2}


def test_the_largest_size_needs_two_smaller_ones():
    assert largest_size({1.0: [run_track(growing(1))], 2.0: [run_track(growing(2))]}, "size") == []


@pytest.mark.parametrize(
    ("larger", "sizes", "said"),
    [
        (Larger("sise", 8.0), {"run-1": 1.0, "run-2": 2.0}, "gives 'sise'.*Did you mean size"),
        (Larger("size", 2.0), {"run-1": 1.0, "run-2": 2.0}, "size=2: the largest size of these runs is 2"),
        (Larger("size", 8.0), {"run-1": 1.0, "other": 2.0}, "two or more sizes.*gives 1 to the runs"),
        (Larger("size", 8.0), {"run-1": -1.0, "run-2": 2.0}, "above 0, there is -1"),
    ],
)
def test_sizes_that_allow_no_forecast_are_refused(larger, sizes, said):
    with pytest.raises(ResultsError, match=said):
        forecast_tables([growing(1), growing(2)], larger=larger, descriptions=described(sizes))


def test_too_few_checkpoints_are_refused():
    short = growing(1, steps=(0, 100, 200, 400))
    with pytest.raises(ResultsError, match="4 or more checkpoints of a run after step 0; there are 3 of run-1"):
        forecast_tables([short])


def test_runs_that_have_all_ended_get_the_back_test_and_a_note():
    made = forecast_tables([growing(1), growing(2)])
    assert made.forecasts == []
    assert made.back_test
    assert any("--at STEP looks further" in note for note in made.notes)


def test_results_without_mean_log_probabilities_are_refused():
    run = growing(1)
    bare = [
        replace(result, sources={name: replace(part, logprob=None) for name, part in result.sources.items()})
        for result in run.results
    ]
    with pytest.raises(ResultsError, match="run-1: no source has mean log-probabilities"):
        forecast_tables([replace(run, results=tuple(bare))])


def without(training: TrainingRun, *sources: str) -> TrainingRun:
    kept = tuple(source for source in training.sources if source not in sources)
    results = [replace(r, sources={s: part for s, part in r.sources.items() if s in kept}) for r in training.results]
    return replace(training, results=tuple(results), sources=kept)


def test_sources_that_other_runs_lack_are_not_predictable_and_spoil_no_other():
    runs = [growing(seed) for seed in range(4)]
    # Digits in the unfinished run alone; sums in one finished run, of which no trial can be made from others.
    made = forecast_tables(
        [cut(runs[0], 566), *(without(run, "mini_digits") for run in runs[1:2])]
        + [without(run, "mini_digits", "mini_sum") for run in runs[2:]]
    )
    alone = row_of(made, "mini_digits")
    assert (alone.predictable, alone.value, alone.trials) == (False, alone.last, 0)
    assert row_of(made, "mini_colour").predictable
    assert all(np.isfinite(row.value) for row in made.forecasts)


def test_runs_that_were_asked_other_questions_are_refused():
    first, second = growing(1), growing(2)
    fewer = [replace(r, sources={s: part.take(range(40)) for s, part in r.sources.items()}) for r in second.results]
    with pytest.raises(ResultsError, match="run-1 and run-2 were asked different questions.*same --limit"):
        forecast_tables([first, replace(second, results=tuple(fewer))])


def test_of_many_checkpoints_some_are_held_out_and_tried():
    steps = tuple(range(0, 3001, 50))
    held = last_thirds([run_track(growing(1, steps=steps))])
    ends = sorted({one.forecast.at for one in held})
    assert len(ends) == 6
    assert (ends[0], ends[-1]) == (2050, 3000)
    assert max(one.forecast.trials for one in held) == 12

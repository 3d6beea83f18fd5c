"""What lies behind a change: the split adds up and finds what was planted; shares of the lack against plain sums."""

from dataclasses import replace

import numpy as np
import pytest
from made_runs import made_run

from radar_metrics.ragged import Ragged
from radar_tasks.analysis.development.intervention_causes import bottleneck_shifts, intervention_splits

STEPS = [0, 100, 200, 400]


def run(name, rng, *, sum_end=1.0, count_end=1.0):
    growth = np.array([0.0, 0.3, 0.6, 1.0])[:, None]
    ends = {"mini_sum": sum_end, "mini_count": count_end}
    return made_run(
        name,
        STEPS,
        {
            s: np.minimum(growth, 0.3) + growth * (end - 0.3) * (growth > 0.3) + rng.normal(scale=0.3, size=(4, 120))
            for s, end in ends.items()
        },
    )


def with_left_liked(training, nats, since):
    """From a step on, whatever the picture, the option `left` is this much likelier: a prior of the text that moved."""
    results = []
    for result in training.results:
        sources = {}
        for source, samples in result.sources.items():
            logprob = samples.logprob.values.copy()
            logprob[0::2] += nats if result.step >= since else 0.0
            logprob -= max(logprob.max(), 0.0)
            sources[source] = replace(samples, logprob=Ragged(logprob, samples.logprob.offsets))
        results.append(replace(result, sources=sources))
    return replace(training, results=tuple(results))


def asked_blind(training, margin):
    """The text alone says this much for the right option."""
    results = []
    for result in training.results:
        sources = {}
        for source, samples in result.sources.items():
            right = np.repeat(samples.answer == 0, 2) == (np.arange(2 * len(samples)) % 2 == 0)
            blind = np.where(right, -np.log1p(np.exp(-margin)), -np.log1p(np.exp(margin)))
            sources[source] = replace(samples, logprob_blind=Ragged(blind, samples.logprob.offsets))
        results.append(replace(result, sources=sources))
    return replace(training, results=tuple(results))


def sds(training, source, step):
    samples = next(r for r in training.results if r.step == step).sources[source]
    return np.mean([np.exp(row)[a] / np.exp(row).sum() for row, a in zip(samples.logprob, samples.answer, strict=True)])


def test_a_prior_that_moved_is_told_from_sight_that_was_gained():
    rng = np.random.default_rng(0)
    base = run("base", rng)
    biased = with_left_liked(run("biased", rng), 3.0, since=200)
    rows = {row.source: row for row in intervention_splits(base, biased, 100, np.random.default_rng(1), 400)}
    assert set(rows) == {"reasoning", "mini_sum", "mini_count"}
    row = rows["mini_sum"]
    assert row.prior == "of the options' texts"
    assert row.whole.estimate == pytest.approx(sds(biased, "mini_sum", 400) - sds(base, "mini_sum", 400))
    assert row.text.estimate + row.sight.estimate == pytest.approx(row.whole.estimate)
    assert row.text.high < 0
    assert row.sight.low < 0 < row.sight.high
    better = run("better", rng, sum_end=2.0)
    row = next(
        r for r in intervention_splits(base, better, 100, np.random.default_rng(1), 400) if r.source == "mini_sum"
    )
    assert row.sight.low > 0
    assert abs(row.text.estimate) < 0.02


def test_scores_without_the_picture_go_first():
    rng = np.random.default_rng(2)
    base, guessing = asked_blind(run("base", rng), 0.0), asked_blind(run("guessing", rng), 0.5)
    row = next(
        r for r in intervention_splits(base, guessing, 100, np.random.default_rng(1), 300) if r.source == "mini_sum"
    )
    assert row.prior == "without the picture"
    assert row.text.estimate == pytest.approx(1 / (1 + np.exp(-0.5)) - 0.5)
    assert row.text.estimate + row.sight.estimate == pytest.approx(
        sds(guessing, "mini_sum", 400) - sds(base, "mini_sum", 400)
    )


def test_the_bottleneck_shifts_to_what_the_change_left_behind():
    rng = np.random.default_rng(3)
    base, changed = run("base", rng), run("changed", rng, sum_end=3.0)
    rows = {row.source: row for row in bottleneck_shifts(base, changed, 100, np.random.default_rng(1), 400)}
    for training, field in ((base, "unchanged"), (changed, "changed")):
        lack = {source: 2 - 2 * sds(training, source, 400) for source in rows}
        assert getattr(rows["mini_count"], field) == pytest.approx(lack["mini_count"] / sum(lack.values()))
    before = {source: 2 - 2 * sds(base, source, 100) for source in rows}
    assert rows["mini_sum"].before == pytest.approx(before["mini_sum"] / sum(before.values()))
    assert rows["mini_count"].shift.low > 0
    assert sum(row.changed for row in rows.values()) == pytest.approx(1)


def test_nothing_after_the_parting_gives_nothing():
    rng = np.random.default_rng(4)
    base, other = run("base", rng), run("other", rng)
    assert intervention_splits(base, other, 400, np.random.default_rng(1), 100) == []
    assert bottleneck_shifts(base, other, 400, np.random.default_rng(1), 100) == []

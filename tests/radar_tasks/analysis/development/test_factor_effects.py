"""The lead by factor: against ordinary least squares and two-sample tests written out, on runs whose truth is known."""

import numpy as np
import pytest
from made_runs import made_run
from scipy import stats

from radar_tasks.analysis.development.factor_effects import REACHED, factor_effects
from radar_tasks.analysis.run_descriptions import RunDescription

STEPS = [0, 100, 200, 400, 800]
WIDTHS = {"w64": 64, "w96": 96, "base-1": 128, "base-2": 128, "base-3": 128, "w192": 192}


def made(name, perception, reasoning, rng, n=150):
    """A run of hard and easy questions, whose margins grow to these ends."""
    growth = np.array([0.0, 0.1, 0.3, 0.6, 1.0])[:, None]
    ends = {"mini_digits": perception, "mini_sum": reasoning}
    levels = {source: np.random.default_rng(k).normal(scale=0.5, size=n) for k, source in enumerate(ends)}
    return made_run(
        name,
        STEPS,
        {s: growth * (end + levels[s]) + rng.normal(scale=0.05, size=(5, n)) for s, end in ends.items()},
    )


@pytest.fixture(scope="module")
def widths():
    """Perception gains with width, reasoning does not; seeds scatter."""
    rng = np.random.default_rng(0)
    return [
        made(name, 1.0 + 2.0 * np.log10(width / 64) + rng.normal(scale=0.05), 1.0 + rng.normal(scale=0.05), rng)
        for name, width in WIDTHS.items()
    ]


ROWS = [RunDescription(run=name, factor="width", level=str(width)) for name, width in WIDTHS.items()]


def centred(run, source, step=-1):
    samples = run.results[step].sources[source]
    right = [np.exp(row)[answer] for row, answer in zip(samples.logprob, samples.answer, strict=True)]
    return 2 * np.mean(right) - 1


def test_slopes_are_least_squares_over_the_runs(widths):
    _, effects, notes = factor_effects(widths, ROWS, np.random.default_rng(1), resamples=400)
    assert notes == []
    x = np.log10([WIDTHS[run.name] for run in widths])
    found = {effect.quantity: effect for effect in effects}
    for quantity, y in (
        ("perception", [centred(run, "mini_digits") for run in widths]),
        ("lead", [centred(run, "mini_digits") - centred(run, "mini_sum") for run in widths]),
    ):
        fit = stats.linregress(x, y)
        effect = found[quantity]
        assert effect.is_slope
        assert effect.effect.estimate == pytest.approx(fit.slope)
        # The questions make it a little wider than the scatter about the line alone.
        half = stats.t.ppf(0.975, 4) * fit.stderr
        assert half < effect.effect.high - effect.effect.estimate < 3 * half
        assert effect.p_value > fit.pvalue
    assert found["lead"].effect.low > 0
    assert found["reasoning"].effect.low < 0 < found["reasoning"].effect.high


def test_levels_stand_with_their_runs_and_the_mean_lead_is_an_integral(widths):
    levels, _, _ = factor_effects(widths, ROWS, np.random.default_rng(1), resamples=300)
    level = next(level for level in levels if level.level == "128")
    assert (level.runs, level.step, level.over_seeds) == (("base-1", "base-2", "base-3"), 800, True)
    runs = [run for run in widths if run.name.startswith("base")]
    leads = [[centred(run, "mini_digits", k) - centred(run, "mini_sum", k) for k in range(5)] for run in runs]
    assert level.lead.estimate == pytest.approx(np.mean([of[-1] for of in leads]))
    assert level.mean_lead.estimate == pytest.approx(np.mean([np.trapezoid(of, STEPS) / 800 for of in leads]))


def test_the_lag_is_in_doublings_of_training(widths):
    """Read off by hand on the lines between checkpoints."""
    levels, _, _ = factor_effects(widths, ROWS, np.random.default_rng(1), resamples=300)
    run = next(run for run in widths if run.name == "w192")

    def reached(source):
        curve = [centred(run, source, k) for k in range(5)]
        k = max(k for k in range(5) if curve[k] < REACHED)
        return STEPS[k] + (REACHED - curve[k]) / (curve[k + 1] - curve[k]) * (STEPS[k + 1] - STEPS[k])

    level = next(level for level in levels if level.level == "192")
    assert level.lag.estimate == pytest.approx(np.log2(reached("mini_sum") / reached("mini_digits")))


def test_names_are_compared_with_the_first_level():
    rng = np.random.default_rng(3)
    luck = rng.normal(scale=0.03, size=(2, 5))
    names = ["base-1", "base-2", "base-3", "rich-1", "rich-2"]
    runs = [made(n, 1.0 + luck[0, k], 1.0 + luck[1, k] + (k > 2) * 0.8, rng) for k, n in enumerate(names)]
    rows = [RunDescription(run=name, factor="mix", level=name[:4]) for name in names]
    _, effects, _ = factor_effects(runs, rows, np.random.default_rng(1), resamples=400)
    lead = next(effect for effect in effects if effect.quantity == "lead")
    assert (lead.level, lead.against, lead.runs, lead.over_seeds) == ("rich", "base", 5, True)
    leads = [centred(run, "mini_digits") - centred(run, "mini_sum") for run in runs]
    test = stats.ttest_ind(leads[3:], leads[:3])
    assert lead.effect.estimate == pytest.approx(np.mean(leads[3:]) - np.mean(leads[:3]))
    assert lead.p_value >= test.pvalue
    assert lead.effect.high < 0


def test_what_never_comes_so_far_has_no_lag_and_a_loss_no_lead(widths):
    rng = np.random.default_rng(5)
    runs = [made("base-1", 1.0, 0.0, rng), made("rich-1", 1.0, 0.0, rng)]
    rows = [RunDescription(run=run.name, factor="mix", level=run.name[:4]) for run in runs]
    levels, effects, _ = factor_effects(runs, rows, np.random.default_rng(1), resamples=200)
    assert [level.lag for level in levels] == [None, None]
    assert {effect.quantity for effect in effects} == {"perception", "reasoning", "lead", "mean lead"}
    assert not levels[0].over_seeds
    levels, effects, notes = factor_effects(runs, rows, np.random.default_rng(1), "nll", resamples=200)
    assert levels == effects == []
    assert "both abilities, in a metric with a chance level" in notes[0]


def test_a_factor_that_does_nothing_rarely_shows_a_slope():
    """150 studies of six runs whose seeds and questions scatter, of which the lead's slope is nothing."""
    rng, found = np.random.default_rng(7), 0
    for k in range(150):
        runs = [made(name, 1.0 + rng.normal(scale=0.1), 1.0 + rng.normal(scale=0.1), rng, n=60) for name in WIDTHS]
        _, effects, _ = factor_effects(runs, ROWS, np.random.default_rng(k), resamples=100)
        found += next(effect for effect in effects if effect.quantity == "lead").p_value < 0.05
    assert found <= 0.09 * 150

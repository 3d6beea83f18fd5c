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


SEEDS, QUESTIONS, FRESH = 0.15, 0.5, 0.05
"""Standard deviations of a margin: between seeds, between questions, and of a question from run to run."""


def simulated(name, ends, hardness, rng):
    """A run of a study whose questions (2, N) are drawn anew with each study; a seed moves both abilities."""
    growth = np.array([0.0, 0.1, 0.3, 0.6, 1.0])[:, None]
    margins = {}
    for source, end, of in zip(("mini_digits", "mini_sum"), ends, hardness, strict=True):
        luck = rng.normal(scale=SEEDS)
        margins[source] = growth * (end + luck + of) + rng.normal(scale=FRESH, size=(5, len(of)))
    return made_run(name, STEPS, margins)


def expected(end):
    """Chance-centred SDS at the end over very many seeds and questions: the mean of tanh(margin / 2)."""
    points, weights = np.polynomial.hermite_e.hermegauss(80)
    margins = end + points * np.sqrt(SEEDS**2 + QUESTIONS**2 + FRESH**2)
    return float(weights @ np.tanh(margins / 2) / weights.sum())


@pytest.mark.parametrize("factor", ["width", "mix"])
def test_intervals_hold_the_effects_that_studies_were_made_with(factor):
    """100 studies each of six runs at four widths (a slope), and of five runs of two mixes (a difference).

    Perception has an effect, reasoning has none; the truth is over all seeds and questions.
    """
    if factor == "width":
        levels = {name: str(width) for name, width in WIDTHS.items()}
        ends = {name: (0.8 + 1.5 * np.log10(width / 64), 0.8) for name, width in WIDTHS.items()}
        x = np.log10(list(WIDTHS.values()))
        weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    else:
        levels = {name: name[:4] for name in ("base-1", "base-2", "base-3", "rich-1", "rich-2")}
        ends = {name: (0.8 if level == "base" else 1.3, 0.8) for name, level in levels.items()}
        weights = np.array([-1 / 3, -1 / 3, -1 / 3, 1 / 2, 1 / 2])
    perception, reasoning = (float(weights @ [expected(of[k]) for of in ends.values()]) for k in range(2))
    truth = {"perception": perception, "reasoning": reasoning, "lead": perception - reasoning}
    rows = [RunDescription(run=name, factor=factor, level=level) for name, level in levels.items()]
    rng, held, false = np.random.default_rng(1), dict.fromkeys(truth, 0), 0
    for k in range(100):
        hardness = rng.normal(scale=QUESTIONS, size=(2, 60))
        runs = [simulated(name, of, hardness, rng) for name, of in ends.items()]
        _, effects, _ = factor_effects(runs, rows, np.random.default_rng(k), resamples=100)
        found = {effect.quantity: effect for effect in effects}
        for quantity, value in truth.items():
            held[quantity] += found[quantity].effect.low <= value <= found[quantity].effect.high
        false += found["reasoning"].p_value < 0.05
    # 95 of 100, less three standard deviations; what seeds and questions do together errs to the wide side.
    assert all(89 <= count <= 100 for count in held.values()), held
    assert false == 100 - held["reasoning"]

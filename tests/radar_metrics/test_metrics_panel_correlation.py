"""Correlations over runs, steps and sources: each kind against a slow reference, and intervals that hold the truth."""

import itertools
import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import special, stats

from radar_metrics.errors import MetricError
from radar_metrics.jackknife import jackknife
from radar_metrics.panel_correlation import Kind, Panel, panel_correlation, panel_difference
from radar_metrics.signal import correlation

STEPS = (50, 100, 200, 400)


def points(runs=3, sources=5, steps=STEPS, seed=0):
    """Labels of all points in random order, and two numbers that share run, source and step."""
    rng = np.random.default_rng(seed)
    rows = [(f"run-{r}", f"source-{s}", t) for r in range(runs) for s in range(sources) for t in steps]
    rows = [rows[k] for k in rng.permutation(len(rows))]
    run, source, step = zip(*rows, strict=True)
    effects = {label: rng.normal(size=2) for label in {*run, *source}}
    shared = np.array([effects[r] + effects[s] + 0.3 * np.log(max(t, 1)) for r, s, t in rows])
    x, y = (shared + rng.normal(scale=0.5, size=shared.shape)).T
    return Panel.of(run, source, step), rows, x, y


def reference(kind, rows, x, y):
    """Pearson's r of one kind, with dictionaries and loops."""
    known = {row: (a, b) for row, a, b in zip(rows, x, y, strict=True)}
    if kind == "pooled":
        pairs = list(known.values())
    elif kind == "within":
        pairs = []
        for source in {s for _, s, _ in known}:
            part = np.array([pair for (_, s, _), pair in known.items() if s == source])
            pairs += list(part - part.mean(0))
    elif kind == "given_step":
        pairs = [pair for (_, _, t), pair in known.items() if t > 0]
        line = np.log([t for _, _, t in known if t > 0])
        design = np.stack([np.ones_like(line), line], 1)
        both = np.array(pairs)
        pairs = list(both - design @ np.linalg.lstsq(design, both, rcond=None)[0])
    elif kind == "differences":
        pairs = []
        for run, source in {(r, s) for r, s, _ in known}:
            steps = sorted(t for r, s, t in known if (r, s) == (run, source))
            pairs += [np.subtract(known[run, source, b], known[run, source, a]) for a, b in itertools.pairwise(steps)]
    else:
        pairs = []
        for source, step in {(s, t) for _, s, t in known}:
            part = np.array([pair for (_, s, t), pair in known.items() if (s, t) == (source, step)])
            pairs += list(part - part.mean(0)) if len(part) > 1 else []
    a, b = np.array(pairs).T
    return stats.pearsonr(a, b).statistic, len(a)


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_that_of_a_slow_reference_and_so_is_its_interval(kind):
    panel, rows, x, y = points()
    left_out = np.arange(len(x)) % 7 != 3  # not every step of every run is known
    panel, x, y = panel.of_points(left_out), x[left_out], y[left_out]
    rows = [row for row, kept in zip(rows, left_out, strict=True) if kept]
    made = panel_correlation(kind, x, y, panel)
    r, n = reference(kind, rows, x, y)
    assert (made.r.estimate, made.n) == (pytest.approx(r, abs=1e-12), n)
    assert (made.runs, made.sources) == (3, 5)

    def without(part):
        kept = [not part(row) for row in rows]
        chosen = [row for row, keep in zip(rows, kept, strict=True) if keep]
        return np.arctanh(reference(kind, chosen, x[kept], y[kept])[0])

    def variance(values):
        return np.sum((np.array(values) - np.mean(values)) ** 2)

    runs, sources = sorted({row[0] for row in rows}), sorted({row[1] for row in rows})
    v1 = variance([without(lambda row, run=run: row[0] == run) for run in runs])
    v2 = variance([without(lambda row, source=source: row[1] == source) for source in sources])
    cells = [without(lambda row, r=r, s=s: row[:2] == (r, s)) for r in runs for s in sources]
    v = max(v1 + v2 - variance(cells), v1, v2)
    df = (v1 + v2) ** 2 / (v1**2 / 2 + v2**2 / 4)
    half = -special.stdtrit(df, 0.025) * math.sqrt(v)
    assert_allclose([made.r.low, made.r.high], np.tanh(np.arctanh(r) + np.array([-half, half])), rtol=1e-9)


def test_what_only_rises_with_the_step_is_seen_to():
    panel, rows, _, _ = points(runs=4, sources=6, steps=(50, 71, 100, 141, 200))
    rng = np.random.default_rng(1)
    step = np.log([t for _, _, t in rows])
    x, y = (step + rng.normal(scale=scale, size=len(step)) for scale in (0.5, 0.3))
    assert panel_correlation(Kind.pooled, x, y, panel).r.low > 0.3
    for kind in (Kind.given_step, Kind.between_runs):
        found = panel_correlation(kind, x, y, panel).r
        assert found.low < 0 < found.high
    # The step is all that both share, and has no noise of its own; at one step it tells nothing.
    assert panel_correlation(Kind.given_step, step, y, panel) is None
    assert panel_correlation(Kind.between_runs, step, y, panel) is None
    assert panel_difference(Kind.between_runs, x, step, y, panel) is None
    less = panel_difference(Kind.pooled, x, step, y, panel)
    assert less.low < less.estimate < less.high < 0


def test_a_difference_has_the_metrics_own_direction():
    panel, _, x, y = points(seed=3)
    rival = np.random.default_rng(2).normal(size=len(x))
    upright = panel_difference(Kind.pooled, x, rival, y, panel)
    turned = panel_difference(Kind.pooled, -x, rival, y, panel)
    assert (upright.estimate, upright.low) == (pytest.approx(turned.estimate), pytest.approx(turned.low))
    expected = abs(stats.pearsonr(x, y).statistic) - abs(stats.pearsonr(rival, y).statistic)
    assert upright.estimate == pytest.approx(expected)


def test_step_0_is_left_out_where_its_logarithm_is_needed():
    panel, _, x, y = points(steps=(0, 10, 20))
    assert panel_correlation(Kind.pooled, x, y, panel).n == 45
    assert panel_correlation(Kind.given_step, x, y, panel).n == 30
    untrained, _, a, b = points(steps=(0,))
    assert panel_correlation(Kind.given_step, a, b, untrained) is None
    assert panel_correlation(Kind.differences, a, b, untrained) is None


def test_one_run_or_one_source_or_both():
    panel, _, x, y = points(runs=1)
    alone = panel_correlation(Kind.pooled, x, y, panel)
    assert (alone.runs, alone.sources) == (1, 5)
    assert -1 < alone.r.low < alone.r.high < 1
    assert panel_correlation(Kind.between_runs, x, y, panel) is None
    panel, _, x, y = points(runs=1, sources=1, steps=range(1, 12))
    unknown = panel_correlation(Kind.pooled, x, y, panel).r
    assert (unknown.low, unknown.high) == (-1, 1)
    result = correlation(x, y, runs=panel.runs, sources=panel.sources)
    assert (result.pearson.low, result.spearman.high) == (-1, 1)


def test_perfect_agreement_has_no_width():
    panel, _, x, _ = points()
    made = panel_correlation(Kind.pooled, x, 2 * x + 1, panel).r
    assert made.low == pytest.approx(1, abs=1e-6)
    assert panel_difference(Kind.pooled, x, 3 * x, 2 * x + 1, panel).estimate == pytest.approx(0)


@pytest.mark.parametrize(("of_runs", "of_sources"), [(0.1, 1.0), (0.6, 0.6), (1.0, 0.3)])
def test_intervals_hold_the_truth_where_points_share_their_run_and_their_source(of_runs, of_sources):
    """4 runs x 11 steps x 20 sources: level and trend of each run and source, half of them shared by both numbers."""
    rng = np.random.default_rng(6)
    run, step, source = (part.ravel() for part in np.indices((4, 11, 20)))
    panel = Panel(run, source, step.astype(float))
    time = np.linspace(-1, 1, 11)
    of_all = 0.25 * np.mean(time**2)  # the variance of the trend that is common to all, and to both numbers
    own = (1 + np.mean(time**2)) * (of_runs**2 + of_sources**2) + 0.3**2
    truth = (of_all + 0.5 * own) / (of_all + own)
    held = independent = 0
    for _ in range(200):
        numbers = np.zeros((2, 4, 11, 20)) + 0.5 * time[:, None]
        for scale, shape, trend in (
            (of_runs, (4, 1, 1), 1),
            (of_runs, (4, 1, 1), time[:, None]),
            (of_sources, (1, 1, 20), 1),
            (of_sources, (1, 1, 20), time[:, None]),
            (0.3, (4, 11, 20), 1),
        ):
            first, second = rng.normal(scale=scale, size=(2, *shape))
            numbers += np.stack([first, 0.5 * first + math.sqrt(0.75) * second]) * trend
        x, y = numbers.reshape(2, -1)
        found = panel_correlation(Kind.pooled, x, y, panel).r
        held += found.low <= truth <= found.high
        half = 1.96 / math.sqrt(len(x) - 3)
        independent += abs(np.arctanh(found.estimate) - np.arctanh(truth)) <= half
    assert 0.92 <= held / 200 <= 0.985
    assert independent / 200 < 0.6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Panel.of(["a", "a"], ["b", "b"], [1, 1]), "two points of one step"),
        (lambda: Panel.of(["a", "a"], ["b", "b"], [1, -1]), "0 or more"),
        (lambda: Panel.of(["a", "a"], ["b"], [1, 2]), "2 runs, 1 sources, 2 steps"),
        (lambda: panel_correlation(Kind.pooled, [1, 2], [1, 2, 3], points()[0]), r"shape \(2,\) for 60 points"),
        (lambda: panel_correlation(Kind.pooled, [math.nan] * 60, [1] * 60, points()[0]), "NaN"),
        (lambda: jackknife(lambda kept: 0.0, []), "one or two arrays"),
        (lambda: jackknife(lambda kept: 0.0, [[1, 2], [1, 2, 3]]), "one label per point"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(MetricError, match=message):
        call()

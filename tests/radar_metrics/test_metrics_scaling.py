"""Lines on log axes against scipy and simulations with parallel and crossing lines."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from radar_metrics.errors import MetricError
from radar_metrics.scaling import equal_slopes, fit_line

AMOUNTS = 10.0 ** np.arange(3, 9)


def line(rng, slope, intercept=0.2, noise=0.02):
    return AMOUNTS, intercept + slope * np.log10(AMOUNTS) + rng.normal(scale=noise, size=len(AMOUNTS))


def test_line_agrees_with_scipy():
    x, y = line(np.random.default_rng(0), 0.05)
    fitted, reference = fit_line(x, y), stats.linregress(np.log10(x), y)
    half = stats.t.ppf(0.975, len(x) - 2) * reference.stderr
    assert_allclose(
        [fitted.intercept, fitted.slope.estimate, fitted.slope.low, fitted.slope.high, fitted.r_squared],
        [reference.intercept, reference.slope, reference.slope - half, reference.slope + half, reference.rvalue**2],
    )


def test_exact_and_flat_lines():
    fitted = fit_line([1, 10, 100], [1, 3, 5])
    assert (fitted.intercept, fitted.slope.estimate, fitted.r_squared) == pytest.approx((1.0, 2.0, 1.0))
    assert fit_line([1, 10, 100], [2, 2, 2]).r_squared is None


def test_slope_test_agrees_with_least_squares_of_both_models():
    rng = np.random.default_rng(1)
    groups = {"a": line(rng, 0.05), "b": line(rng, 0.06, 0.4), "c": line(rng, 0.04, 0.1)}
    u = np.concatenate([np.log10(x) for x, _ in groups.values()])
    y = np.concatenate([y for _, y in groups.values()])
    member = np.repeat(np.eye(3), len(AMOUNTS), axis=0)
    rss = [
        np.linalg.lstsq(design, y, rcond=None)[1][0]
        for design in (np.column_stack([member, u]), np.column_stack([member, member * u[:, None]]))
    ]
    f = (rss[0] - rss[1]) / 2 / (rss[1] / 12)
    test = equal_slopes(groups)
    assert (test.df_between, test.df_residual) == (2, 12)
    assert_allclose([test.f, test.p_value], [f, stats.f.sf(f, 2, 12)])


def test_p_values_of_parallel_lines_are_uniform_and_crossing_lines_are_found():
    rng = np.random.default_rng(2)
    p = [equal_slopes({"a": line(rng, 0.05), "b": line(rng, 0.05, 0.5)}).p_value for _ in range(500)]
    assert stats.kstest(p, "uniform").pvalue > 0.01
    assert equal_slopes({"a": line(rng, 0.05), "b": line(rng, 0.15)}).p_value < 0.001


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 10], [1, 2], "three or more"),
        ([0, 1, 10], [1, 2, 3], "above 0"),
        ([5, 5, 5], [1, 2, 3], "same amount 5"),
        ([1e17, 1e17 + 16, 1e17 + 32], [1, 2, 3], r"same amount 1e\+17"),
        ([1, 10, 100], [1, 2, float("nan")], "finite"),
    ],
)
def test_bad_points_are_named(x, y, message):
    with pytest.raises(MetricError, match=message):
        fit_line(x, y)
    with pytest.raises(MetricError, match="group 'b'"):
        equal_slopes({"a": ([1, 10, 100], [1, 2, 4]), "b": (x, y)})


def test_exact_lines_leave_nothing_to_test():
    with pytest.raises(MetricError, match="exactly"):
        equal_slopes({"a": ([1, 10, 100], [1, 2, 3]), "b": ([1, 10, 100], [2, 4, 6])})
    with pytest.raises(MetricError, match="at least two"):
        equal_slopes({"a": ([1, 10, 100], [1, 2, 3])})

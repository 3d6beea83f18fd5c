"""MIR against a plain reference that keeps all tokens, and against the published variant with medians."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.linalg import sqrtm

from radar_metrics.errors import MetricError
from radar_metrics.modality_integration import LayerMoments, Moments, TokenNorms, frechet_distance, layer_distances, mir


def plain_distance(a, b):
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(cov_a @ cov_b))
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)


def plain_mir(vision_layers, text_layers, centre, replacement):
    total = 0.0
    for vision, text in zip(vision_layers, text_layers, strict=True):
        scale = 1 / np.linalg.norm(text, axis=1).mean()
        cleaned = []
        for tokens in (vision * scale, text * scale):
            norms = np.linalg.norm(tokens, axis=1)
            outlier = np.abs(norms - centre(norms)) > 3 * norms.std(ddof=1)
            tokens[outlier] = replacement(tokens, outlier)
            cleaned.append(tokens)
        total += plain_distance(*cleaned)
    return np.log10(total)


def features(seed, n, layers=3, width=6, shift=0.0):
    """Layers of correlated features, a few tokens of them ten times as long."""
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(layers):
        rows = 1.0 + shift + rng.normal(size=(n, width)) @ (np.eye(width) + 0.3 * rng.normal(size=(width, width)))
        rows[rng.choice(n, 4, replace=False)] *= 10
        out.append(rows)
    return out


def streamed(layers, batches):
    moments = []
    for rows in layers:
        norms = TokenNorms()
        for part in np.array_split(rows, batches):
            norms.update(part)
        layer = LayerMoments(norms)
        for part in np.array_split(rows, batches):
            layer.update(part)
        moments.append(layer)
    return moments


@pytest.mark.parametrize("batches", [1, 7, 600])
def test_streaming_equals_the_plain_reference(batches):
    vision, text = features(0, 500, shift=0.8), features(1, 300)
    expected = plain_mir(vision, text, np.mean, lambda rows, outlier: rows[~outlier].mean(0))
    layers = streamed(vision, batches)
    assert sum(layer.outliers for layer in layers) >= 6
    assert mir(layers, streamed(text, batches)) == pytest.approx(expected, abs=1e-9)


def test_close_to_the_published_variant_with_medians():
    vision, text = features(2, 3000, shift=0.8), features(3, 2000)
    published = plain_mir(vision, text, np.median, lambda rows, outlier: np.median(rows, axis=0))
    assert mir(streamed(vision, 5), streamed(text, 5)) == pytest.approx(published, abs=0.01)


@pytest.mark.parametrize(("spread", "is_outlier"), [(0.1, True), (0.25, False)])
def test_outliers_lie_beyond_three_sample_deviations(spread, is_outlier):
    """The longest of these tokens lies 3.004 and 2.944 deviations (n - 1) from the mean; 3.15 and 3.09 with n."""
    lengths = np.array([1.0] * 5 + [1.0 + spread] * 5 + [3.0])
    norms = TokenNorms()
    norms.update(lengths[:, None])
    assert_allclose(norms.is_outlier(lengths), [False] * 10 + [is_outlier])


def test_parts_merge_to_the_whole():
    rows = features(4, 400)[0]
    first, second = TokenNorms(), TokenNorms()
    first.update(rows[:150])
    second.update(rows[150:])
    first.merge(second)
    whole = streamed([rows], 1)[0]
    parts = [LayerMoments(first), LayerMoments(first)]
    parts[0].update(rows[:150])
    parts[1].update(rows[150:])
    parts[0].merge(parts[1])
    assert_allclose(parts[0].covariance, whole.covariance, rtol=1e-12)
    assert_allclose(parts[0].mean, whole.mean, rtol=1e-12)
    assert parts[0].outliers == whole.outliers


def test_moments_do_not_cancel_far_from_zero():
    rows = 1e8 + np.random.default_rng(0).normal(size=(1000, 2))
    moments = Moments()
    for part in np.array_split(rows, 50):
        moments.merge(Moments.of(part))
    assert_allclose(moments.scatter / 999, np.cov(rows, rowvar=False), rtol=1e-6)


def test_known_distances():
    eye = np.eye(3)
    zero = np.zeros(3)
    assert frechet_distance(zero, eye, zero, eye) == pytest.approx(0.0, abs=1e-12)
    assert frechet_distance(zero, eye, np.array([3.0, 0, 4.0]), eye) == pytest.approx(25.0)
    assert frechet_distance(zero, 4 * eye, zero, 9 * eye) == pytest.approx(3.0)  # sum over axes of (2 - 3)^2
    one_direction = np.diag([1.0, 0.0, 0.0])
    assert frechet_distance(zero, one_direction, zero, np.diag([0.0, 1.0, 0.0])) == pytest.approx(2.0)


def test_scale_of_the_model_does_not_matter():
    vision, text = features(5, 200, shift=0.5), features(6, 200)
    large = [[1000 * rows for rows in layers] for layers in (vision, text)]
    assert mir(streamed(large[0], 2), streamed(large[1], 2)) == pytest.approx(
        mir(streamed(vision, 2), streamed(text, 2))
    )


def test_fewer_tokens_than_dimensions():
    vision, text = features(7, 10, width=40), features(8, 12, width=40)
    assert np.isfinite(layer_distances(streamed(vision, 2), streamed(text, 2))).all()


def test_bad_input_is_named():
    text = streamed(features(0, 50, layers=2), 1)
    with pytest.raises(MetricError, match="1 vision and 2 text layers"):
        mir(text[:1], text)
    with pytest.raises(MetricError, match="layer at position 1: 0 tokens in pass 2 for 50"):
        mir([text[0], LayerMoments(text[1].norms)], text)
    with pytest.raises(MetricError, match="width 5, text features of width 6"):
        mir(streamed(features(0, 50, layers=2, width=5), 1), text)
    with pytest.raises(MetricError, match="NaN or infinite"):
        TokenNorms().update([[1.0, float("nan")]])
    with pytest.raises(MetricError, match="shape"):
        TokenNorms().update([1.0, 2.0])
    flat = streamed([np.array([[1.0, 0.0], [0.0, 0.0]])], 1)
    with pytest.raises(MetricError, match="minus infinity"):
        mir(flat, flat)
    with pytest.raises(MetricError, match="all text features are zero"):
        mir(streamed([np.ones((3, 2))], 1), streamed([np.zeros((3, 2))], 1))
    with pytest.raises(MetricError, match="width 2 after features of width 3"):
        Moments.of(np.ones((4, 3))).merge(Moments.of(np.ones((4, 2))))

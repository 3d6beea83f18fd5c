"""Modality Integration Rate (MIR): how far vision tokens lie from text tokens inside the language model.

Source: Huang et al., "Deciphering Cross-Modal Alignment in Large Vision-Language Models with Modality Integration
Rate", arXiv 2410.07167, and the authors' code (shikiw/Modality-Integration-Rate). Over the layers k of the language
model, with f_k^v and f_k^t the hidden states of all vision and all text tokens of N image-text pairs:

    MIR = log10( sum_k  FD( w(a_k f_k^v), w(a_k f_k^t) ) ),     a_k = 1 / mean_i |f_k,i^t|

FD is the Frechet distance of the two Gaussians with the tokens' means and covariances (n - 1), and w replaces tokens
whose norm is more than three standard deviations (n - 1) away from the usual norm. The authors leave out the input of
the first layer. Lower is better integrated; the number is not bounded.

Here features arrive in batches and are not kept, in two passes over the same pairs:

    pass 1   `TokenNorms.update(features)`      count, mean and spread of the norms
    pass 2   `LayerMoments(norms).update(...)`  mean and covariance of the tokens, outliers replaced

for every layer and modality, then `mir(vision, text)`. Scaling by a_k multiplies a distance by a_k^2 and moves no token
in or out of the three deviations, so that it is done at the end. What a stream cannot hold is the median; two things
therefore differ from the authors' code, which keeps all tokens: the usual norm is the mean (there: the median), and an
outlier becomes the mean of the other tokens (there: the median of each coordinate over all tokens). On bell-shaped
features with a few outliers the two agree to about 0.01 in MIR.

Memory: D^2 numbers of 8 bytes for each layer and modality, whatever N (D = 4096: 134 MB); with large models take a few
layers at a time.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from radar_metrics.errors import MetricError
from radar_metrics.options import BoolArray, FloatArray

_SIGMAS = 3.0


@dataclass
class Moments:
    """Count, mean (D,) and scatter (D, D) of rows seen so far; the scatter is the sum of outer products of deviations.

    Merging uses the pairwise update of Chan, Golub and LeVeque (1983), which does not cancel as sums of squares do.
    """

    count: int = 0
    mean: FloatArray = field(default_factory=lambda: np.zeros(0))
    scatter: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))

    @classmethod
    def of(cls, rows: FloatArray) -> "Moments":
        """Moments of the rows (n, D)."""
        if len(rows) == 0:
            return cls()
        mean = rows.mean(axis=0)
        deviation = rows - mean
        return cls(len(rows), mean, deviation.T @ deviation)

    def merge(self, other: "Moments") -> None:
        """Adds the rows that `other` saw, for instance on another device."""
        if other.count == 0:
            return
        if self.count == 0:
            self.count, self.mean, self.scatter = other.count, other.mean.copy(), other.scatter.copy()
            return
        if self.mean.shape != other.mean.shape:
            raise MetricError(f"features of width {len(other.mean)} after features of width {len(self.mean)}")
        total = self.count + other.count
        shift = other.mean - self.mean
        self.mean = self.mean + shift * (other.count / total)
        self.scatter += other.scatter + np.outer(shift, shift) * (self.count * other.count / total)
        self.count = total


@dataclass
class TokenNorms:
    """Pass 1 for one layer and modality: the Euclidean norms of its tokens."""

    moments: Moments = field(default_factory=Moments)

    def update(self, features: ArrayLike) -> None:
        """Adds tokens (n, D). Raises MetricError for NaN or infinite features."""
        self.moments.merge(Moments.of(_norms(_rows(features))[:, None]))

    def merge(self, other: "TokenNorms") -> None:
        """Adds the tokens that `other` saw."""
        self.moments.merge(other.moments)

    @property
    def mean(self) -> float:
        """Mean norm; MetricError before any token."""
        if self.moments.count == 0:
            raise MetricError("no tokens: their norms have no mean")
        return float(self.moments.mean[0])

    def is_outlier(self, norms: FloatArray) -> BoolArray:
        """(n,) True where a norm is more than three standard deviations from the mean."""
        if self.moments.count < 2:
            raise MetricError(f"{self.moments.count} token(s): a standard deviation needs two")
        deviation = math.sqrt(float(self.moments.scatter[0, 0]) / (self.moments.count - 1))
        return np.asarray(np.abs(norms - self.mean) > _SIGMAS * deviation)


@dataclass
class LayerMoments:
    """Pass 2 for one layer and modality: mean and covariance of its tokens with outliers replaced.

    Attributes:
        norms: what pass 1 found for the same layer and modality.
        inliers: moments of the tokens that are not outliers.
        outliers: number of tokens replaced by the mean of the others.
    """

    norms: TokenNorms
    inliers: Moments = field(default_factory=Moments)
    outliers: int = 0

    def update(self, features: ArrayLike) -> None:
        """Adds tokens (n, D). Raises MetricError for NaN or infinite features."""
        rows = _rows(features)
        outlier = self.norms.is_outlier(_norms(rows))
        self.outliers += int(outlier.sum())
        self.inliers.merge(Moments.of(rows[~outlier]))

    def merge(self, other: "LayerMoments") -> None:
        """Adds the tokens that `other` saw, which must have been judged by the same norms."""
        self.inliers.merge(other.inliers)
        self.outliers += other.outliers

    @property
    def mean(self) -> FloatArray:
        """(D,) mean of the tokens; replaced ones sit on it."""
        return self.inliers.mean

    @property
    def covariance(self) -> FloatArray:
        """(D, D) covariance (n - 1) of all tokens; replaced ones add to n and not to the scatter."""
        count = self.inliers.count + self.outliers
        if count != self.norms.moments.count or count < 2:
            raise MetricError(
                f"{count} tokens in pass 2 for {self.norms.moments.count} in pass 1: both passes need the same tokens, "
                "at least two"
            )
        return self.inliers.scatter / (count - 1)


def frechet_distance(
    mean_a: FloatArray, covariance_a: FloatArray, mean_b: FloatArray, covariance_b: FloatArray
) -> float:
    """Squared Frechet distance of two Gaussians, |m_a - m_b|^2 + tr(A) + tr(B) - 2 tr((A B)^(1/2)); >= 0.

    The trace of the root is the sum of square roots of the eigenvalues of A^(1/2) B A^(1/2), which is symmetric: no
    complex parts appear, unlike in a root of A B, and fewer tokens than dimensions are no trouble.

    Args:
        mean_a, mean_b: (D,) means.
        covariance_a, covariance_b: (D, D) symmetric, positive semi-definite.
    """
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ covariance_b @ root)
    trace_of_root = np.sqrt(np.maximum(eigenvalues, 0.0)).sum()
    shift = mean_a - mean_b
    distance = shift @ shift + np.trace(covariance_a) + np.trace(covariance_b) - 2.0 * trace_of_root
    return max(float(distance), 0.0)


def layer_distances(vision_layers: Sequence[LayerMoments], text_layers: Sequence[LayerMoments]) -> FloatArray:
    """(K,) Frechet distance of each layer in units of its squared mean text norm: the terms of the sum in MIR.

    Raises:
        MetricError: no layers, another number of them for each modality, other widths, passes over different tokens,
            or text features that are all zero; names the layer by its position.
    """
    if not vision_layers or len(vision_layers) != len(text_layers):
        raise MetricError(
            f"{len(vision_layers)} vision and {len(text_layers)} text layers: as many of each, at least one"
        )
    distances = []
    for k, (vision, text) in enumerate(zip(vision_layers, text_layers, strict=True)):
        try:
            distances.append(_layer_distance(vision, text))
        except MetricError as error:
            raise MetricError(f"layer at position {k}: {error}") from error
    return np.array(distances)


def mir(vision_layers: Sequence[LayerMoments], text_layers: Sequence[LayerMoments]) -> float:
    """Modality Integration Rate of a model from the moments of its layers (see the module's text); lower is better.

    Args:
        vision_layers: K moments of the vision tokens, without the input of the first layer.
        text_layers: K moments of the text tokens of the same layers.

    Raises:
        MetricError: see `layer_distances`; or both modalities have the same moments in every layer.
    """
    return rate(layer_distances(vision_layers, text_layers))


def rate(distances: FloatArray) -> float:
    """MIR from the (K,) terms that `layer_distances` gives, for those who compute a few layers at a time.

    Raises:
        MetricError: all are 0.
    """
    total = float(distances.sum())
    if total == 0.0:
        raise MetricError("vision and text tokens have the same moments in every layer: MIR is minus infinity")
    return math.log10(total)


def _layer_distance(vision: LayerMoments, text: LayerMoments) -> float:
    vision_covariance, text_covariance = vision.covariance, text.covariance
    if vision_covariance.shape != text_covariance.shape:
        raise MetricError(f"vision features of width {len(vision.mean)}, text features of width {len(text.mean)}")
    if text.norms.mean == 0.0:
        raise MetricError("all text features are zero")
    distance = frechet_distance(vision.mean, vision_covariance, text.mean, text_covariance)
    return distance / text.norms.mean**2


def _rows(features: ArrayLike) -> FloatArray:
    rows = np.asarray(features, dtype=np.float64)
    if rows.ndim != 2:
        raise MetricError(f"features of shape {rows.shape}: (tokens, width) is needed")
    if not np.isfinite(rows).all():
        raise MetricError("features hold NaN or infinite values")
    return rows


def _norms(rows: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(rows, axis=1))

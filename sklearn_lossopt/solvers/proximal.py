"""The proximal point of dual coordinate ascent: its metric, its weight and its momentum."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from .._blas import one_thread
from ..kernels import losses
from ..kernels.rows import aligned_zeros

MOST_DENSITY = 0.02  # share of features that a row stores where rows count as hardly overlapping


class Tuning(NamedTuple):
    """How to choose the proximal term for a loss: measured, see `TUNING`."""

    curvature: float  # mean of rows' dual problems that kappa is chosen for, where it would be 1 without,
    growth: float  # and the power of what it would be by which that grows
    least_pull: float  # momentum is that of at least so much strong convexity: passes are inexact
    wanted: tuple  # stiffness: see `kappa.factor_to`
    # Passes after which kappa is first halved where that does not tell: of hinges, without L2. (None: never.)
    loosens_at: int | None = 32


SQUARED = losses.SQUARED
# Stiffness wanted of smooth losses and of hinges, and of rows that hardly overlap, as those of text.
SMOOTH, NEVER_RAISED, APART, SQUARED_APART = (
    (0.07, 0.004, 0.15),
    (0.07, 0.0, 0.15),
    (0.4, 0.1, 1.0),
    (0.1, 0.03, 0.3),
)
# For rows that overlap, and for those that hardly do: of these a pass solves more than of the others, however
# weak the penalty. Measured on mnist, letter, covtype20k, cifar10_small, digits and breast_cancer, raw and
# standardized, on generated clusters (alpha 1e-2 to 5e-6), and on newsgroups20 and clinc150 (1/n to 0.01/n).
TUNING = {
    losses.SOFTMAX: (Tuning(0.9, 0.33, 0.05, SMOOTH), Tuning(10.0, 0.25, 0.05, APART, None)),
    losses.LOGISTIC: (Tuning(0.9, 0.33, 0.05, SMOOTH), Tuning(10.0, 0.25, 0.05, APART, None)),
    losses.HINGE: (Tuning(0.2, 0.2, 0.5, NEVER_RAISED), Tuning(0.45, 0.7, 0.6, NEVER_RAISED, None)),
    losses.WESTON_WATKINS: (Tuning(0.2, 0.2, 0.5, NEVER_RAISED), Tuning(0.45, 0.7, 0.6, NEVER_RAISED, None)),
    losses.CRAMMER_SINGER: (Tuning(0.2, 0.2, 0.5, NEVER_RAISED), Tuning(0.45, 0.7, 0.6, NEVER_RAISED, None)),
    losses.HINGE + SQUARED: (Tuning(0.15, 0.25, 0.1, SMOOTH), Tuning(1.0, 0.45, 0.5, SQUARED_APART, None)),
    losses.WESTON_WATKINS + SQUARED: (
        Tuning(0.08, 0.15, 0.1, SMOOTH),
        Tuning(1.0, 0.45, 0.5, SQUARED_APART, None),
    ),
    losses.CRAMMER_SINGER + SQUARED: (
        Tuning(0.08, 0.15, 0.1, SMOOTH),
        Tuning(1.0, 0.45, 0.5, SQUARED_APART, None),
    ),
}
MOST_GROWTH = 100.0  # of that curvature: beyond, nothing was measured
# With many classes few rows are undecided about each: such a share of all, over the classes. Where they are
# fewer than the directions that rows go in, hardly two of them compete and a pass solves more: the curvature
# may be larger, by such a power of how many fewer.
UNDECIDED, POWER_OF_FEWER, MOST_FEWER, SAMPLE = 0.24, 0.7, 100.0, 256
# Where the penalty is so strong that coefficients vanish, the intercept is all there is: 1 / kappa of it is
# at least so much, and of logistic losses, whose rare classes pull it with a curvature of their share alone,
# 1 / the rarest class's share (but at most the number of rows, which makes a row's curvature 1).
LEAST_INTERCEPT_SCALE = 100.0


@dataclass
class Center:
    """The proximal point, in scaled coordinates, and its momentum."""

    coef: np.ndarray
    coef_before: np.ndarray
    intercept: np.ndarray
    intercept_before: np.ndarray
    pull: np.ndarray
    term_weight: np.ndarray  # what the proximal term is, by squared distance to the point
    stretch: np.ndarray  # what the penalty's part of a gap is, by squared distance to the point
    least_pull: float  # q, the strong convexity that is not the proximal term's, as a share
    a: float = 1.0
    b: float = 1.0


def extrapolation(a, q):
    """Nesterov's extrapolation factor and the next a: ``a_k^2 = (1 - a_k) a_(k-1)^2 + q a_k``."""
    rest = q - a * a
    new = (rest + math.sqrt(rest * rest + 4 * a * a)) / 2
    return a * (1 - a) / (a * a + new), new


def geometry(problem):
    """Shift, second moment about it, and squared scale of each feature."""
    moments = problem.moments
    second_moment = moments.scatter / moments.mass
    if problem.fit_intercept and not problem.is_sparse:
        shift, largest = moments.mean, moments.largest_deviation
    else:
        shift, largest = np.zeros(0), moments.largest_value
        second_moment = second_moment + moments.mean**2
    # Nor can the dtype hold the scale of what is nearly 0 throughout.
    tiny = 1e-18 if problem.dtype == np.float32 else 1e-150
    constant = (largest <= 1e-12 * np.abs(moments.mean)) | (largest < tiny)
    # Between its spread and its range: the spread alone is too small where a feature is rarely on.
    size = np.sqrt(second_moment) * largest
    return shift, np.where(constant, 0, second_moment), np.where(constant, 1.0, size)


def rows_overlap(problem):
    """Whether most rows have features in common."""
    return problem.row_length > MOST_DENSITY * problem.n_features


def tuning(problem):
    """The loss's `Tuning`, for rows like these."""
    overlapping, apart = TUNING[problem.loss]
    return overlapping if rows_overlap(problem) else apart


def choose_kappa(problem):
    """Weight of the proximal term that brings rows' mean curvature down to what is wanted."""
    tuned = tuning(problem)
    _, second_moment, metric = geometry(problem)
    l2, n_rows = problem.penalty.l2, len(problem.index)

    def curvature(kappa):
        return float((second_moment / (l2 + kappa * metric)).sum()) / n_rows

    without = min(curvature(0.0), MOST_GROWTH) if l2 > 0 else MOST_GROWTH
    growth = tuned.growth
    if problem.penalty.l1 and not rows_overlap(problem):
        growth *= l2 / (l2 + problem.penalty.l1)  # what it grows for is weak L2: L1 leaves few features
    wanted = tuned.curvature * without**growth * _few_compete(problem)
    if l2 > 0 and curvature(0.0) <= wanted:
        return 0.0
    # With no L2 the curvature is that at kappa = 1 over kappa, with L2 it is less.
    most = float((second_moment / metric).sum()) / (n_rows * wanted) or 1.0
    if l2 == 0 or not math.isfinite(curvature(0.0) + most):  # features' squares, or 1 / l2, overflow
        return most
    # Inverses of curvatures are nearly linear in kappa. It may be far less than `most`, beyond which, so that
    # rounding does not count, the search ends.
    return brentq(lambda kappa: 1 / curvature(kappa) - 1 / wanted, 0.0, 2 * most, xtol=1e-18 * most)


def _few_compete(problem):
    """What the wanted curvature is to be multiplied by, for rows few of which compete: 1 or more."""
    undecided = UNDECIDED * len(problem.index) / problem.n_outputs
    if problem.loss != losses.SOFTMAX or not rows_overlap(problem) or undecided >= problem.n_features:
        return 1.0
    return min(max(effective_dimension(problem) / undecided, 1.0), MOST_FEWER) ** POWER_OF_FEWER


def effective_dimension(problem):
    """How many directions rows go in: ``tr(C)^2 / tr(C^2)``, of their second moments C in the metric.

    The mean square of the inner products of rows, some of them, estimates tr(C^2). Weights do not count.
    """
    shift, second_moment, metric = geometry(problem)
    scale = np.where(second_moment > 0, 1 / np.sqrt(metric), 0.0)
    n_rows = len(problem.index)
    # Chosen at random, as rows may be in an order of their own.
    chosen = np.unique(np.random.default_rng(0).integers(n_rows, size=SAMPLE)) if n_rows > SAMPLE else ...
    chosen = problem.index[chosen]
    with one_thread:
        if problem.is_sparse:
            rows = problem.matrix[chosen].multiply(scale).tocsr()
            products = (rows @ rows.T).toarray().astype(np.float64)
        else:
            rows = problem.rows.values[chosen].astype(np.float64)
            rows = (rows - shift if shift.size else rows) * scale
            products = rows @ rows.T
    size = np.diag(products).mean()
    np.fill_diagonal(products, 0.0)
    n_pairs, squares = len(chosen) * (len(chosen) - 1), float((products**2).sum())
    most = float(problem.n_features)
    return min(n_pairs * size**2 / squares, most) if squares > 0 else most


def widened(values, width, dtype):
    """Numbers by feature, and zeros up to the width of the coefficients in kernels."""
    out = aligned_zeros((width,), dtype)
    if width:
        out[: len(values)] = values
    return out


def least_intercept_scale(problem):
    """What 1 / kappa of the intercept should be at least: see `LEAST_INTERCEPT_SCALE`."""
    least = LEAST_INTERCEPT_SCALE
    if problem.loss in (losses.SOFTMAX, losses.LOGISTIC):
        shares = np.bincount(problem.target[problem.index], problem.share[problem.index])
        least = max(least, 1 / float(shares[shares > 0].min()))
    return min(least, float(len(problem.index)))

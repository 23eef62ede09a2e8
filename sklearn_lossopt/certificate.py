"""The duality gap: a proven bound of how far a model's objective is above the optimum.

For any dual point a within the loss's domain, with ``sum_i w_i a_i = 0`` if there is a free intercept
(weights w sum to 1 here) and ``v = X^T diag(w) a``, weak duality says

    F* >= D(a) = - sum_i w_i loss*(-a_i) - R*(v),  R*(v) = sum (|v| - l1)_+^2 / (2 l2)

(Rockafellar 1970, section 31; R* is infinite where l2 = 0 and |v| > l1). All of it is computed in float64
from the dual variables themselves and at the very coefficients that the user gets.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import LinAlgError, solve

from ._blas import one_thread
from ._threads import by_parts
from .kernels import losses
from .kernels.certify import (
    add_duals,
    add_flows,
    bound_terms,
    conjugates,
    new_room,
    sum_excess,
    sum_reach,
)
from .kernels.evaluate import sum_sizes
from .kernels.rows import aligned_zeros
from .kernels.vectors import padded_outputs

EPSILON, TINY = np.finfo(np.float64).eps, np.finfo(np.float64).tiny
NEWTON_STEPS = 60  # to balance flows; three to ten are usual


class Certificate(NamedTuple):
    """A model's objective and what it is above the optimum at most."""

    objective: float
    gap: float
    bound: float  # a lower bound of the optimum, rounding errors taken off
    rounding: float  # bound of what rounding may have taken from the objective


class BestBound:
    """The highest lower bound so far: the optimum is the same whatever iterate showed it."""

    def __init__(self):
        self.bound = 0.0  # losses are not negative

    def improve(self, certificate):
        """The certificate with the best bound there is."""
        if not np.isfinite(certificate.gap):
            return certificate
        self.bound = max(self.bound, certificate.bound)
        return certificate._replace(
            gap=certificate.objective + certificate.rounding - self.bound, bound=self.bound
        )


class Move(NamedTuple):
    """How a stored dual point is changed to be feasible: see `kernels.ascent.read_dual`."""

    keep: np.ndarray  # (n_classes, outputs padded to whole vectors); (n_classes, 0): the point stays as it is
    mixed: np.ndarray  # (padded outputs,), or empty

    @classmethod
    def of(cls, keep, mixed):
        """The move by factors (n_classes, n_outputs) and a point of the simplex (n_outputs,)."""
        n_outputs = mixed.size
        padded = aligned_zeros((len(keep) + 1, padded_outputs(n_outputs, np.float64)), np.float64)
        padded[:-1, :n_outputs], padded[-1, :n_outputs] = keep, mixed
        return cls(padded[:-1], padded[-1])


def unmoved(n_outputs):
    """The move that leaves a dual point as it is stored."""
    return Move(np.empty((max(n_outputs, 2), 0)), np.empty(0))


def guess_of_rows(problem, model, dual, index):
    """Means over some rows of losses, and of what they are from the best dual variables for their scores.

    The latter is ``loss(s) + loss*(-a) + <s, a>`` of a row with scores s, which is never negative.
    """
    loss, _, gap, _ = _terms(problem, model, dual, unmoved(problem.n_outputs), index, 1, False)
    mass = problem.share[index].sum()
    return loss / mass, gap / mass


def _terms(problem, model, dual, move, index, n_jobs, wants_gradient):
    """The three sums of `kernels.certify.bound_terms` over some rows, and the gradient or an empty one."""

    def terms(part):
        gradient = np.zeros(model.coef.shape if wants_gradient else (0, problem.n_outputs))
        where = problem.rows, part, problem.target, problem.share, problem.loss
        return *bound_terms(*where, *model, dual, move, gradient, new_room(problem.n_outputs)), gradient

    parts = by_parts(terms, index, n_jobs)
    return tuple(sum(numbers[1:], numbers[0]) for numbers in zip(*parts, strict=True))


def certify(problem, model, dual, n_jobs=1):
    """Bound the distance of a model to the optimum by a dual point.

    Parameters
    ----------
    problem : Problem
        What is minimized.
    model : Model
        The coefficients in question.
    dual : ndarray of shape (n_rows, n_outputs)
        Dual variables, as `kernels.ascent` stores them.
    n_jobs : int, default=1
        Threads.

    Returns
    -------
    Certificate
    """
    coef = model.coef
    move = balance(problem, dual, n_jobs)
    data_loss, conjugate, _, gradient = _terms(problem, model, dual, move, problem.index, n_jobs, True)
    l1, l2 = problem.penalty.l1, problem.penalty.l2
    absolute, square = sum_sizes(coef)
    objective = data_loss + l1 * absolute + l2 / 2 * square
    rounding = _rounding(problem, coef, objective, conjugate)
    quadratic, excess = sum_excess(gradient.reshape(-1), l1)
    # With a = 0 the bound is that losses are not negative.
    bound = 0.0
    if l2 > 0:
        bound = max(bound, -conjugate - quadratic / (2 * l2))
    elif quadratic == 0:
        bound = max(bound, -conjugate)
    if quadratic > 0 and l1 > 0:
        factor = l1 / (l1 + excess)
        room = new_room(problem.n_outputs)
        where = problem.loss, problem.index, problem.target, problem.share
        bound = max(bound, -conjugates(*where, dual, move, room, factor))
    if not np.isfinite(objective + rounding):
        return Certificate(objective, np.inf, 0.0, 0.0)
    bound = max(bound - rounding, 0.0) if np.isfinite(bound) else 0.0
    return Certificate(objective, objective + rounding - bound, bound, rounding)


def gradient_of_dual(problem, dual):
    """``X^T diag(w) a``, in the layout of coefficients, and the mean dual vector; of the stored point."""
    n_outputs = problem.n_outputs
    shape = (problem.n_features, n_outputs) if problem.is_sparse else (n_outputs, problem.n_features)
    gradient = np.zeros(shape)
    room = new_room(n_outputs)
    index, target, weight = problem.index, problem.target, problem.share
    add_duals(problem.rows, index, target, weight, problem.loss, dual, unmoved(n_outputs), gradient, room)
    return gradient, _flows(problem, dual).sum(axis=0)


def _flows(problem, dual, n_jobs=1):
    """Weighted sums of the stored dual point's vectors by class: (n_classes, n_outputs)."""
    n_outputs = problem.n_outputs

    def flows(part):
        room = new_room(n_outputs)
        sums = aligned_zeros((max(n_outputs, 2), room[1].shape[1]), np.float64)
        where = problem.loss, part, problem.target, problem.share
        add_flows(*where, dual, unmoved(n_outputs), sums, room)
        return sums[:, :n_outputs]

    return sum(by_parts(flows, problem.index, n_jobs))


def balance(problem, dual, n_jobs=1):
    """Make the dual point one whose weighted sum is zero, as a free intercept demands."""
    n_outputs = problem.n_outputs
    n_classes = max(n_outputs, 2)
    if not problem.fit_intercept:
        return unmoved(n_outputs)
    keep, mixed = np.ones((n_classes, n_outputs)), np.zeros(n_outputs)
    weight = problem.share
    sums = np.abs(_flows(problem, dual, n_jobs))
    if problem.loss == losses.SOFTMAX:
        # p of other classes flows in, what p lacks of 1 at its own class flows out.
        mass = np.bincount(problem.target[problem.index], weight[problem.index], minlength=n_classes)
        out_flow = np.diag(sums).copy()
        in_flow = sums.sum(axis=0) - out_flow
        mean = mass - out_flow + in_flow  # of p
        # Classes that p gives too much give it to those that it gives too little.
        keep[:] = np.minimum(mass / np.maximum(mean, TINY), 1.0)
        lack = np.maximum(mass - mean, 0)
        mixed[:] = lack / lack.sum() if lack.any() else 1 / n_outputs
        return Move.of(keep, mixed)
    if problem.loss == losses.LOGISTIC or problem.loss % losses.SQUARED == losses.HINGE:
        # Each output has rows on its side and rows against it: the heavier side gives way.
        own = sums[1:] if n_outputs == 1 else np.diag(sums)
        own = own.ravel()
        others = sums.sum(axis=0) - own
        least = np.minimum(own, others)
        with np.errstate(invalid="ignore", divide="ignore"):
            keep[:] = np.where(others > 0, least / others, 0.0)
            own_keep = np.where(own > 0, least / own, 0.0)
        if n_outputs == 1:
            keep[1] = own_keep
        else:
            np.fill_diagonal(keep, own_keep)
        return Move.of(keep, mixed)
    np.fill_diagonal(sums, 0.0)
    with one_thread:
        return Move.of(_balance_matrix(sums), mixed)


def _balance_matrix(flow):
    """Factors in [0, 1] of a matrix's entries that make its row sums its column sums.

    A diagonal similarity balances (Osborne 1960), exp(x_y - x_k) for entry (y, k): where the convex
    ``sum flow * exp(x_y - x_k)`` is least, which Newton's method finds in a few steps (Cohen, Madry, Tsipras
    and Vladu 2017). Where there is none, or where it leaves less, each pair of opposite entries is cut to the
    smaller.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        cut = np.where(flow > 0, np.minimum(flow, flow.T) / flow, 0.0)
    n_classes = len(flow)
    x = np.zeros(n_classes)
    for _ in range(NEWTON_STEPS):
        scaled = flow * np.exp(x[:, None] - x[None, :])
        out_flow, in_flow = scaled.sum(axis=1), scaled.sum(axis=0)
        surplus = out_flow - in_flow
        if np.abs(surplus).max() <= 64 * EPSILON * out_flow.max():
            factor = np.exp(x[:, None] - x[None, :])
            used = factor[flow > 0]
            factor /= max(1.0, used.max() if used.size else 1.0)
            return factor if (factor * flow).sum() >= (cut * flow).sum() else cut
        both = (out_flow > 0) & (in_flow > 0)
        if surplus[~both].any():
            break
        # The Hessian is a graph's Laplacian; the constants that it does not see are added.
        size = out_flow + in_flow
        hessian = size.mean() / n_classes - scaled - scaled.T
        hessian[np.diag_indices(n_classes)] += np.where(both, size, 1.0)
        try:
            step = solve(hessian, surplus, assume_a="pos", overwrite_a=True, check_finite=False)
        except LinAlgError:
            break
        x -= step / max(1.0, np.abs(step).max())
    return cut


def _rounding(problem, coef, objective, conjugate):
    """Bound of the rounding errors of both sides.

    Sums of n terms are off by n units in the last place of the sum of their sizes, scores by
    n_features units of ``sum |x_j w_j|``, and the dual quadratic likewise.
    """
    moments = problem.moments
    size = np.sqrt(moments.scatter / moments.mass + moments.mean**2)
    reach = sum_reach(coef, size, not problem.is_sparse)
    n_terms = len(problem.index) + problem.n_features + 64
    return 2 * EPSILON * n_terms * (abs(objective) + abs(conjugate) + reach)

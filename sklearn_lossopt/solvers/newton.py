"""Newton's method with line search, for smooth losses and L2.

Systems are solved with Cholesky factors of the exact Hessian or, for softmax of more than a few parameters,
by conjugate gradients without it. It goes on to the limit of rounding: so its result hardly depends on how
rows are ordered, repeated or weighted.
"""

import numpy as np

from .._blas import one_thread
from ..certificate import certify
from ..kernels import losses
from . import softmax
from .certified import CertifiedSolver
from .margins import MarginObjective
from .second_order import SecondOrder, describe

SMALL = 1e-13  # a Newton decrement below this share of the objective is rounding
NEAR = 1e-2  # a decrement, relative, from which on steps converge quadratically
HOPE = 4.0  # of the wanted gap: steps of a larger decrement hardly end that near
HALVINGS = 40
LITTLE = 500_000  # rows times parameters up to which steps go on to rounding, not just to the wanted gap
SQUARED_OVR = losses.HINGE + losses.SQUARED


class Newton(CertifiedSolver):
    """Newton's method, for smooth losses with an L2 penalty and few parameters.

    Softmax and logistic loss, and the squared hinge one against the rest. The time of a pass grows with
    the square of the number of features; of softmax with the number of parameters, but for a factor that
    tells how nearly dependent they are.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_lossopt import SoftmaxClassifier
    >>> from sklearn_lossopt.solvers import Newton
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(solver=Newton()).fit(X, y)
    >>> bool(model.dual_gap_ <= 1e-4 * model.loss_curve_[-1])
    True
    """

    name = "newton"

    def runner(self, tol, shuffle, n_jobs=1):
        return NewtonSteps(tol)


def takes(problem):
    """Whether Newton's method is made for a problem."""
    return problem.penalty.l1 == 0 and problem.loss in (losses.SOFTMAX, losses.LOGISTIC, SQUARED_OVR)


class NewtonSteps(SecondOrder):
    """Run Newton's method on a problem; a pass is a step."""

    def order(self, problem):
        """The rows in use: of margins as they are stored."""
        return super().order(problem) if problem.loss == losses.SOFTMAX else problem.index

    def is_due(self, state):
        """Far from the optimum a step still brings more than a certificate could tell.

        And where steps go on to rounding whatever it tells, only the last of them needs one.
        """
        return state.is_stuck or (state.is_settled and self._is_near(state))

    def _is_near(self, state):
        return state.decrement <= (HOPE * self.tol if self.tol else NEAR)

    def start(self, problem, model, rng, previous=None):
        """Prepare steps from `model`."""
        if not takes(problem):
            raise ValueError(
                "solver='newton' needs a smooth loss and no L1: softmax, logistic, or squared hinge with "
                f"multi_class='ovr', and l1_ratio=0. It got {describe(problem)}. Use solver='sdca', which "
                "takes every loss and penalty."
            )
        state = super().start(problem, model, rng, previous)
        state.is_settled = len(state.index) * state.parameters.size > LITTLE
        objective_of = softmax.objective_of if problem.loss == losses.SOFTMAX else MarginObjective
        with one_thread:
            state.objective = objective_of(problem, state)
        return state

    def run_pass(self, problem, state, factor):
        """A Newton step; `factor` is for solvers with a learning rate."""
        objective = state.objective
        with one_thread:
            gradient, solve = objective.derivatives()
            before, is_exact = state.value, objective.is_exact
            direction = -solve(gradient)
            decrement = -float(np.vdot(gradient, direction))
            state.decrement = decrement / before if before else 0.0
            is_rounding = decrement <= SMALL * before
            objective.aim(direction, is_rounding or (state.is_settled and self._is_near(state)))
            state.n_steps += 1
            step = 1.0
            for _ in range(HALVINGS):
                here = objective.at(step)
                if here <= before - 1e-4 * step * decrement:
                    break
                if is_rounding and here <= before * (1 + SMALL):
                    break  # as low as rounding allows
                step /= 2
            else:
                if is_exact:
                    state.is_stuck = state.is_settled = True
                else:
                    objective.start_anew()
                return
            objective.move()
        state.value = here
        state.is_stuck = is_rounding and is_exact
        state.is_settled |= state.is_stuck

    def certify(self, problem, state, model):
        """The model's objective and duality gap, from the dual variables of the float64 iterate."""
        state.dual[state.index] = state.objective.dual()
        return state.bound.improve(certify(problem, model, state.dual))

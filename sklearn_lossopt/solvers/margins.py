"""Losses of margins, whose outputs do not meet, for Newton's method: a visit of the rows is a step.

The visit that tries a step finds its gradient too, and the Hessian for the next one where that is of use:
far from the optimum the Hessian of some rows is enough, near to it that of the step before.
"""

import math

import numpy as np
from scipy.special import expit

from ..kernels import losses
from ..kernels.margins import new_room, visit_margins, weigh_rows
from ..kernels.rows import ROWS_PER_BLOCK, aligned_zeros, padded
from .second_order import add_outer, add_sparse_outer, factor_of, signs, solve_with

# Of logistic loss far from the optimum, Hessians are made of one row in so many, as long as these are so many
# a column, over the relative decrement. (Newton's method for hinges wants to know each hinge that is in use.)
SAMPLE, MOST_APART = 5, 8
# By so many rows a feature must be known then: by fewer, where few of all tell it from its mean.
LEAST_ROWS = 50
WORSE = 0.5  # of the decrement before: more is left where the rows do not stand for the others
# Rough nanoseconds: of a visit by row and by number in it, of a Hessian by product; dense rows, sparse ones.
ROW, NUMBER, PRODUCT = 40.0, (1.2, 2.0), (0.07, 0.8)
KEPT = 1e-3  # a relative decrement from which on a step hardly changes the Hessian
KEPT_TO = 1e-9  # and one where only the Hessian itself brings what is left down to rounding
SLOW = 0.05  # of the decrement before: with an old Hessian a step should leave less of it
BLOCK = 2**15  # numbers of standardized rows that stay in the cache


def times(problem):
    """Rough nanoseconds of a visit of all rows, and of a Hessian."""
    kind = int(problem.is_sparse)
    length = problem.row_length + 1
    each = len(problem.index) * problem.n_outputs
    return each * (ROW + NUMBER[kind] * length), each * PRODUCT[kind] * length**2 / 2


class MarginObjective:
    """The objective at `state.parameters`, where its value is `state.value`, and along a direction.

    Parameters
    ----------
    problem : Problem
        With logistic loss or squared hinges, one against the rest.
    state : SecondOrderRun
        Its rows, weights, scale, ridge and parameters.
    """

    def __init__(self, problem, state):
        self.problem, self.state = problem, state
        n_outputs, n_columns = state.parameters.shape
        index = state.index
        size = len(index)
        self.shift = self.scale = np.empty(0)
        if not problem.is_sparse:
            size = min(max(BLOCK // n_columns, ROWS_PER_BLOCK), len(index))
            width = padded(n_columns, np.float64)
            # A line goes on into the next ones by its padding, and so does the last.
            n_more = -(-(width - n_columns) // n_columns)
            self.weighed = aligned_zeros((size + n_more, n_columns), np.float64)
            # What makes a 1 of the 0 behind a row's features.
            self.shift, self.scale = aligned_zeros((2, width), np.float64)
            self.shift[: n_columns - 1], self.scale[: n_columns - 1] = state.shift, state.scale
            self.shift[n_columns - 1], self.scale[n_columns - 1] = -1.0, problem.fit_intercept
        self.parts = [(start, index[start : start + size]) for start in range(0, len(index), size)]
        self.room = new_room(problem.rows, n_outputs)
        visit, hessian = times(problem)
        self.most_apart = min(4 * hessian / visit, MOST_APART, len(index) / (LEAST_ROWS * self._rarity()))
        shape = len(index), n_outputs
        self.scores, self.tried_scores = np.zeros(shape), np.empty(shape)
        self.curvature = np.empty(shape)
        self.factors = None  # Cholesky factors of a Hessian, or None: it is to be made
        self.decrement = math.inf  # of the last step, relative
        # Rows with curvature: so many alike would tell as much.
        self.n_telling = len(index) * problem.moments.evenness
        self.gradient = self.blocks = None
        self.is_exact = False  # whether `factors` are those of the Hessian of all rows at this very point

    def _rarity(self):
        """Rows over those that tell a feature from its mean, of the one that has the fewest of these."""
        moments = self.problem.moments
        far = moments.largest_deviation * np.sqrt(moments.mass)
        varies = moments.scatter > 0
        return float(np.max(far[varies] ** 2 / moments.scatter[varies], initial=1.0))

    def look(self):
        """Find the value, the gradient and the losses' Hessian here, if they are not known."""
        if self.gradient is None or (self.factors is None and self.blocks is None):
            found = self._visit(self.state.parameters, self.scores, self._apart())
            self.state.value, self.gradient, self.blocks = found

    def derivatives(self):
        """The gradient, and a function that solves with the Hessian, or with one that will do."""
        self.look()
        if self.factors is None:
            extra = self.state.ridge + self.state.unused
            for block in self.blocks:
                block[np.diag_indices(len(extra))] += extra
            self.factors = [factor_of(block) for block in self.blocks]
            self.is_exact, self.blocks = self.apart == 1, None
        return self.gradient, self._solve

    def _solve(self, vectors):
        return np.stack([solve_with(f, line) for f, line in zip(self.factors, vectors, strict=True)])

    def aim(self, direction, is_last):
        """Try the whole step in a direction; `is_last` if no step is likely to follow that one."""
        state = self.state
        before, self.decrement = self.decrement, state.decrement
        keeps = state.is_settled and KEPT_TO < self.decrement < min(KEPT, SLOW * before)
        if self.decrement > WORSE * before:
            self.most_apart = 1.0
        if not keeps:
            self.factors = None
        self.direction, self.is_exact = direction, False
        apart = math.inf if is_last or keeps else self._apart()
        self.tried = self._visit(state.parameters + direction, self.tried_scores, apart)

    def at(self, step):
        """The objective at a point along the direction."""
        self.step = step
        if step == 1:
            return self.tried[0]
        scores = self.scores + step * (self.tried_scores - self.scores)
        margin = signs(self.state.target, self.problem.n_outputs) * scores
        if self.problem.loss == losses.LOGISTIC:
            loss = np.logaddexp(0, -margin)
        else:
            loss = np.square(np.maximum(1 - margin, 0))
        parameters = self.state.parameters + step * self.direction
        return float(self.state.weight @ loss.sum(axis=1)) + self.state.penalty(parameters)

    def move(self):
        """Go to the point that was looked at last."""
        state = self.state
        state.parameters = state.parameters + self.step * self.direction
        if self.step < 1:
            self.factors = None
            self.tried = self._visit(state.parameters, self.tried_scores, self._apart())
        _, self.gradient, self.blocks = self.tried
        self.scores, self.tried_scores = self.tried_scores, self.scores

    def start_anew(self):
        """Forget a Hessian that led nowhere, for that of all rows."""
        self.factors = self.blocks = None
        self.most_apart = 1.0

    def dual(self):
        """The dual variables that belong to the scores."""
        margin = signs(self.state.target, self.problem.n_outputs) * self.scores
        return expit(-margin) if self.problem.loss == losses.LOGISTIC else 2 * np.maximum(1 - margin, 0)

    def _apart(self):
        """The Hessian should be of one row in so many."""
        if self.problem.loss != losses.LOGISTIC or not self.state.is_settled:
            return 1.0
        near = min(self.decrement, 1.0)
        wanted = SAMPLE * self.state.parameters.shape[1] / max(near, 1e-300)
        return max(1.0, min(self.n_telling / wanted, self.most_apart))

    def _visit(self, parameters, scores, apart):
        """The objective, its gradient, and the losses' Hessian by output (None for infinite `apart`)."""
        problem, state = self.problem, self.state
        coef, intercept = self._model(parameters)
        gradient, total = np.zeros(coef.shape), np.zeros(len(parameters))
        loss = 0.0
        n_columns = parameters.shape[1]
        blocks = None
        if math.isfinite(apart):
            blocks = [np.zeros((n_columns, n_columns), order="F") for _ in parameters]
        for start, part in self.parts:
            loss += visit_margins(
                problem.rows,
                part,
                start,
                problem.target,
                problem.share,
                problem.loss,
                float(apart),
                self.shift,
                self.scale,
                coef,
                intercept,
                (scores, self.curvature),
                gradient,
                total,
                self.room,
            )
            if blocks is not None:
                blocks = [self._add_block(k, block, start, part) for k, block in enumerate(blocks)]
        if blocks is not None:
            self.apart = apart
            if self.most_apart > 1:
                square = float(np.square(self.curvature).sum())
                self.n_telling = apart * float(self.curvature.sum()) ** 2 / square if square else 0.0
        slopes = state.ridge * parameters
        if problem.is_sparse:
            slopes[:, :-1] += (gradient.T - np.outer(total, state.shift)) * state.scale
            slopes[:, -1] += total
        else:
            slopes += gradient
        slopes[:, state.unused] = 0
        return loss + state.penalty(parameters), slopes, blocks

    def _model(self, parameters):
        """Parameters as a visit wants them."""
        if not self.problem.is_sparse:
            return parameters, np.zeros(len(parameters))
        coef = parameters[:, :-1] * self.state.scale
        free = parameters[:, -1] * self.problem.fit_intercept - coef @ self.state.shift
        return np.ascontiguousarray(coef.T), free

    def _add_block(self, k, block, start, part):
        """Add the Hessian of an output by some rows: the lower triangle of a Fortran-ordered matrix."""
        if not self.problem.is_sparse:
            where = self.problem.rows, part, start, self.shift, self.scale
            n = weigh_rows(*where, self.curvature, k, self.weighed)
            return add_outer(block, self.weighed[:n], 1.0) if n else block
        return add_sparse_outer(block, self.problem, self.state, part, self.curvature, k)

"""`Minibatch` runs any of the optimizers on a problem."""

from dataclasses import dataclass

import numpy as np

from ..kernels import block_losses, losses, steps
from ..kernels.minibatch import Geometry, State, minibatch_pass
from ..kernels.narrow import as_narrow, new_lines
from ..kernels.order import shuffled
from ..kernels.rows import ROWS_PER_BLOCK, NarrowRows, aligned_zeros, new_block
from ..kernels.vectors import padded_outputs
from ..problem import Model

AUTO_BATCH = 128
PLACES = 512  # slots of a sparse row that are found at a time, while their lines are near
MEMORY = 1e6  # rows of a stream after which moments of earlier ones count for 1/e
FAR = 1e3  # means over sizes from which on float32 scores of shifted and of other rows differ


@dataclass
class MinibatchState:
    """What a run keeps between passes, and a stream between chunks."""

    optimizer: int | None  # its number; None where its memory went bad
    arrays: State
    geometry: Geometry
    moments: object  # Moments of all rows seen; None for dense rows at the user's own rate
    rate: float
    n_batches: int
    rng: np.random.Generator
    n_steps: int = 0
    n_skipped: int | None = None  # steps before the average begins; None for no average

    @property
    def n_averaged(self):
        """Steps that the average is over; 0 where there is none (yet)."""
        if self.n_skipped is None:
            return 0
        # By the kernel's own count: Ctrl-C may come between the kernel and ours.
        return max(0, int(self.arrays.intercept_average.until[0]) - self.n_skipped)

    def change_units(self, factor, moments):
        """Follow features that are `factor` times as large from now on; their moments begin anew.

        Adaptive optimizers keep gradients of scaled features, which stay what they are.
        """
        arrays, geometry = self.arrays, self.geometry
        inverse = 1 / (factor[:, np.newaxis] if arrays.slot.size else factor)
        memory = {steps.MOMENTUM: arrays.coef.first, steps.NESTEROV: arrays.coef.second}.get(self.optimizer)
        for matrix in (arrays.coef.values, memory, arrays.average.sum):
            if matrix is not None and matrix.size:
                matrix *= inverse.astype(matrix.dtype)
        if geometry.shift.size:
            self.geometry = geometry._replace(shift=geometry.shift * factor.astype(geometry.shift.dtype))
        self.moments = self.moments.restart(factor != 1, moments)

    def can_take_over(self, previous):
        """Whether an earlier chunk's memory fits: not if optimizer, storage or dtype changed."""
        before, now = previous.arrays, self.arrays
        return (
            previous.optimizer == self.optimizer
            and before.coef.values.shape == now.coef.values.shape
            and before.coef.values.dtype == now.coef.values.dtype
            and before.slot.size == now.slot.size  # of the same storage
            and (previous.n_skipped is None) == (self.n_skipped is None)
        )


class Minibatch:
    """Run an optimizer in minibatches.

    Parameters
    ----------
    optimizer : StochasticSolver
        The optimizer with its constants.
    learning_rate : float or None
        The step in the user's coordinates; None for the automatic one.
    batch_size : int or None
        Rows a step; None for all.
    shuffle : bool
        Visit the rows in a new random order each pass.
    average : bool or int, default=False
        Give the average of the parameters over all steps from that one on; True: from the second pass.
    """

    certifies = False

    def __init__(self, optimizer, learning_rate, batch_size, shuffle, average=False):
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.average = average
        self.caution = 1.0  # factor of the automatic rate

    def start(self, problem, model, rng, previous=None):
        """Prepare passes from `model`; `previous` is the state that an earlier chunk left."""
        n_rows = len(problem.index)
        batch_size = min(self.batch_size or n_rows, n_rows)
        moments = problem.moments if self.learning_rate is None or problem.is_sparse else None
        if previous is not None and moments is not None and previous.moments is not None:
            moments = previous.moments.fade(np.exp(-n_rows / MEMORY)).merge(moments)
        geometry, rate = self._coordinates(problem, moments, batch_size)
        n_batches = -(-n_rows // batch_size)
        n_skipped = None
        if self.average is not False:
            n_skipped = n_batches if self.average is True else self.average - 1
        state = MinibatchState(
            optimizer=self.optimizer._optimizer,
            arrays=_new_arrays(problem, model, n_skipped),
            geometry=geometry,
            moments=moments,
            rate=rate,
            n_batches=n_batches,
            rng=rng,
            n_skipped=n_skipped,
        )
        goes_on = previous is not None and state.can_take_over(previous)
        if goes_on:
            if n_skipped is not None:
                # The stream's coefficients are the average; training goes on from what is averaged.
                model = self._move_average(problem, previous, geometry)
                state.n_skipped = previous.n_skipped
            # Scratch is new: that of a stream from another machine has the width of its vectors.
            before, now = previous.arrays, state.arrays
            state.arrays = now._replace(
                coef=before.coef._replace(gradient=now.coef.gradient),
                intercept=before.intercept,
                average=before.average,
                intercept_average=before.intercept_average,
            )
            state.n_steps = previous.n_steps
            self._move_displacement(state, previous.geometry)
        self._place(problem, state, model, goes_on)
        return state

    @property
    def minimizes_loss_alone(self):
        """Whether the objective's penalty is not what it minimizes: AdamW's decay is another."""
        return self.optimizer._optimizer == steps.ADAMW

    def can_look_back(self, problem, state):
        """Whether a pass can measure the model that it begins with as well as a pass of its own could.

        Only rows out of the cache are worth it; and with features far from 0 for their size, scores of
        shifted rows are more exact than those of the model that is given back.
        """
        shift, scale = state.geometry.shift, state.geometry.scale
        return not problem.is_sparse and (shift.size == 0 or float(np.abs(shift * scale).max()) < FAR)

    def run_pass(self, problem, state, factor, *, looks_back=False, with_accuracy=False):
        """One pass over the rows at `factor` times the rate.

        If it `looks_back`, it gives weighted sums over the rows, as `Problem.evaluation` takes them, of
        the model that it began with.
        """
        number = problem.dtype.type
        arrays = state.arrays
        if looks_back:
            coef, intercept = self._parts(problem, state)
            arrays.coef_before[...] = coef
            arrays.intercept_before[...] = intercept
        momentum, decay, epsilon = self.optimizer._constants()
        settings = steps.StepSettings(
            self.optimizer._optimizer,
            number(state.rate * factor),
            number(problem.penalty.l1),
            number(problem.penalty.l2),
            number(momentum),
            number(decay),
            number(epsilon),
        )
        order = shuffled(problem.index, state.rng) if self.shuffle else problem.index
        sums = minibatch_pass(
            as_narrow(problem.rows),
            order,
            state.n_batches,
            problem.target,
            problem.weight,
            problem.loss,
            problem.fit_intercept,
            state.geometry,
            arrays,
            settings,
            state.n_steps,
            looks_back,
            with_accuracy,
        )
        state.n_steps += state.n_batches
        return sums

    def _coordinates(self, problem, moments, batch_size):
        """The features' shift, scale and catch-up factors, and the rate that goes with them."""
        n_features = problem.n_features
        shift = np.zeros(0, problem.dtype)
        scale = np.ones(n_features)
        catch_up = np.zeros(0, problem.dtype)
        rate = self.learning_rate
        if problem.is_sparse:
            n_rows = moments.n_rows
            catch_up = 1 / _chance_of_touch(moments.count, min(batch_size, n_rows), n_rows)
        if rate is None:
            largest = moments.largest_value
            if problem.fit_intercept and not problem.is_sparse:
                shift = moments.mean
                largest = moments.largest_deviation
            scale, rate = automatic_rate(problem, moments, self.optimizer, batch_size, shift, largest)
            rate *= self.caution
        return Geometry(*(part.astype(problem.dtype) for part in (shift, scale, catch_up))), float(rate)

    def _place(self, problem, state, model, goes_on):
        """Put a model in the user's coordinates into the arrays; its intercept moves with the shift."""
        coef, intercept = model
        shift = state.geometry.shift
        if shift.size:
            intercept = intercept + coef.astype(np.float64) @ shift
        for part, new in ((state.arrays.coef, coef), (state.arrays.intercept, intercept)):
            if self.optimizer._optimizer != steps.NESTEROV:
                part.values[...] = new
                continue
            lead = part.values - part.second if goes_on else 0
            is_behind = self._gives_position(problem)
            part.values[...] = new + lead if is_behind else new
            part.second[...] = new if is_behind else new - lead

    def _move_displacement(self, state, before):
        """Momentum goes on in the user's coordinates: that of intercepts moves with the shift too."""
        move = sum(
            sign * geometry.shift.astype(np.float64)
            for geometry, sign in ((state.geometry, 1), (before, -1))
            if geometry.shift.size
        )
        coef, intercept = state.arrays.coef, state.arrays.intercept
        if np.ndim(move) and self.optimizer._optimizer == steps.MOMENTUM:
            intercept.first[0] += coef.first @ move
        elif np.ndim(move) and self.optimizer._optimizer == steps.NESTEROV:
            intercept.second[0] -= (coef.values - coef.second) @ move

    def _move_average(self, problem, previous, geometry):
        """Move the sums of intercepts to the new shift; give the last model in the user's coordinates."""
        arrays = previous.arrays
        sums, count = arrays.intercept_average.sum[0], previous.n_averaged
        for shift, sign in ((previous.geometry.shift, -1.0), (geometry.shift, 1.0)):
            if shift.size and count:
                sums += sign * (arrays.average.sum @ shift.astype(np.float64))
        return self._in_user_coordinates(arrays.coef.values, arrays.intercept.values[0], previous.geometry)

    def _gives_position(self, problem):
        """With L1 Nesterov's position is given back, which has the zeros, not the point ahead of it."""
        return self.optimizer._optimizer == steps.NESTEROV and problem.penalty.l1 > 0

    def model(self, problem, state):
        """The model in the user's coordinates, after the last pass."""
        return self._in_user_coordinates(*self._parts(problem, state), state.geometry)

    @staticmethod
    def _in_user_coordinates(coef, intercept, geometry):
        if geometry.shift.size:
            intercept = (intercept - coef.astype(np.float64) @ geometry.shift).astype(coef.dtype)
        return Model(coef, intercept)

    def _parts(self, problem, state):
        """Coefficients, and the intercepts of shifted rows, after the last pass."""
        arrays = state.arrays
        count = state.n_averaged
        if count:
            coef, intercept = arrays.average.sum / count, arrays.intercept_average.sum[0] / count
            return coef.astype(problem.dtype), intercept.astype(problem.dtype)
        if self._gives_position(problem):
            return arrays.coef.second, arrays.intercept.second[0]
        return arrays.coef.values, arrays.intercept.values[0]


def _new_arrays(problem, model, n_skipped):
    n_outputs, dtype = problem.n_outputs, problem.dtype
    n_listed = problem.n_features if problem.is_sparse else 0
    number = problem.rows.indices.dtype if problem.is_sparse else np.int32
    rows = as_narrow(problem.rows)
    is_narrow = isinstance(rows, NarrowRows)
    coef = steps.Parameters(*(aligned_zeros(model.coef.shape, dtype) for _ in steps.Parameters._fields))
    if 1 < n_outputs < (lanes := padded_outputs(1, dtype)) and n_listed:
        coef = coef._replace(gradient=aligned_zeros((n_listed, lanes), dtype))
    return State(
        coef=coef,
        intercept=steps.Parameters(*(np.zeros((1, n_outputs), dtype) for _ in steps.Parameters._fields)),
        lines=np.arange(n_listed + 1 if n_listed else n_outputs, dtype=number),
        slot=np.full(n_listed, -1, number),
        places=np.empty(min(n_listed, PLACES), number),
        block=new_lines(rows) if is_narrow else new_block(rows, problem.index),
        slopes=np.zeros(
            (n_outputs, padded_outputs(1, dtype)) if is_narrow else (ROWS_PER_BLOCK, n_outputs), dtype
        ),
        block_scores=np.empty((0 if is_narrow else ROWS_PER_BLOCK, n_outputs), dtype),
        loss_room=block_losses.new_room(n_outputs, dtype, beside=is_narrow),
        coef_before=aligned_zeros((0, 0) if n_listed else model.coef.shape, dtype),
        intercept_before=np.zeros(n_outputs, dtype),
        average=_new_average(model.coef.shape, n_skipped),
        intercept_average=_new_average((1, n_outputs), n_skipped),
        only_line=np.zeros(1, number),
        ones=np.ones(n_outputs, dtype),
    )


def _new_average(shape, n_skipped):
    if n_skipped is None:
        shape = (0, 0)
    return steps.Average(np.zeros(shape), np.full(shape[0], n_skipped or 0))


def _chance_of_touch(count, batch_size, n_rows):
    """Chance that a random batch has one of the `count` rows of n that store a feature.

    Drawn without replacement: 1 - C(n - count, batch) / C(n, batch), here by the usual
    approximation, exact for count = 1 and for the full batch.
    """
    few = np.minimum(count, batch_size).clip(1)
    many = np.maximum(count, batch_size)
    miss = np.clip(1 - many / (n_rows - (few - 1) / 2), 0, None)
    with np.errstate(divide="ignore"):
        return -np.expm1(few * np.log(miss))


def _gentleness(loss, n_outputs):
    """Factor of the rate by the size of a loss's slopes (hinges) or curvature (squared hinges).

    Measured on letter, covtype20k, newsgroups20, clinc150 and a9a, as is each `_boldness`.
    """
    gentleness = {
        losses.SOFTMAX: 1.0,
        losses.LOGISTIC: 1.0,
        losses.HINGE: 0.25,
        losses.CRAMMER_SINGER: 0.3,
        losses.WESTON_WATKINS: 0.25 / n_outputs**0.25,
        losses.HINGE + losses.SQUARED: 0.06,
        losses.CRAMMER_SINGER + losses.SQUARED: 0.04,
        losses.WESTON_WATKINS + losses.SQUARED: 0.25 / n_outputs,
    }
    return gentleness[loss]


def automatic_rate(problem, moments, optimizer, batch_size, shift, largest):
    """Feature scales and a rate for them that need no tuning.

    Returns
    -------
    scale : ndarray of shape (n_features,)
        Inverse scale of each feature.
    rate : float
    """
    seen = largest > 1e-12 * np.abs(moments.mean)
    # Squares of scales must fit the dtype.
    limit = 1e18 if problem.dtype == np.float32 else 1e150
    size = np.where(seen, largest, 1.0).clip(1 / limit, limit)
    second_moment = moments.scatter / moments.mass
    if shift.size == 0:
        second_moment = second_moment + moments.mean**2
    norm = float(np.where(seen, second_moment / size**2, 0).sum())
    rate = optimizer._boldness() / (norm / 2 + 0.5)
    # The noise of a batch is that of its effective rows.
    fraction = min(1.0, batch_size * moments.evenness / AUTO_BATCH)
    if optimizer._is_adaptive:
        rate *= np.sqrt(fraction)
        if problem.loss == losses.WESTON_WATKINS:
            rate *= min(1.0, max(0.2, 2.4 / np.sqrt(problem.n_outputs)))  # slopes that jump, with each rival
    else:
        rate *= fraction * _gentleness(problem.loss, problem.n_outputs)
        if optimizer._is_plain and problem.loss == losses.WESTON_WATKINS:
            rate *= 2.5  # momentum adds up jumps of many steps
    scale = 1 / np.sqrt(size**2 + rate * problem.penalty.l2)
    return scale, rate

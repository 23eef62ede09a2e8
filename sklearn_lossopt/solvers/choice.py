"""What `solver="auto"` picks: the one place with its rules.

They compare rough times of the certified solvers, in nanoseconds on one core. The constants are
measured, as docs/solvers.md tells; only ratios of times of the same loss matter.
"""

from ..kernels import losses
from . import interior, margins, newton, truncated
from .dual import SDCA, row_time
from .relay import NEARLY, Relay
from .second_order import OUTPUTS_APART

FEW_PARAMETERS = 200  # second order at once: a few milliseconds, whatever the features' scale
MOST_PARAMETERS = 1500  # of second order: its matrices should stay small
FEW_PRODUCTS = 2_000_000  # of rows, features and outputs
LITTLE_TIME = {"newton": 1e8, "interior_point": 2e7}  # more is not risked where dual ascent may need a tenth
TIGHT = 1e-6  # relative gaps that second-order methods reach sooner
LONG_TIME = {"newton": 3e10, "interior_point": 6e9}  # it may take several times as many steps as expected
DEAREST = {"newton": 6, "interior_point": 2}  # times what all passes of dual ascent take that there may be
# Dual ascent may take as long as a second-order method would, and so many times that where gaps say that it
# will soon be there.
GOES_ON = {"newton": 2, "interior_point": 3}
HOPE = {"newton": NEARLY, "interior_point": 1.5}  # times which: hinges' gaps fall faster as kappa is halved
# Where dual ascent of cross-entropy has taken that long, rows pause, and Newton's method would take longer
# too: it gets so many times the passes, if that leaves Newton's method so many times the steps it may need.
PATIENCE, SPARE = 2.5, 4
LEAST_PASSES = 6
# Squared hinges of two classes: their rows pause, so that dual ascent makes so many times the passes in the
# time; from so many on they begin by it; and how much of Newton's time is not worth the risk.
SQUARED_PASSES, SQUARED_LEAST_PASSES, SQUARED_LITTLE_TIME = 5.6, 9, 8e6
MOST_PASSES = 0.7  # as a share of max_iter
FREE_MEMORY = 2**29  # bytes of variables by row and output that are never too many

VISITS, HESSIANS = 6, 2.2  # of Newton's method for losses of margins
OVER_ONE = 0.5  # what `row_time` says of dual ascent over its time, certificates too, of one output
PRODUCT, ENTRY = 0.1, 120.0  # of Newton's: a multiply-add of a Hessian, arrays by row and output
STEPS = {"newton": 6, "interior_point": 13}
# Of a step of the interior point: by row and output, by number of theirs; a multiply-add; calls.
SLACK, NUMBER, MULTIPLY_ADD, CALLS = 30.0, 3.5, 0.04, 2e5
SPARSE = 10.0  # a multiply-add of sparse rows there, over one of dense ones
# Of dual ascent's visit to a row where most rows pause, as those of hinges do: whole, by output, by number.
PAUSED, PAUSED_OUTPUT, PAUSED_NUMBER = 11.0, 1.8, (0.14, 1.0)  # of dense rows, of sparse ones
MOST_STEPS = {"newton": 10, "interior_point": 60}
MOST_STEPS_OF_CRAMMER_SINGER = 100
USUAL = 0.8  # steps that it takes mostly, as a share of these
PRODUCTS = 70  # with softmax's Hessian, or what takes as long, of Newton's method after dual ascent
SCATTERED = 5.0  # a multiply-add of sparse rows in these, over one of dense rows
ARRAYS = {"newton": 7, "interior_point": 14}  # float64 by row and output


def choose(problem, tol, max_iter):
    """The solver for a problem: a name, or a relay of two.

    Parameters
    ----------
    problem : Problem
        What is to be minimized.
    tol : float or None
        The relative gap that is wanted.
    max_iter : int
        Passes that there may be.

    Returns
    -------
    str or Relay
        "momentum" only where memory forbids the certified ones.
    """
    n_rows, n_outputs = len(problem.index), problem.n_outputs
    limit = max(problem.n_bytes, FREE_MEMORY)
    duals_fit = problem.target.size * n_outputs * problem.dtype.itemsize <= limit
    second = "newton" if newton.takes(problem) else "interior_point" if interior.takes(problem) else None
    apart = problem.loss in OUTPUTS_APART
    n_parameters = (problem.n_features + 1) * (1 if apart else n_outputs)
    if (
        second is None
        or problem.penalty.l2 == 0
        or n_parameters > MOST_PARAMETERS
        or 8 * ARRAYS[second] * n_rows * n_outputs > limit
    ):
        return "sdca" if duals_fit else "momentum"
    n_products = n_rows * n_outputs * (_length(problem, second) + 1)
    time = _second_order_time(problem, second)
    is_squared_pair = n_outputs == 1 and problem.loss >= losses.SQUARED
    little = SQUARED_LITTLE_TIME if is_squared_pair else LITTLE_TIME[second]
    few = n_parameters <= FEW_PARAMETERS and n_products <= FEW_PRODUCTS and time <= little
    if few or not duals_fit:
        return second
    dear = time / (n_rows * (row_time(problem) if second == "newton" else _hinge_time(problem)))  # in passes
    if time > LONG_TIME[second] and dear > DEAREST[second] * max_iter:
        return "sdca"
    if (tol or 0.0) <= TIGHT:
        return second
    steps = MOST_STEPS[second]
    if problem.loss % losses.SQUARED == losses.CRAMMER_SINGER and second == "interior_point":
        steps = MOST_STEPS_OF_CRAMMER_SINGER
    if is_squared_pair:
        dear *= SQUARED_PASSES
    if problem.loss == losses.SOFTMAX:
        dear = max(dear, min(PATIENCE * dear, max_iter - SPARE * steps))
    passes = round(min(dear, MOST_PASSES * max_iter, max_iter - steps))
    if passes < (SQUARED_LEAST_PASSES if is_squared_pair else LEAST_PASSES):
        return second
    most = round(min(GOES_ON[second] * dear, max_iter))
    latest = max(passes, min(most, max_iter - round(USUAL * steps)))
    follower = newton.Newton() if second == "newton" else interior.InteriorPoint()
    return Relay(SDCA(), follower, passes, latest, most, HOPE[second])


def _second_order_time(problem, name):
    n_rows, n_outputs, n_columns = len(problem.index), problem.n_outputs, problem.n_features + 1
    if name == "interior_point":
        return STEPS[name] * _interior_step_time(problem)
    if problem.loss == losses.SOFTMAX and truncated.pays(n_rows, n_outputs * n_columns):
        length = SCATTERED * problem.row_length if problem.is_sparse else n_columns
        return PRODUCTS * PRODUCT * n_rows * n_outputs * (2 * length + truncated.ELEMENT)
    if problem.loss in OUTPUTS_APART:
        visit, hessian = margins.times(problem)
        factors = n_outputs * n_columns**3 / 3
        over = OVER_ONE if n_outputs == 1 else 1.0
        return over * (VISITS * visit + HESSIANS * (hessian + PRODUCT * factors))
    products = n_rows * n_outputs * n_columns**2 + n_rows * (n_outputs * n_columns) ** 2 / 2
    factors = (n_outputs * n_columns) ** 3 / 3
    return STEPS[name] * (PRODUCT * (products + factors) + ENTRY * n_rows * n_outputs)


def _interior_step_time(problem):
    n_outputs, n_columns, length = problem.n_outputs, problem.n_features + 1, problem.row_length + 1
    apart = problem.loss in OUTPUTS_APART
    pairs = n_outputs if apart else n_outputs - 1
    if problem.loss % losses.SQUARED == losses.CRAMMER_SINGER:
        pairs = n_outputs * (n_outputs - 1) / 2
    factors = n_outputs * n_columns**3 / 3 if apart else (n_outputs * n_columns) ** 3 / 3
    multiply_add = MULTIPLY_ADD * (SPARSE if problem.is_sparse else 1.0)
    by_row = n_outputs * (SLACK + NUMBER * length) + pairs * multiply_add * length**2
    return len(problem.index) * by_row + MULTIPLY_ADD * factors + CALLS


def _hinge_time(problem):
    """Of a row's visit by dual ascent."""
    number = PAUSED_NUMBER[problem.is_sparse]
    return PAUSED + problem.n_outputs * (PAUSED_OUTPUT + number * problem.row_length)


def _length(problem, name):
    """Entries of a row that a second-order method goes through: for softmax's it makes sparse rows dense."""
    is_short = problem.is_sparse and (name == "interior_point" or problem.loss in OUTPUTS_APART)
    return problem.row_length if is_short else problem.n_features

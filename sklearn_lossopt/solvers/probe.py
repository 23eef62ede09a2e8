"""What a minibatch step would change, for who watches training; training itself is left alone."""

from dataclasses import replace

import numpy as np

__all__ = ["update_ratio"]


def update_ratio(runner, problem, state, factor):
    """Size of the coefficients' next step over their own, both as Frobenius norms.

    The step is tried on a random batch and a copy of the optimizer's memory, and thrown away: so watching
    changes no bit of what training gives.

    Parameters
    ----------
    runner : Minibatch
        What runs.
    problem : Problem
        Its problem.
    state : MinibatchState
        Its state after a pass.
    factor : float
        The schedule's factor of that pass.

    Returns
    -------
    float
        NaN where all coefficients are 0.
    """
    rng = np.random.default_rng(state.n_steps)
    n_rows = -(-len(problem.index) // state.n_batches)
    batch = replace(problem, index=rng.choice(problem.index, n_rows, replace=False))
    trial = replace(state, arrays=_with_memory_of_its_own(state.arrays), n_batches=1, rng=rng)
    runner.run_pass(batch, trial, factor)
    before = state.arrays.coef.values
    return relative_size(trial.arrays.coef.values - before, before)


def _with_memory_of_its_own(arrays):
    """The same arrays, but copies of those that outlast a batch."""
    kept = {}
    for name in ("coef", "intercept", "average", "intercept_average"):
        parts = getattr(arrays, name)
        kept[name] = type(parts)(*(part.copy() for part in parts))
    return arrays._replace(**kept)


def relative_size(change, coef):
    """Frobenius norm of a change over that of the coefficients, NaN where those are 0."""
    size = float(np.linalg.norm(coef))
    return float(np.linalg.norm(change)) / size if size > 0 else float("nan")

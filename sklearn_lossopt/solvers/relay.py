"""Dual ascent first, a second-order method after it where that has not been enough.

How many passes dual ascent needs cannot be told from the data's statistics: separable classes and nearly
dependent features make it slow. How long a second-order method takes can. So dual ascent gets a share of that
time, counted in passes (not by a clock: the same data give the same bits).
"""

from dataclasses import dataclass

from .certified import CertifiedSolver


class Relay(CertifiedSolver):
    """Two solvers, and the passes that the first may take."""

    def __init__(self, first, second, passes):
        self.first = first
        self.second = second
        self.passes = passes

    def runner(self, tol, shuffle, n_jobs=1):
        runners = [solver.runner(tol, shuffle, n_jobs) for solver in (self.first, self.second)]
        return RelayRunner((self.first.name, self.second.name), runners, self.passes)


@dataclass
class RelayRun:
    """The state of the solver that runs now, and its name."""

    solver: str
    runner: object
    run: object
    rng: object
    n_passes: int = 0
    n_steps_before: int = 0
    rate: float = float("nan")

    @property
    def is_settled(self):
        return self.run.is_settled

    @property
    def is_stuck(self):
        return self.run.is_stuck

    @property
    def n_steps(self):
        return self.n_steps_before + self.run.n_steps

    @property
    def bound(self):
        return self.run.bound

    @property
    def arrays(self):
        return getattr(self.run, "arrays", None)


class RelayRunner:
    """Run one solver, then the other."""

    certifies = True

    def __init__(self, names, runners, passes):
        self.names = names
        self.runners = runners
        self.passes = passes

    def start(self, problem, model, rng, previous=None):
        """Prepare the first."""
        run = self.runners[0].start(problem, model, rng, previous)
        return RelayRun(self.names[0], self.runners[0], run, rng)

    def run_pass(self, problem, state, factor):
        """A pass of the one whose turn it is."""
        if state.n_passes == self.passes:
            model = state.runner.model(problem, state.run)
            following = self.runners[1].start(problem, model, state.rng)
            following.bound = state.run.bound  # the optimum is the same
            state.n_steps_before = state.run.n_steps
            state.solver, state.runner, state.run = self.names[1], self.runners[1], following
        state.n_passes += 1
        state.runner.run_pass(problem, state.run, factor)

    def is_due(self, state):
        """As the one whose turn it is."""
        return state.runner.is_due(state.run) or state.n_passes == self.passes

    def model(self, problem, state):
        """As the one whose turn it is."""
        return state.runner.model(problem, state.run)

    def certify(self, problem, state, model):
        """As the one whose turn it is."""
        return state.runner.certify(problem, state.run, model)

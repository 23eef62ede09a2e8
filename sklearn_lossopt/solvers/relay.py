"""Dual ascent first, a second-order method after it where that has not been enough.

How many passes dual ascent needs cannot be told from the data's statistics: separable classes and nearly
dependent features make it slow. How long a second-order method takes can. So dual ascent gets as much time,
counted in passes (not by a clock: the same data give the same bits). Where its gaps say by then that it will
soon be there, it goes on, and is asked again.
"""

import math
from dataclasses import dataclass, field

from .certified import CertifiedSolver, wanted_gap

NEARLY = 1.05  # passes expected, over those that there may be, at which the first goes on all the same
USUAL_POWER = 1.5  # of the passes, by which gaps fall, where certificates do not tell
# Share of the objective that the gap may be for the second to go on from there. Where classes are nearly
# separable and the penalty is weak, coefficients far from the optimum are worse than none: Newton's method
# takes up to ten times as long from there, or does not arrive.
NEAR = 0.5


class Relay(CertifiedSolver):
    """Two solvers, and when the second takes over.

    Parameters
    ----------
    first, second : CertifiedSolver
        The two.
    passes : int
        Those that the first may take.
    latest : int
        The last pass after which the second has time enough.
    most : int
        Passes that the first may take if it is nearly there.
    hope : float, default=NEARLY
        Passes expected, over `most`, at which the first goes on while it can be asked again.
    """

    def __init__(self, first, second, passes, latest, most, hope=NEARLY):
        self.first = first
        self.second = second
        self.passes = passes
        self.latest = latest
        self.most = most
        self.hope = hope

    def runner(self, tol, shuffle, n_jobs=1):
        runners = [solver.runner(tol, shuffle, n_jobs) for solver in (self.first, self.second)]
        return RelayRunner((self.first.name, self.second.name), runners, self, tol)


@dataclass
class RelayRun:
    """The state of the solver that runs now, and its name."""

    solver: str
    runner: object
    run: object
    rng: object
    until: float  # the pass after which the second takes over
    origin: object  # the model that the fit begins with
    n_passes: int = 0
    n_steps_before: int = 0
    rate: float = float("nan")
    seen: list = field(default_factory=list)  # passes of certificates, gaps, gaps wanted then
    is_near: bool = False  # by the last certificate, the gap is at most `NEAR` of the objective

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


class RelayRunner:
    """Run one solver, then the other."""

    certifies = True

    def __init__(self, names, runners, relay, tol):
        self.names = names
        self.runners = runners
        self.relay = relay
        self.tol = tol

    def start(self, problem, model, rng, previous=None):
        """Prepare the first."""
        run = self.runners[0].start(problem, model, rng, previous)
        return RelayRun(self.names[0], self.runners[0], run, rng, self.relay.passes, model.copy())

    def run_pass(self, problem, state, factor):
        """A pass of the one whose turn it is."""
        if state.n_passes == state.until:
            state.until = self.extended(state)
        if state.n_passes == state.until:
            model = state.runner.model(problem, state.run) if state.is_near else state.origin
            following = self.runners[1].start(problem, model, state.rng)
            following.bound = state.run.bound  # the optimum is the same
            following.is_settled = True  # a proven gap is enough: alone, it might go on to rounding
            state.n_steps_before = state.run.n_steps
            state.solver, state.runner, state.run = self.names[1], self.runners[1], following
        state.n_passes += 1
        state.runner.run_pass(problem, state.run, factor)

    def extended(self, state):
        """The pass after which the second takes over: this one, or later if the first is nearly there."""
        now, latest, most = state.n_passes, self.relay.latest, self.relay.most
        expected = passes_expected(state.seen)
        if expected > self.relay.hope * most:
            return now
        if now < latest:
            return max(now + 1, min(expected, now + self.relay.passes, latest))
        # Now or never: near the end gaps fall more slowly than before.
        expected = passes_expected(state.seen, highest=USUAL_POWER)
        return math.inf if latest < most and expected <= NEARLY * most else now

    def is_due(self, state):
        """As the one whose turn it is."""
        return state.runner.is_due(state.run) or state.n_passes == state.until

    def model(self, problem, state):
        """As the one whose turn it is."""
        return state.runner.model(problem, state.run)

    def certify(self, problem, state, model):
        """As the one whose turn it is."""
        certificate = state.runner.certify(problem, state.run, model)
        wanted = wanted_gap(self.tol, certificate.objective, problem.objective_at_zero)
        state.seen.append((state.n_passes, certificate.gap, wanted))
        state.is_near = certificate.gap <= NEAR * certificate.objective
        return certificate


def passes_expected(seen, highest=math.inf):
    """The pass at which the wanted gap will be there, if gaps go on to fall by a power of the passes.

    Parameters
    ----------
    seen : list of tuple
        Passes, certified gap, gap wanted, of each certificate so far.
    highest : float, optional
        The highest power to count on.

    Returns
    -------
    int or float
        Infinity where the gaps do not tell.
    """
    if not seen:
        return math.inf
    passes, gap, wanted = seen[-1]
    if not 0 < wanted < gap < math.inf:
        return math.inf
    power = USUAL_POWER
    # Certificates of neighbouring passes tell nothing of how gaps fall: they go up and down.
    early = [(p, g) for p, g, _ in seen if 1 <= p <= passes / 2 and g < math.inf]
    if early:
        before, gap_before = early[-1]
        power = min(math.log(gap_before / gap) / math.log(passes / before), highest)
    more = math.log(gap / wanted)
    # Beyond seven times as many nobody waits, and the power says little.
    return math.ceil(passes * math.exp(more / power)) if more < 2 * power else math.inf

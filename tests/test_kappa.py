"""The proximal term of dual ascent: how kappa is chosen at first, and when it changes."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits

from sklearn_lossopt import SoftmaxClassifier, regularization_path
from sklearn_lossopt.kernels.losses import CRAMMER_SINGER, HINGE, LOGISTIC, SOFTMAX, SQUARED, WESTON_WATKINS
from sklearn_lossopt.penalties import ElasticNet
from sklearn_lossopt.problem import Problem, as_rows
from sklearn_lossopt.solvers import DualMemory, dual, kappa, proximal
from sklearn_lossopt.solvers.kappa import Balance, Halving, OfHinges, Parts

SMOOTH = (SOFTMAX, HINGE + SQUARED, WESTON_WATKINS + SQUARED, CRAMMER_SINGER + SQUARED)


def problem_of(X, y, penalty, loss=WESTON_WATKINS, fit_intercept=True):
    n_classes = int(np.max(y)) + 1
    return Problem(
        rows=as_rows(X),
        index=np.arange(len(y), dtype=np.int32),
        target=y.astype(np.int32),
        weight=np.ones(len(y)),
        loss=loss,
        n_outputs=1 if loss == LOGISTIC else n_classes,
        penalty=penalty,
        fit_intercept=fit_intercept,
    )


def ascent_on(problem):
    """Dual ascent, and its run."""
    ascent = dual.DualAscent(None, True)
    return ascent, ascent.start(problem, problem.model(), np.random.default_rng(0))


def clusters(n_rows, n_features, n_classes, seed=0):
    """Rows around means, as of embeddings: in all directions alike."""
    rng = np.random.default_rng(seed)
    means = rng.standard_normal((n_classes, n_features)) * (4 / math.sqrt(n_features))
    y = np.arange(n_rows) % n_classes
    return means[y] + rng.standard_normal((n_rows, n_features)), y


class TestEffectiveDimension:
    @pytest.mark.parametrize("is_sparse", [False, True])
    @pytest.mark.parametrize("n_directions", [3, 40])
    def test_counts_the_directions(self, n_directions, is_sparse):
        rng = np.random.default_rng(0)
        turn = np.linalg.qr(rng.standard_normal((60, 60)))[0][:n_directions]
        X = rng.standard_normal((5000, n_directions)) @ turn
        problem = problem_of(sparse.csr_array(X) if is_sparse else X, np.arange(5000) % 3, ElasticNet(1.0))
        assert proximal.effective_dimension(problem) == pytest.approx(n_directions, rel=0.25)

    def test_is_that_of_the_metric_and_centered(self):
        X = np.random.default_rng(0).standard_normal((4000, 30))
        y = np.arange(4000) % 3
        scaled = problem_of(X * np.geomspace(1e-3, 1e3, 30) + 1e4, y, ElasticNet(1.0))
        plain = problem_of(X, y, ElasticNet(1.0))
        assert proximal.effective_dimension(scaled) == pytest.approx(
            proximal.effective_dimension(plain), rel=0.05
        )

    @pytest.mark.parametrize("n_rows", [1, 2])
    def test_of_hardly_any_rows(self, n_rows):
        problem = problem_of(np.ones((n_rows, 4)), np.arange(n_rows), ElasticNet(1.0))
        assert proximal.effective_dimension(problem) == 4.0

    @pytest.mark.parametrize("n_rows", [10, 30, 49])
    def test_of_rows_at_right_angles_is_no_rounding(self, n_rows):
        X = np.diag(np.random.default_rng(0).uniform(0.1, 3, n_rows))
        problem = problem_of(X, np.arange(n_rows) % 2, ElasticNet(1.0), fit_intercept=False)
        assert proximal.effective_dimension(problem) == n_rows

    def test_knows_no_constant_feature(self):
        X = np.random.default_rng(0).standard_normal((2000, 20))
        y = np.arange(2000) % 2
        plain = proximal.effective_dimension(problem_of(X, y, ElasticNet(1.0)))
        # A constant as far as moments can tell.
        far = np.column_stack([X, 1.7e18 + 1e5 * X[:, 0]])
        assert proximal.effective_dimension(problem_of(far, y, ElasticNet(1.0))) == pytest.approx(plain)

    def test_of_rows_in_an_order_of_their_own(self):
        n_rows = 20 * 256 * 4
        X, y = clusters(n_rows, 20, 20)
        order = np.random.default_rng(1).permutation(n_rows)
        found = proximal.effective_dimension(problem_of(3 * X, y, ElasticNet(1.0)))
        shuffled = proximal.effective_dimension(problem_of(3 * X[order], y[order], ElasticNet(1.0)))
        assert found == pytest.approx(shuffled, rel=0.2)


class TestFirst:
    @pytest.mark.parametrize("alpha", [0.0, 1e-8, 1e-4, 1e-2])
    @pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
    def test_it_brings_the_curvature_down_to_what_is_wanted(self, alpha, scale, digits):
        X, y = digits
        problem = problem_of(X * scale, y, ElasticNet(alpha, 0.0))
        kappa = proximal.choose_kappa(problem)
        _, second_moment, metric = proximal.geometry(problem)
        tuned = proximal.tuning(problem)

        def curvature(kappa):
            return (second_moment / (alpha + kappa * metric)).sum() / len(y)

        without = min(curvature(0.0), proximal.MOST_GROWTH) if alpha else proximal.MOST_GROWTH
        wanted = tuned.curvature * without**tuned.growth
        assert kappa == 0 or curvature(kappa) == pytest.approx(wanted, rel=1e-9)
        assert kappa > 0 or curvature(0.0) <= wanted

    def test_is_small_where_few_rows_compete(self):
        # 20 rows of a class in 100 directions, against 2,000 of a class.
        many, few = (
            proximal.choose_kappa(problem_of(*clusters(4000, 100, n_classes), ElasticNet(1e-4), SOFTMAX))
            for n_classes in (200, 2)
        )
        assert 0 < many < few / 4

    def test_takes_few_passes_then(self):
        problem = problem_of(*clusters(4000, 100, 200), ElasticNet(1e-3), SOFTMAX)
        ascent, state = ascent_on(problem)
        for _ in range(12):
            ascent.run_pass(problem, state, 1.0)
        found = ascent.certify(problem, state, ascent.model(problem, state))
        assert found.gap <= 1e-4 * found.objective  # 5e-4 with kappa as for few classes, 2e-2 if left alone


class TestWhichRule:
    @pytest.mark.parametrize("loss", SMOOTH)
    def test_smooth_losses_are_balanced(self, loss, digits):
        assert isinstance(kappa.rule_for(problem_of(*digits, ElasticNet(1e-3), loss), False), Balance)
        assert isinstance(kappa.rule_for(problem_of(*digits, ElasticNet(1e-3, 0.5), loss), False), Balance)
        without_l2 = problem_of(*digits, ElasticNet(1e-3, 1.0), loss)
        assert isinstance(kappa.rule_for(without_l2, False), Halving)

    @pytest.mark.parametrize("loss", [HINGE, WESTON_WATKINS, CRAMMER_SINGER])
    def test_hinges_have_their_own(self, loss, digits):
        rule = kappa.rule_for(problem_of(*digits, ElasticNet(1e-3), loss), True)
        assert isinstance(rule, OfHinges)
        assert rule.next == kappa.FIRST_LOOKS[0]
        assert kappa.rule_for(problem_of(*digits, ElasticNet(1e-3, 0.5), loss), False).next == 32

    def test_hinges_of_rows_that_hardly_overlap_have_none(self):
        X = sparse.random_array((500, 2000), density=0.003, rng=np.random.default_rng(0), format="csr")
        y = np.arange(500) % 3
        assert kappa.rule_for(problem_of(X, y, ElasticNet(1e-3)), False) is None
        assert isinstance(kappa.rule_for(problem_of(X, y, ElasticNet(1e-3), SOFTMAX), False), Balance)

    def test_no_kappa_stays_none(self, digits):
        _, state = ascent_on(problem_of(*digits, ElasticNet(10.0), SOFTMAX))
        assert state.kappa == 0
        assert state.kappa_rule is None


def asked(rule, n_passes, parts, problem=None, dual_variables=None):
    """What a rule says after so many passes, and the sizes of samples that it asked for."""
    sizes = []

    def answer(n_rows):
        sizes.append(n_rows)
        return Parts(*parts, 1.0)

    rule.next = n_passes
    state = SimpleNamespace(n_passes=n_passes, arrays=SimpleNamespace(dual=dual_variables))
    return rule.factor(problem, state, answer), sizes


class TestParts:
    @pytest.mark.parametrize("is_sparse", [False, True])
    @pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
    def test_term_is_the_proximal_one(self, l1_ratio, is_sparse, digits):
        X, y = digits
        problem = problem_of(sparse.csr_array(X) if is_sparse else X, y, ElasticNet(1e-4, l1_ratio), SOFTMAX)
        ascent, state = ascent_on(problem)
        for _ in range(3):
            ascent.run_pass(problem, state, 1.0)
        model = ascent.model(problem, state)
        parts = ascent._guess(problem, state, model)
        _, _, metric = proximal.geometry(problem)
        scale = state.coordinates.scale[: problem.n_features]
        center = state.center.coef * scale[:, None] if is_sparse else state.center.coef * scale
        apart = problem.coef_of(model) - (center.T if is_sparse else center)
        assert parts.term == pytest.approx(state.kappa / 2 * (metric * apart**2).sum(), rel=1e-9)
        assert parts.term > 0

    @pytest.mark.parametrize("of_rows", [0.0, 1e-12, -1e-16, math.nan])
    def test_rounding_is_not_judged(self, of_rows):
        assert math.isnan(Parts(of_rows, 1.0, 1.0, 1.0).stiffness)
        assert Parts(1e-10, 1.0, 1e-10, 1.0).stiffness == 1.0


class TestBalance:
    @pytest.mark.parametrize(
        ("stiffness", "factor"),
        [
            (0.1, 1.0),
            (0.2, 1.0),
            (0.5, 1.0),
            (1.6, 1 / 4),
            (1e6, 1 / 8),
            (0.025, 4.0),
            (0.0, 8.0),
            (math.inf, 1.0),
            (math.nan, 1.0),
        ],
    )
    def test_factor(self, stiffness, factor, monkeypatch):
        monkeypatch.setattr(kappa, "POWER", 2 / 3)
        assert kappa.factor_to((0.2, 0.1, 0.5), stiffness) == pytest.approx(factor)

    def test_asks_when_passes_have_doubled(self, digits):
        rule = Balance((0.2, 0.1, 0.5), takes_back=True)
        assert rule.next == 2
        found, sizes = asked(rule, 4, (2.0, math.inf, 3.2), problem_of(*digits, ElasticNet(1e-3)))
        assert found == pytest.approx(8**-kappa.POWER)
        assert sizes == [len(digits[1]) // 16]
        assert rule.next == 8

    def test_takes_back_what_led_away_and_goes_on_while_rows_come_nearer(self, digits):
        problem = problem_of(*digits, ElasticNet(1e-3))

        def factors(takes_back, *of_rows, stiffness=1.6):
            rule = Balance((0.2, 0.1, 0.5), takes_back)
            return [asked(rule, 2, (rows, 1.0, stiffness * rows), problem)[0] for rows in of_rows]

        lower = 8**-kappa.POWER
        assert factors(True, 1.0, 0.19) == pytest.approx([lower, lower])
        assert factors(True, 1.0, 0.21) == pytest.approx([lower, 1.0])
        assert factors(True, 1.0, 1.9) == pytest.approx([lower, 1.0])
        assert factors(True, 1.0, 2.1) == pytest.approx([lower, 1 / lower])
        assert factors(True, 1.0, 2.1, 4.3) == pytest.approx([lower, 1 / lower, 1.0])  # not twice in turn
        assert factors(True, 1.0, 0.1, 0.09, 0.19) == pytest.approx([lower, lower, 1.0, 1.0])
        assert factors(False, 1.0, 2.1) == pytest.approx([lower, lower])
        higher = 4.0**kappa.POWER
        assert factors(True, 1.0, 3.0, stiffness=0.05) == pytest.approx([higher, higher])

    @pytest.mark.parametrize("alpha", [1e-3, 1e-4])
    def test_nearly_separable_rows_of_another_unit_are_no_trap(self, alpha):
        X, y = load_digits(return_X_y=True)  # from 0 to 16: the penalty is 256 times as weak
        model = SoftmaxClassifier(alpha=alpha, solver="sdca", random_state=0).fit(X, y)
        assert model.converged_
        assert model.n_iter_ < 120

    @pytest.mark.parametrize(("n_rows", "size"), [(10, 64), (2048, 128), (10**6, 256)])
    def test_looks_at_few_rows(self, n_rows, size):
        assert kappa.sample_size(n_rows) == size

    @pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
    @pytest.mark.parametrize("times", [1e-3, 30.0])
    def test_brings_a_wrong_kappa_back(self, times, l1_ratio, digits, monkeypatch):
        problem = problem_of(*digits, ElasticNet(1e-4, l1_ratio), SOFTMAX)
        right = proximal.choose_kappa(problem)
        monkeypatch.setattr(dual, "choose_kappa", lambda problem: times * right)
        ascent, state = ascent_on(problem)
        for _ in range(17):
            ascent.run_pass(problem, state, 1.0)
        assert right / 30 < state.kappa < right  # 0.1 of it does best
        # A change of kappa moves nothing: the sums that it starts from are those of the dual variables.
        gradient, mean_dual = dual.gradient_of_run(problem, state)
        exact, exact_mean = dual.gradient_of_dual(problem, state.arrays.dual)
        np.testing.assert_allclose(gradient, exact, atol=1e-9 * np.abs(exact).max())
        np.testing.assert_allclose(mean_dual, exact_mean, atol=1e-10)

    def test_saves_passes(self, digits, monkeypatch):
        problem = problem_of(*digits, ElasticNet(1e-4), SOFTMAX)

        def gap():
            ascent, state = ascent_on(problem)
            for _ in range(20):
                ascent.run_pass(problem, state, 1.0)
            return ascent.certify(problem, state, ascent.model(problem, state)).gap

        balanced = gap()
        monkeypatch.setattr(dual, "rule_for", lambda *_: None)
        assert balanced < 0.1 * gap()


class TestHinges:
    @pytest.fixture
    def problem(self, digits):
        return problem_of(*digits, ElasticNet(1e-4))

    @pytest.fixture
    def rule(self):
        return OfHinges((0.2, 0.0, 0.5), 32, can_split=True, has_parts=True)

    @pytest.mark.parametrize(
        ("share", "stiffness", "factor"),
        [
            (1.0, 0.5, 1.0),
            (1.0, 1.6, 1 / 4),
            (1.0, 1e9, 1 / 8),
            (1.0, 0.0, 1.0),  # never raised
            (0.5, 0.5, 1 / 2),
            (0.5, 1.6, 1 / 4),
            (1e-6, 0.5, 1 / 8),
        ],
    )
    def test_are_lowered_soon_where_few_rows_compete_or_kappa_is_too_stiff(
        self, share, stiffness, factor, problem, rule, monkeypatch
    ):
        monkeypatch.setattr(kappa, "POWER", 2 / 3)
        n_rows, n_outputs = len(problem.index), problem.n_outputs
        rule.dimension = 100.0
        n_off = share * kappa.CROWDED * rule.dimension * n_outputs
        variables = np.zeros((n_rows, n_outputs))
        variables.flat[np.linspace(0, variables.size - 1, round(n_off)).astype(int)] = 0.5
        found, _ = asked(rule, 4, (1.0, 1.0, stiffness), problem, variables)
        assert found == pytest.approx(factor, rel=0.01)
        assert rule.next == 8
        # What they were lowered by for want of rows counts once.
        if share == 0.5:
            assert asked(rule, 8, (1.0, 1.0, 0.5), problem, variables)[0] == pytest.approx(1.0)
            assert rule.next == 16

    def test_count_the_rows_in_use_alone(self, rule, digits):
        X, y = (np.tile(part, (4, 1) if part.ndim == 2 else 4) for part in digits)
        problem = problem_of(X, y, ElasticNet(1e-4))
        used = problem.subset(problem.index[100::2])
        variables = np.full((len(y), used.n_outputs), 0.5)
        rule.dimension = 2.0 * len(used.index) / kappa.CROWDED
        assert asked(rule, 4, (1.0, 1.0, 0.5), used, variables)[0] == pytest.approx(0.5)

    def test_know_how_many_directions_there_are(self, problem, rule):
        asked(rule, 4, (1.0, 1.0, 0.1), problem, np.ones((len(problem.index), 10)))
        assert rule.dimension == proximal.effective_dimension(problem)

    @pytest.mark.parametrize(
        ("can_split", "n_passes", "gap_before", "parts", "is_halved"),
        [
            (True, 64, 1.0, (1.0, 1.9), False),
            (True, 64, 1.0, (1.0, 2.1), True),
            (True, 128, 1.0, (1e-6, 4e-7), False),
            (True, 128, 1.0, (1e-6, 6e-7), True),
            (True, 128, 1.0, (3e-3, 0.0), False),  # of an objective of 1
            (True, 128, 1.0, (5e-3, 0.0), True),  # far from the optimum
            (True, 128, 3e-6, (1e-6, 0.0), False),
            (True, 128, 2.5e-6, (1e-6, 0.0), True),  # it hardly falls
            (False, 128, 1.0, (1e-6, 3e-8), True),  # the parts tell less
            (False, 128, 1.0, (1e-6, 1e-8), False),
            (False, 128, 1.0, (math.nan, 1.0), True),
        ],
    )
    def test_when_kappa_is_halved(self, can_split, n_passes, gap_before, parts, is_halved):
        rule = OfHinges((0.2, 0.0, 0.5), 32, can_split, has_parts=True)
        rule.looks = []
        rule.last = n_passes // 2, gap_before
        factor, sizes = asked(rule, n_passes, (*parts, 1.0))
        assert factor == (0.5 if is_halved else 1.0)
        assert sizes == [1024]
        assert rule.next == (2 * n_passes if is_halved or n_passes < 128 else 1.5 * n_passes)
        if not math.isnan(sum(parts)):
            assert rule.last == (n_passes, sum(parts))

    def test_with_l1_kappa_is_halved_late_whatever_the_parts(self):
        rule = OfHinges((0.2, 0.0, 0.5), 32, can_split=False, has_parts=False)
        assert rule.next == 32
        rule.looks = []
        assert asked(rule, 128, (1.0, 0.0, 1.0))[0] == 0.5

    def test_looks_come_before(self, rule):
        assert [rule.next, *rule.looks] == [4, 8, 16, 32]

    @pytest.mark.parametrize("fit_intercept", [False, True])
    def test_save_passes_of_separable_rows(self, fit_intercept):
        problem = problem_of(*clusters(4000, 100, 20), ElasticNet(1e-3), fit_intercept=fit_intercept)
        ascent, state = ascent_on(problem)
        for _ in range(100):
            ascent.run_pass(problem, state, 1.0)
        found = ascent.certify(problem, state, ascent.model(problem, state))
        assert found.gap <= 0.05 * found.objective  # all of it with kappa as chosen


@pytest.mark.parametrize("first", [32, 64])
def test_halving_goes_on(first):
    rule = Halving(first)
    assert rule.next == first
    assert asked(rule, first, (0.0, 0.0, 0.0)) == (0.5, [])
    assert rule.next == 2 * first


@pytest.mark.parametrize(
    ("loss", "l1_ratio", "then", "is_kept"),
    [
        (SOFTMAX, 0.0, SOFTMAX, True),
        (SOFTMAX, 0.5, SOFTMAX, True),
        (SOFTMAX, 1.0, SOFTMAX, False),  # halved, and never raised
        (WESTON_WATKINS, 0.0, WESTON_WATKINS, False),
        (WESTON_WATKINS + SQUARED, 0.0, CRAMMER_SINGER + SQUARED, False),
    ],
)
def test_a_warm_start_knows_how_kappa_was_balanced(loss, l1_ratio, then, is_kept, digits):
    problem = problem_of(*digits, ElasticNet(1e-4, l1_ratio), loss)
    ascent, state = ascent_on(problem)
    for _ in range(34):
        ascent.run_pass(problem, state, 1.0)
    assert state.kappa == pytest.approx(state.change * proximal.choose_kappa(problem))
    assert state.change < 0.9
    half = problem_of(*digits, ElasticNet(5e-5, l1_ratio), then)
    rng = np.random.default_rng(0)
    warm = ascent.start(half, ascent.model(problem, state), rng, DualMemory.of(problem, state))
    assert warm.change == (state.change if is_kept else 1.0)
    assert warm.kappa == pytest.approx(warm.change * proximal.choose_kappa(half))


@pytest.mark.parametrize("l1_ratio", [0.5, 1.0])
def test_a_path_with_l1_stays_proven(l1_ratio, digits):
    path = regularization_path(
        SoftmaxClassifier(l1_ratio=l1_ratio, solver="sdca", random_state=0), *digits, n_alphas=20
    )
    assert path.converged.all()
    assert path.n_iters.sum() < 1500


@pytest.mark.parametrize(("n_passes", "is_placed"), [(8, False), (32, True)])
def test_sums_are_made_anew_after_many_passes(n_passes, is_placed, digits):
    problem = problem_of(*digits, ElasticNet(1e-4), SOFTMAX)
    ascent, state = ascent_on(problem)
    for _ in range(3):
        ascent.run_pass(problem, state, 1.0)
    state.arrays.accumulated[...] += 1e-3  # as if by rounding
    state.n_passes = n_passes
    state.kappa_rule = SimpleNamespace(next=n_passes, factor=lambda *_: 1.0)
    assert ascent._change_kappa(problem, state) == is_placed
    gradient, _ = dual.gradient_of_run(problem, state)
    exact, _ = dual.gradient_of_dual(problem, state.arrays.dual)
    assert (np.abs(gradient - exact).max() <= 1e-9 * np.abs(exact).max()) == is_placed


@pytest.mark.parametrize("is_sparse", [False, True])
def test_a_point_that_is_placed_anew_has_no_momentum(is_sparse, digits):
    X, y = digits
    problem = problem_of(sparse.csr_array(X) if is_sparse else X, y, ElasticNet(1e-4, 0.5))
    ascent, state = ascent_on(problem)
    for _ in range(3):
        ascent.run_pass(problem, state, 1.0)
    assert (state.center.coef != state.center.coef_before).any()
    model = ascent.model(problem, state)
    ascent._place(problem, state, model)
    center, scale = state.center, state.coordinates.scale
    assert (center.coef == center.coef_before).all()
    assert center.a == 1
    placed = center.coef * scale[:, None] if is_sparse else (center.coef * scale)[:, : problem.n_features]
    assert placed == pytest.approx(model.coef, rel=1e-12)

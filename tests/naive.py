"""Slow, plain NumPy twins of the kernels: written from the formulas, not from the kernels."""

import numpy as np

from sklearn_lossopt import losses
from sklearn_lossopt.kernels import losses as numbers
from sklearn_lossopt.penalties import ElasticNet

KERNEL_LOSSES = {
    "softmax": (numbers.SOFTMAX, losses.CrossEntropy(), 4),
    "logistic": (numbers.LOGISTIC, losses.LogLoss(), 2),
    "hinge": (numbers.HINGE, losses.BinaryHinge(), 2),
    "squared_hinge": (numbers.HINGE + numbers.SQUARED, losses.BinaryHinge(squared=True), 2),
    "weston_watkins": (numbers.WESTON_WATKINS, losses.WestonWatkins(), 4),
    "weston_watkins_squared": (
        numbers.WESTON_WATKINS + numbers.SQUARED,
        losses.WestonWatkins(squared=True),
        4,
    ),
    "crammer_singer": (numbers.CRAMMER_SINGER, losses.CrammerSinger(), 4),
    "crammer_singer_squared": (
        numbers.CRAMMER_SINGER + numbers.SQUARED,
        losses.CrammerSinger(squared=True),
        4,
    ),
    "ovr": (numbers.HINGE, losses.OneVsRest(), 4),
    "ovr_squared": (numbers.HINGE + numbers.SQUARED, losses.OneVsRest(squared=True), 4),
}


def scores_of(X, coef, intercept):
    """Scores (n, K), or (n,) with one output; coef in scikit-learn's layout."""
    scores = X @ coef.T + intercept
    return scores[:, 0] if len(coef) == 1 else scores


def objective(loss, X, y, coef, intercept, penalty, weight=None):
    """The objective of DESIGN: weighted mean loss plus penalty."""
    return loss.mean(scores_of(X, coef, intercept), y, weight) + penalty.value(coef)


class NaiveOptimizer:
    """One optimizer on one parameter matrix, textbook form; prox in its own metric.

    `scale` multiplies gradients on their way in and steps on their way out (a diagonal metric);
    `catch_up` counts the steps for whose penalty this one stands.
    """

    def __init__(self, name, w, *, momentum=0.9, beta_1=0.9, beta_2=0.999, rho=0.99, epsilon=1e-8):
        self.name = name
        self.v = np.zeros_like(w)
        self.m = np.zeros_like(w)
        self.s = np.zeros_like(w)
        self.rho = rho
        self.momentum, self.beta_1, self.beta_2, self.epsilon = momentum, beta_1, beta_2, epsilon
        self.t = 0

    def step(self, w, g, rate, penalty, scale=1.0, catch_up=1.0, touched=None):
        """The new parameters; lines outside `touched` stay, with their memory."""
        self.t += 1
        old = w.copy(), self.v.copy(), self.m.copy(), self.s.copy()
        if self.name != "adamw":
            g = g + penalty.l2 * w
        metric = rate * scale**2 * np.ones_like(w)
        if self.name == "sgd":
            w = self._prox(w - metric * g, metric, penalty, catch_up)
        elif self.name == "momentum":
            after = self._prox(w + self.momentum * self.v - metric * g, metric, penalty, catch_up)
            self.v = after - w
            w = after
        elif self.name == "nesterov":
            position = w - self.momentum * self.v
            after = self._prox(w - metric * g, metric, penalty, catch_up)
            self.v = after - position
            w = after + self.momentum * self.v
        elif self.name in ("adagrad", "rmsprop"):
            if self.name == "adagrad":
                self.s = self.s + (g * scale) ** 2
            else:
                self.s = self.rho * self.s + (1 - self.rho) * (g * scale) ** 2
            metric = metric / (np.sqrt(self.s) + self.epsilon)
            w = self._prox(w - metric * g, metric, penalty, catch_up)
        else:
            self.m = self.beta_1 * self.m + (1 - self.beta_1) * g * scale
            self.s = self.beta_2 * self.s + (1 - self.beta_2) * (g * scale) ** 2
            m_hat = self.m / (1 - self.beta_1**self.t)
            s_hat = self.s / (1 - self.beta_2**self.t)
            metric = metric / (np.sqrt(s_hat) + self.epsilon)
            if self.name == "adamw":
                w = w * (1 - rate * penalty.l2) / (1 + rate * penalty.l2 * (catch_up - 1))
                penalty = ElasticNet(penalty.l1, 1.0)
            w = self._prox(w - metric * m_hat / scale, metric, penalty, catch_up)
        if touched is not None:
            w = np.where(touched, w, old[0])
            self.v, self.m, self.s = (
                np.where(touched, new, before)
                for new, before in zip((self.v, self.m, self.s), old[1:], strict=True)
            )
        return w

    @staticmethod
    def _prox(w, metric, penalty, catch_up):
        missed = ElasticNet(1.0, 0.0)
        soft = ElasticNet(penalty.l1, 1.0).prox(w, metric * catch_up)
        return missed.prox(soft, metric * penalty.l2 * (catch_up - 1))


def minibatch_pass(
    loss,
    X,
    y,
    weight,
    order,
    n_batches,
    model,
    optimizers,
    rate,
    penalty,
    *,
    fit_intercept=True,
    shift=0.0,
    scale=1.0,
    catch_up=1.0,
    only_touched=False,
):
    """One pass in scikit-learn's layout; `model` is (coef, intercept) for shifted rows."""
    coef, intercept = model
    free = ElasticNet(0.0)
    n_rows = len(order)
    for batch in range(n_batches):
        part = order[n_rows * batch // n_batches : n_rows * (batch + 1) // n_batches]
        rows = X[part] - shift
        slopes = loss.gradient(scores_of(rows, coef, intercept), y[part]).reshape(len(part), -1)
        slopes = slopes * weight[part][:, None] / len(part)
        touched = np.broadcast_to((rows != 0).any(axis=0), coef.shape) if only_touched else None
        coef = optimizers[0].step(coef, slopes.T @ rows, rate, penalty, scale, catch_up, touched)
        if fit_intercept:
            intercept = optimizers[1].step(intercept, slopes.sum(axis=0), rate, free)
    return coef, intercept


def optimum(loss, X, y, penalty, *, n_outputs, weight=None, max_iter=20000, tol=1e-13):
    """Optimum of a smooth loss by FISTA with restarts, and how far from stationary it is.

    Features are centered, which the free intercept undoes.

    Returns
    -------
    coef, intercept, objective, residual
    """
    n_rows = len(X)
    weight = np.ones(n_rows) if weight is None else weight
    center = np.average(X, axis=0, weights=weight)
    rows = X - center
    augmented = np.hstack([rows, np.ones((n_rows, 1))])
    curvature = {"CrossEntropy": 0.5, "LogLoss": 0.25}.get(type(loss).__name__, 2.0 * n_outputs)
    gram = (augmented * (weight / weight.sum())[:, None]).T @ augmented
    step = 1 / (curvature * np.linalg.eigvalsh(gram)[-1] + penalty.l2)
    w = np.zeros((n_outputs, X.shape[1] + 1))
    z, t = w.copy(), 1.0

    def prox_step(point):
        scores = scores_of(rows, point[:, :-1], point[:, -1])
        slopes = loss.mean_gradient(scores, y, weight).reshape(n_rows, -1)
        gradient = slopes.T @ augmented
        gradient[:, :-1] += penalty.l2 * point[:, :-1]
        new = point - step * gradient
        new[:, :-1] = ElasticNet(penalty.l1, 1.0).prox(new[:, :-1], step)
        return new

    for _ in range(max_iter):
        new = prox_step(z)
        if np.abs(new - z).max() <= tol * max(1, np.abs(new).max()):
            w = new
            break
        if ((z - new) * (new - w)).sum() > 0:
            t, z, w = 1.0, new.copy(), new
            continue
        t_next = (1 + np.sqrt(1 + 4 * t * t)) / 2
        z = new + (t - 1) / t_next * (new - w)
        w, t = new, t_next
    coef, intercept = w[:, :-1], w[:, -1] - w[:, :-1] @ center
    return (
        coef,
        intercept,
        objective(loss, X, y, coef, intercept, penalty, weight),
        np.abs(prox_step(w) - w).max(),
    )


def dual_vectors(loss_number, stored, y, move=None):
    """The dual vectors a = -slope, shape (n, n_outputs), of stored dual variables after a `Move`."""
    n_rows, n_outputs = stored.shape
    line = stored.astype(float)
    keep, mixed = np.ones(stored.shape), np.zeros(n_outputs)
    if move is not None and move.keep.size:  # padded to whole vectors
        keep, mixed = move.keep[y, :n_outputs], move.mixed[:n_outputs]
    hot = np.zeros((n_rows, n_outputs))
    if n_outputs > 1:
        hot[np.arange(n_rows), y] = 1
    else:
        hot[:, 0] = y
    if loss_number == numbers.SOFTMAX:
        p = np.exp(line)
        p /= p.sum(axis=1, keepdims=True)
        kept = keep * p
        return hot - kept - (p - kept).sum(axis=1, keepdims=True) * mixed
    if loss_number == numbers.CRAMMER_SINGER:
        line = line / np.maximum(1, line.sum(axis=1, keepdims=True))
    u = keep * line
    if loss_number == numbers.LOGISTIC or loss_number % numbers.SQUARED == numbers.HINGE:
        return (2 * hot - 1) * u
    u = np.where(hot > 0, 0, u)
    return hot * u.sum(axis=1, keepdims=True) - u


def dual_objective(loss, X, y, weight, a, penalty):
    """``D(a) = -mean loss*(-a) - R*(X^T diag(w) a)``: -inf outside the domain."""
    weight = weight / weight.sum()
    slopes = -a[:, 0] if a.shape[1] == 1 else -a
    gradient = (a * weight[:, None]).T @ X
    return -float(weight @ loss.conjugate(slopes, y)) - penalty.conjugate(gradient)

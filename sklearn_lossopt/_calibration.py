"""The temperature that turns an SVM's scores into probabilities (Guo et al. 2017)."""

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit, log_expit
from sklearn.utils.extmath import softmax

# Relative gap that is enough for a temperature, with few and with many classes, most of whose hinges do not
# matter to the most probable ones: tighter ones gave no better log loss.
CALIBRATION_TOL = 0.4, 0.5
CALIBRATION_FACTOR = 5000.0  # of tol, at most
CALIBRATION_FRACTION = 0.2  # held out to fit the temperature
CALIBRATION_SMALL = 5e5  # products a pass: where it is that quick, few rows make it the scale that counts

# Limits of log(1 / T): probabilities between uniform and certain for any sensible scores.
BOUND = 10.0


def log_probabilities(scores, temperature=1.0):
    """Log probabilities, shape (n_samples, n_classes), of scores (n_samples,) or (n_samples, n_classes).

    Finite for scores of any size: infinite ones count as the largest finite number, and what is
    left to divide are distances to the largest score, so that large scores do not tie.
    """
    largest = np.finfo(scores.dtype).max
    half = np.clip(scores, -largest, largest) / 2
    with np.errstate(over="ignore"):
        if scores.ndim == 1:
            margin = np.clip(half / scores.dtype.type(temperature / 2), -largest / 4, largest / 4)
            return np.column_stack([log_expit(-margin), log_expit(margin)])
        below = (half - half.max(axis=1, keepdims=True)) / scores.dtype.type(temperature / 2)
    below = np.clip(below, -largest / 4, 0)
    return below - np.log(np.exp(below).sum(axis=1, keepdims=True))


def probabilities(scores, temperature=1.0):
    """The exponentials of `log_probabilities`; the memory of `scores` may be used."""
    most = np.finfo(scores.dtype).max / 4 * min(temperature, 1.0)
    if not (scores.size and -most < scores.min() and scores.max() < most):
        return np.exp(log_probabilities(scores, temperature))
    if temperature != 1.0:
        scores = scores / scores.dtype.type(temperature)
    if scores.ndim == 1:
        return np.column_stack([expit(-scores), expit(scores)])
    return softmax(scores, copy=False)


def fit_temperature(scores, target, weight):
    """Temperature T > 0 that minimizes the weighted log loss of softmax(scores / T).

    Two classes with one score are the scores 0 and s: the logistic function of s / T.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        Scores of rows that the scoring model was not trained on.
    target : ndarray of int, shape (n_samples,)
        Class numbers.
    weight : ndarray of shape (n_samples,)
        Row weights.
    """
    scores = np.asarray(scores, dtype=np.float64)
    if scores.ndim == 1:
        scores = np.column_stack([np.zeros_like(scores), scores])
    weight = np.asarray(weight, dtype=np.float64)
    # From the distances to the true score, the log loss of a row is their logsumexp.
    distance = scores - scores[np.arange(len(scores)), target][:, None]
    top = distance.max(axis=1)
    below = distance - top[:, None]
    mean_distance = distance.mean(axis=1)
    smoothing = 0.0
    if np.count_nonzero(distance >= 0) == len(distance):  # each row's true score, and no other
        # All rows are right, so the loss falls with T for ever: smooth the labels as Platt (2000) does.
        smoothing = 1 / (2 + weight.sum() ** 2 / (weight @ weight))

    def log_loss(beta):
        loss = beta * top + np.log(np.exp(beta * below).sum(axis=1))
        return weight @ (loss - smoothing * beta * mean_distance)

    result = minimize_scalar(
        lambda log_beta: log_loss(np.exp(log_beta)),
        bounds=(-BOUND, BOUND),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(-result.x))


class RecentScores:
    """Scores that rows of a stream got before the model was trained on them; the last few are kept."""

    KEPT = 1024
    REFIT_AFTER = 128  # new rows

    def __init__(self):
        self.parts = None
        self.n_new = 0

    def add(self, scores, target, weight):
        """Take a chunk's scores; return a new temperature, or None while it need not change."""
        new = scores, target, weight
        if self.parts is not None:
            new = tuple(map(np.concatenate, zip(self.parts, new, strict=True)))
        self.parts = tuple(part[-self.KEPT :] for part in new)
        self.n_new += len(scores)
        if self.n_new < self.REFIT_AFTER <= len(self.parts[0]):
            return None
        self.n_new = 0
        return fit_temperature(*self.parts)


def tol_of_calibration(tol, problem):
    """Relative gap at which a fit that only serves the temperature may end."""
    if len(problem.index) * problem.row_length * problem.n_outputs <= CALIBRATION_SMALL:
        return tol
    least, most = CALIBRATION_TOL
    enough = min(max(least, 0.04 * problem.n_outputs**0.5), most)
    # Where nearly all rows are of one class, the best constant is about as near to the optimum as that.
    masses = np.bincount(problem.target[problem.index], problem.weight[problem.index])
    enough *= (1 - masses.max() / masses.sum()) * len(masses) / (len(masses) - 1)
    return max(tol, min(enough, CALIBRATION_FACTOR * tol))


def temperature_of(problem, model):
    """Temperature for a model, from rows that it was not trained on."""
    index = problem.index
    return fit_temperature(problem.scores(model), problem.target[index], problem.weight[index])

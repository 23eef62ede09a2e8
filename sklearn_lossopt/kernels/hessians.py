"""Hessians: of the cross-entropy where there is little data and NumPy would be slow, of sparse rows."""

import math

import numpy as np

from ._jit import helper, inlined, kernel


@helper
def _probabilities(scores, target, weight, p):
    """Weighted sum of the cross-entropy; `p`, which may be `scores`, becomes the probabilities."""
    total = 0.0
    for i in range(target.size):
        own = scores[target[i], i]
        top = scores[0, i]
        for k in range(1, len(scores)):
            top = max(top, scores[k, i])
        mass = 0.0
        for k in range(len(scores)):
            p[k, i] = math.exp(scores[k, i] - top)
            mass += p[k, i]
        for k in range(len(scores)):
            p[k, i] /= mass
        total += weight[i] * (top - own + math.log(mass))
    return total


@kernel
def softmax_value(scores, target, weight, p):
    """Weighted sum of the cross-entropy; `p` becomes the probabilities. Both are (n_outputs, n_rows)."""
    return _probabilities(scores, target, weight, p)


@helper
def add_softmax_derivatives(columns, root, target, p, room, gradient, hessian):
    """Add the gradient and the Hessian of the weighted cross-entropy.

    The Hessian, of all parameters output by output, is ``sum_i w_i (diag(p_i) - p_i p_i^T) (x) x_i x_i^T``.

    Parameters
    ----------
    columns : ndarray of shape (n_columns, n_rows)
        The rows, side by side.
    root : ndarray of shape (n_rows,)
        Square roots of their weights.
    target : ndarray of shape (n_rows,)
    p : ndarray of shape (n_outputs, n_rows)
        Probabilities of the classes.
    room : ndarray of shape (n_parameters + n_columns, any)
        For so many rows at a time; they should stay in the cache.
    gradient : ndarray of shape (n_outputs, n_columns)
    hessian : ndarray of shape (n_parameters, n_parameters), Fortran-ordered
        Its lower triangle only.
    """
    n_columns, n_rows = columns.shape
    size = gradient.size
    for start in range(0, n_rows, room.shape[1]):
        n = min(room.shape[1], n_rows - start)
        for j in range(n_columns):
            for i in range(n):
                room[size + j, i] = root[start + i] * columns[j, start + i]
        for k in range(len(p)):
            for j in range(n_columns):
                a = k * n_columns + j
                for i in range(n):
                    room[a, i] = p[k, start + i] * room[size + j, i]
                # A loop of its own: one that also writes is checked for overlaps, by ranges that are too
                # wide, so that where arrays lie would decide how it is summed up.
                slope = 0.0
                for i in range(n):
                    missing = p[k, start + i] - (target[start + i] == k)
                    slope += root[start + i] * missing * room[size + j, i]
                gradient[k, j] += slope
        for k in range(len(p)):
            for j in range(n_columns):
                a = k * n_columns + j
                for m in range(j, n_columns):
                    hessian[k * n_columns + m, a] += _dot(room, size + m, a, n)
                for b in range(a, size):
                    hessian[b, a] -= _dot(room, a, b, n)


@inlined
def _dot(lines, a, b, n):
    total = 0.0
    for i in range(n):
        total += lines[a, i] * lines[b, i]
    return total


@helper
def _complete(hessian, extra, n_outputs):
    """Add a diagonal, the same for every output, and lift the flat direction.

    That is adding the same line to every output, which changes no loss of differences of scores.

    Parameters
    ----------
    hessian : ndarray of shape (n_parameters, n_parameters), Fortran-ordered
        Its lower triangle only.
    extra : ndarray of shape (n_columns,)
    n_outputs : int
    """
    n_columns = extra.size
    trace = 0.0
    for a in range(len(hessian)):
        hessian[a, a] += extra[a % n_columns]
        trace += hessian[a, a]
    lift = trace / len(hessian) / n_outputs
    for a in range(len(hessian)):
        for b in range(a, len(hessian), n_columns):
            hessian[b, a] += lift


@kernel
def complete_hessian(hessian, extra, n_outputs):
    """Add a diagonal and lift the flat direction, as `visit_softmax` does."""
    _complete(hessian, extra, n_outputs)


@kernel
def visit_softmax(columns, target, weights, parameters, ridge, unused, room, p, gradient, hessian):
    """The objective of cross-entropy with a ridge, its gradient, and a Hessian to solve with.

    Parameters
    ----------
    columns : ndarray of shape (n_columns, n_rows)
        The rows, side by side.
    target : ndarray of shape (n_rows,)
    weights : tuple of 2 ndarray of shape (n_rows,)
        The rows' weights, and the roots of these.
    parameters : ndarray of shape (n_outputs, n_columns)
    ridge : ndarray of shape (n_columns,)
        Second derivatives of the penalty.
    unused : ndarray of shape (n_columns,)
        True for parameters that are held at 0.
    room, p, gradient, hessian : ndarray
        As `add_softmax_derivatives` has them; the last two are overwritten.

    Returns
    -------
    float
    """
    weight, root = weights
    n_outputs, n_columns = parameters.shape
    for k in range(n_outputs):
        for i in range(target.size):
            p[k, i] = 0.0
        for j in range(n_columns):
            for i in range(target.size):
                p[k, i] += parameters[k, j] * columns[j, i]
    value = _probabilities(p, target, weight, p)
    gradient[:] = 0.0
    hessian[:] = 0.0
    add_softmax_derivatives(columns, root, target, p, room, gradient, hessian)
    extra = np.empty(n_columns)
    for j in range(n_columns):
        extra[j] = ridge[j] + (1.0 if unused[j] else 0.0)
        for k in range(n_outputs):
            value += ridge[j] / 2 * parameters[k, j] ** 2
            gradient[k, j] = 0.0 if unused[j] else gradient[k, j] + ridge[j] * parameters[k, j]
    _complete(hessian, extra, n_outputs)
    return value


@kernel
def add_gram(rows, index, weight, k, gram, total):
    """Add sum_i w_i x_i x_i^T over CSR rows to `gram`, a lower triangle, and sum_i w_i x_i to `total`.

    The weights, ``weight[:, k]``, are by place in `index`; the entries of a row are in any order.
    """
    # Unsigned, as numbers that might be negative are looked at each time.
    data, indices, indptr = rows.data, rows.indices, rows.indptr
    n_features = np.uint64(gram.shape[1])
    flat = gram.reshape(gram.size)
    for i in range(index.size):
        w = weight[i, k]
        if w == 0:
            continue
        start, stop = np.uint64(indptr[index[i]]), np.uint64(indptr[index[i] + 1])
        for p in range(start, stop):
            j = np.uint64(indices[p])
            x = w * data[p]
            total[j] += x
            line = j * n_features
            for q in range(start, p + np.uint64(1)):
                flat[line + np.uint64(indices[q])] += x * data[q]
    for j in range(gram.shape[0]):  # a pair of features is on either side, by their order in a row
        for m in range(j):
            gram[j, m] += gram[m, j]
            gram[m, j] = 0.0

"""The interior point method row by row: how slacks and multipliers follow the scores.

`solvers.interior` has the equations. Arrays are (n_outputs, n_rows), rows by class, and each class fills
whole vectors: all lanes of one have the same target. A point is a tuple of u, v, xi and room, a step
likewise. Products of a hinge's changes, of u and room and of v and xi, are what a predictor leaves out.

Steps have a goal for the products of u and room, v and xi: ``mu[k]`` times `inverse`, one over a
row's weight in the mean, less `products`. The predictor itself, which ignores these, is for 0; outputs with
a negative goal are left out.
"""

import math

from ._jit import helper, inlined, kernel
from .losses import HINGE, SQUARED
from .references import borrowed
from .vectors import lanes_of, largest, load, spread, store, top, total


@inlined
def _side(k, y, n_outputs):
    """The sign of a score in its hinge, one output against the rest."""
    return -1.0 if y == (k if n_outputs > 1 else 1) else 1.0  # a single output is that of class 1


@inlined
def _excess(loss, scores, k, y, i):
    """What scores are in the argument of a hinge."""
    n_outputs, n_rows = scores.shape
    here = load(scores, k * n_rows + i)
    if loss % SQUARED == HINGE:
        return here * _side(k, y, n_outputs)
    return here - load(scores, y * n_rows + i)


@inlined
def _goal(mu, inverse, i, products, place):
    return load(inverse, i) * mu - load(products, place) if mu > 0 else spread(0.0, products)


@inlined
def _loss_of(value, change):
    """The share of a positive value that a change takes."""
    return (0.0 - change) / value


# ------------------------------------------------------------------ a slack for each hinge


@helper
def _bend(loss, mu, inverse, point, products, place, i):
    """The change of a multiplier: ``bend * (dz + lack)``, with dz that of the hinge's argument."""
    u_all, v_all, xi_all, room_all = point
    u, xi, room = load(u_all, place), load(xi_all, place), load(room_all, place)
    lack = _goal(mu, inverse, i, products[0], place) / u - room + xi
    if loss >= SQUARED:
        return 1.0 / (room / u + 0.5), lack - u * 0.5
    v = load(v_all, place)
    return 1.0 / (room / u + xi / v), lack - _goal(mu, inverse, i, products[1], place) / v


@kernel
def stay_apart(loss, edges, weight, inverse, mu, point, products, slopes, curvature):
    """What the loss's slopes by the scores become where these do not change, times the rows' weights.

    With `mu` = 0, curvatures too: derivatives of u by the hinges' arguments, 1 for the row's own class.
    """
    edges, weight, inverse, slopes, curvature = borrowed((edges, weight, inverse, slopes, curvature))
    point, products = borrowed((point, products))
    n_outputs, n_rows = slopes.shape
    lanes = lanes_of(slopes)
    one_each = loss % SQUARED == HINGE
    for y in range(0 if one_each else n_outputs):
        for i in range(edges[y], edges[y + 1], lanes):
            store(slopes, y * n_rows + i, spread(0.0, slopes))
            if mu[0] == 0:
                store(curvature, y * n_rows + i, spread(1.0, slopes))
    for k in range(n_outputs):
        if mu[k] < 0:
            continue
        for y in range(edges.size - 1):
            if k == y and not one_each:
                continue
            for i in range(edges[y], edges[y + 1], lanes):
                place = k * n_rows + i
                bend, lack = _bend(loss, mu[k], inverse, point, products, place, i)
                slope = (load(point[0], place) + bend * lack) * load(weight, i)
                if mu[k] == 0:
                    store(curvature, place, bend)
                if one_each:
                    store(slopes, place, slope * _side(k, y, n_outputs))
                else:
                    store(slopes, place, slope)
                    own = y * n_rows + i
                    store(slopes, own, load(slopes, own) - slope)


@kernel
def follow_apart(loss, edges, weight, inverse, mu, point, products, along, step, out):
    """The step that goes with a change of the scores; of the predictor, only its products.

    `out` (n_outputs, 3) gets the largest share of a slack or multiplier that is lost, and what the weighted
    sum of products changes by: along the step, and by its square.
    """
    edges, weight, inverse, along = borrowed((edges, weight, inverse, along))
    point, products, step = borrowed((point, products, step))
    u_all, v_all, xi_all, room_all = point
    n_outputs, n_rows = along.shape
    one_each = loss % SQUARED == HINGE
    for k in range(n_outputs):
        if mu[k] < 0:
            continue
        rate, first, second = spread(0.0, along), spread(0.0, along), spread(0.0, along)
        for y in range(edges.size - 1):
            if k == y and not one_each:
                continue
            for i in range(edges[y], edges[y + 1], lanes_of(along)):
                place = k * n_rows + i
                u, xi, room = load(u_all, place), load(xi_all, place), load(room_all, place)
                bend, lack = _bend(loss, mu[k], inverse, point, products, place, i)
                dz = _excess(loss, along, k, y, i)
                du = bend * (dz + lack)
                if loss >= SQUARED:
                    dxi = (u + du) * 0.5 - xi
                    droom = dxi - dz
                    change, square = u * droom + du * room, du * droom
                else:
                    v = load(v_all, place)
                    dxi = (_goal(mu[k], inverse, i, products[1], place) + xi * du) / v - xi
                    droom = dxi - dz
                    rate = largest(rate, largest(du / v, _loss_of(xi, dxi)))
                    change, square = u * droom + du * room + v * dxi - du * xi, du * droom - du * dxi
                    if mu[k] == 0:
                        store(products[1], place, 0.0 - du * dxi)
                    else:
                        store(step[1], place, 0.0 - du)
                rate = largest(rate, largest(_loss_of(u, du), _loss_of(room, droom)))
                w = load(weight, i)
                first, second = first + change * w, second + square * w
                if mu[k] == 0:
                    store(products[0], place, du * droom)
                else:
                    store(step[0], place, du)
                    store(step[2], place, dxi)
                    store(step[3], place, droom)
        out[k, 0], out[k, 1], out[k, 2] = top(rate), total(first), total(second)


# ------------------------------------------------------------------ a slack for each row


@helper
def _slack(loss, mu, inverse, point, products, along, moves, y, i):
    """The change of the slack of a vector of rows, its own curvature and that with the hinges'."""
    u_all, v_all, xi_all, room_all = point
    n_outputs, n_rows = along.shape
    xi = load(xi_all, i)
    if loss >= SQUARED:
        own, lack = spread(2.0, along), xi * -2.0
    else:
        v = load(v_all, i)
        own, lack = v / xi, _goal(mu, inverse, i, products[1], i) / xi - v
    pulls = own
    for k in range(n_outputs):
        if k == y:
            continue
        place = k * n_rows + i
        u, room = load(u_all, place), load(room_all, place)
        pull = u / room
        pulls = pulls + pull
        lack = lack + _goal(mu, inverse, i, products[0], place) / room
        if loss < SQUARED:
            lack = lack - u
        if moves:
            lack = lack + pull * _excess(loss, along, k, y, i)
    return lack / pulls, own, pulls


@kernel
def stay_shared(loss, edges, weight, inverse, mu, point, products, slopes, curvature):
    """As `stay_apart`; the curvature of the row's own class is the slack's, the last line one over all."""
    edges, weight, inverse, slopes, curvature = borrowed((edges, weight, inverse, slopes, curvature))
    point, products = borrowed((point, products))
    u_all, _, _, room_all = point
    n_outputs, n_rows = slopes.shape
    for y in range(edges.size - 1):
        for i in range(edges[y], edges[y + 1], lanes_of(slopes)):
            w = load(weight, i)
            dxi, own, pulls = _slack(loss, mu[0], inverse, point, products, slopes, False, y, i)
            rest = spread(0.0, slopes)
            for k in range(n_outputs):
                if k == y:
                    continue
                place = k * n_rows + i
                room = load(room_all, place)
                pull = load(u_all, place) / room
                slope = (_goal(mu[0], inverse, i, products[0], place) / room - pull * dxi) * w
                rest = rest - slope
                store(slopes, place, slope)
                if mu[0] == 0:
                    store(curvature, place, pull)
            store(slopes, y * n_rows + i, rest)
            if mu[0] == 0:
                store(curvature, y * n_rows + i, own)
                store(curvature, n_outputs * n_rows + i, 1.0 / pulls)


@kernel
def follow_shared(loss, edges, weight, inverse, mu, point, products, along, step, out):
    """As `follow_apart`, but the sums of all outputs go to the first line of `out`."""
    edges, weight, inverse, along = borrowed((edges, weight, inverse, along))
    point, products, step = borrowed((point, products, step))
    u_all, v_all, xi_all, room_all = point
    n_outputs, n_rows = along.shape
    rate, first, second = spread(0.0, along), spread(0.0, along), spread(0.0, along)
    for y in range(edges.size - 1):
        for i in range(edges[y], edges[y + 1], lanes_of(along)):
            dxi, _, _ = _slack(loss, mu[0], inverse, point, products, along, True, y, i)
            change, square, dv = spread(0.0, along), spread(0.0, along), spread(0.0, along)
            for k in range(n_outputs):
                if k == y:
                    continue
                place = k * n_rows + i
                u, room = load(u_all, place), load(room_all, place)
                droom = dxi - _excess(loss, along, k, y, i)
                du = (_goal(mu[0], inverse, i, products[0], place) - u * droom) / room - u
                dv = dv - du
                rate = largest(rate, largest(_loss_of(u, du), _loss_of(room, droom)))
                change, square = change + u * droom + du * room, square + du * droom
                if mu[0] == 0:
                    store(products[0], place, du * droom)
                else:
                    store(step[0], place, du)
                    store(step[3], place, droom)
            if loss < SQUARED:
                v, xi = load(v_all, i), load(xi_all, i)
                rate = largest(rate, largest(_loss_of(v, dv), _loss_of(xi, dxi)))
                change, square = change + v * dxi + dv * xi, square + dv * dxi
                if mu[0] == 0:
                    store(products[1], i, dv * dxi)
                else:
                    store(step[1], i, dv)
            if mu[0] > 0:
                store(step[2], i, dxi)
            w = load(weight, i)
            first, second = first + change * w, second + square * w
    out[0, 0], out[0, 1], out[0, 2] = top(rate), total(first), total(second)


# ------------------------------------------------------------------ steps and Hessians


@kernel
def advance(loss, weight, length, point, step, out):
    """Take a part ``length[k]`` of a step, which nothing is read of for 0, and measure what is there.

    `out` (n_outputs, 3) gets weighted sums over the rows: of the products of u and room, of v and xi, and of
    the losses, as slacks have them; where the outputs share a slack, these two are in the first line.
    """
    weight, point, step = borrowed((weight, point, step))
    u, v, xi, room = point
    for k in range(len(u)):
        part = length[k]
        products = 0.0
        for i in range(weight.size if part > 0 else 0):
            u[k, i] += part * step[0][k, i]
            room[k, i] += part * step[3][k, i]
        for i in range(weight.size):
            products += weight[i] * (u[k, i] * room[k, i])
        out[k, 0] = products
    for k in range(len(xi)):
        part = length[k]
        products = 0.0
        total_loss = 0.0
        for i in range(weight.size if part > 0 else 0):
            xi[k, i] += part * step[2][k, i]
            if loss < SQUARED:
                v[k, i] += part * step[1][k, i]
        for i in range(weight.size):
            if loss < SQUARED:
                total_loss += weight[i] * xi[k, i]
                products += weight[i] * (v[k, i] * xi[k, i])
            else:
                total_loss += weight[i] * (xi[k, i] * xi[k, i])
        out[k, 1], out[k, 2] = products, total_loss


@kernel
def weigh_columns(columns, first, curvature, weight, k, m, place, out):
    """Put rows, side by side, times the roots of what bends a difference of scores, or one score if k is m.

    Parameters
    ----------
    columns : ndarray of shape (n_columns, any)
        Some rows.
    first : int
        The first one that is wanted.
    curvature, weight : ndarray of shape (n_outputs or more, n_rows), (n_rows,)
    k, m : int
        The outputs.
    place : int
        Where the first row is in these.
    out : tuple of ndarray
        Room of shape (n_columns, n), in which as many rows are put, and of shape (n,).
    """
    weighed, root = out
    for i in range(root.size):
        root[i] = weight[place + i] * curvature[k, place + i]
        if k != m:
            root[i] *= curvature[m, place + i]
        root[i] = math.sqrt(root[i])
    for j in range(len(columns)):
        for i in range(root.size):
            weighed[j, i] = columns[j, first + i] * root[i]


@kernel
def add_pair(hessian, block, k, m):
    """Add what bends the difference of two outputs' scores to a Hessian; of both, lower triangles only.

    Parameters
    ----------
    hessian : ndarray of shape (n_parameters, n_parameters), Fortran-ordered
        Of all parameters, output by output.
    block : ndarray of shape (n_columns, n_columns), Fortran-ordered
        Sum of the rows' outer products, weighted.
    k, m : int
        The outputs, the lower number first.
    """
    n = len(block)
    for b in range(n):
        for a in range(b):
            hessian[m * n + a, k * n + b] -= block[b, a]
        for a in range(b, n):
            here = block[a, b]
            hessian[k * n + a, k * n + b] += here
            hessian[m * n + a, m * n + b] += here
            hessian[m * n + a, k * n + b] -= here


@kernel
def make_laplacian(hessian, n_outputs):
    """Make a matrix of all pairs' sums of outer products the Hessian by differences of outputs' scores.

    Off the diagonal the blocks change their signs, those along it become the sums of the others beside them.

    Parameters
    ----------
    hessian : ndarray of shape (n_parameters, n_parameters), Fortran-ordered
        Its lower triangle only.
    n_outputs : int
    """
    n = len(hessian) // n_outputs
    for k in range(n_outputs):
        for b in range(n):
            for a in range(b, n):
                hessian[k * n + a, k * n + b] = 0.0
    for k in range(n_outputs):
        for m in range(k + 1, n_outputs):
            for b in range(n):
                for a in range(n):
                    here = hessian[m * n + a, k * n + b]
                    hessian[m * n + a, k * n + b] = -here
                    if a >= b:
                        hessian[k * n + a, k * n + b] += here
                        hessian[m * n + a, m * n + b] += here

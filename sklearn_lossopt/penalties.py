"""The penalty as the field writes it: value, gradient, proximal operator, convex conjugate."""

from dataclasses import dataclass

import numpy as np

__all__ = ["ElasticNet"]


@dataclass(frozen=True)
class ElasticNet:
    """``alpha * (l1_ratio |W|_1 + (1 - l1_ratio) / 2 |W|_F^2)``, never applied to intercepts.

    ``l1_ratio=0`` is L2 (ridge, weight decay), which prefers weights spread over features;
    ``l1_ratio=1`` is L1 (lasso), which gives exact zeros.

    Parameters
    ----------
    alpha : float
        Strength, >= 0. The lecture's lambda is alpha / 2 for R = sum of squares; it is alpha for
        half the sum of squares and for L1.
    l1_ratio : float, default=0.0
        Share of L1, in [0, 1].

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lossopt.penalties import ElasticNet
    >>> penalty = ElasticNet(alpha=0.1, l1_ratio=0.5)
    >>> coef = np.array([[1.0, -0.5, 0.02]])
    >>> round(penalty.value(coef), 5)
    0.10726
    >>> penalty.prox(coef, step=1.0).round(3)
    array([[ 0.905, -0.429,  0.   ]])
    """

    alpha: float
    l1_ratio: float = 0.0

    @property
    def l1(self):
        """Factor of ``|W|_1``."""
        return self.alpha * self.l1_ratio

    @property
    def l2(self):
        """Factor of ``|W|_F^2 / 2``."""
        return self.alpha * (1 - self.l1_ratio)

    def value(self, coef):
        """The penalty of coefficients.

        Parameters
        ----------
        coef : ndarray
            Coefficients, of any shape.

        Returns
        -------
        float
            The penalty, >= 0.
        """
        coef = np.asarray(coef, dtype=float)
        return float(self.l1 * np.abs(coef).sum() + self.l2 / 2 * np.square(coef).sum())

    def gradient(self, coef):
        """Gradient by the coefficients; 0 for the L1 part where they are 0.

        Parameters
        ----------
        coef : ndarray
            Coefficients, of any shape.

        Returns
        -------
        ndarray in the shape of `coef`
            The gradient.
        """
        coef = np.asarray(coef, dtype=float)
        return self.l1 * np.sign(coef) + self.l2 * coef

    def prox(self, coef, step=1.0):
        """``argmin_V step * penalty(V) + |V - coef|^2 / 2``: soft thresholding, then shrinking.

        Parameters
        ----------
        coef : ndarray
            Where to take it.
        step : float or ndarray, default=1.0
            Step size, one for all or one for each coefficient (a diagonal metric).

        Returns
        -------
        ndarray in the shape of `coef`
            The minimizer V.
        """
        coef = np.asarray(coef, dtype=float)
        soft = np.sign(coef) * np.maximum(np.abs(coef) - step * self.l1, 0)
        return soft / (1 + step * self.l2)

    def conjugate(self, dual):
        """Convex conjugate, ``sup_W <dual, W> - penalty(W)``.

        Parameters
        ----------
        dual : ndarray
            Where to take it, in the shape of coefficients.

        Returns
        -------
        float
            Its value, inf where L1 alone cannot hold the dual.
        """
        excess = np.maximum(np.abs(np.asarray(dual, dtype=float)) - self.l1, 0)
        if self.l2 > 0:
            return float(np.square(excess).sum() / (2 * self.l2))
        return 0.0 if not (excess > 1e-12).any() else float("inf")

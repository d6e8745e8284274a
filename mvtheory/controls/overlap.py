r"""Overlapping views of a class, and the response of a net to the view that lost the lottery.

Let the two views of a class overlap by :math:`\omega = \langle v_{i,1}, v_{i,2} \rangle`. A neuron whose overlaps
:math:`\lambda_\ell = \langle w, v_{i,\ell} \rangle` with both views of its class are positive obeys
:math:`\dot\lambda_1 = g\,(\lambda_1^{q-1} + \omega\,\lambda_2^{q-1})` and the same with 1 and 2 exchanged. The ratio
:math:`\beta = \lambda_2 / \lambda_1` is stationary where

.. math:: \omega = \kappa(\beta) = \frac{\beta\,(1 - \beta^{q-2})}{1 - \beta^q}, \qquad \kappa(1) = \frac{q-2}{q}.

Below :math:`\omega = (q-2)/q` there is one such ratio less than 1; above it the neuron responds equally to both views.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import scipy
import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_int, check_number
from mvtheory.data import MultiView

__all__ = ["Overlapping", "overlap_at", "predicted_gain", "resting_ratio"]


@dataclass(frozen=True)
class Overlapping(MultiView):
    r"""Multi-view data with two overlapping views per class: orthogonal at 0, identical at 1.

    Parameters
    ----------
    overlap : float, in [0, 1]
        The inner product :math:`\langle v_{i,1}, v_{i,2} \rangle` of the views of a class. Views of different classes
        are orthogonal.

    See Also
    --------
    mvtheory.data.MultiView : all other parameters; `M` must be 2.

    Examples
    --------
    >>> views = Overlapping(k=3, P=6, d=12, s=1, overlap=0.5).views
    >>> round(float(views[0, 0] @ views[0, 1]), 3), round(float(views[0, 1].norm()), 3)
    (0.5, 1.0)
    """

    overlap: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_int("M", self.M, low=2, high=2)
        check_number("overlap", self.overlap, low=0, high=1)

    @cached_property
    def views(self) -> Float[Tensor, "k 2 d"]:
        """The views v_{i,l}, of norm 1."""
        first, other = super().views.unbind(1)
        return torch.stack([first, self.overlap * first + math.sqrt(1 - self.overlap**2) * other], 1)


def overlap_at(ratio: float | int, q: int) -> float:
    r"""Return the overlap :math:`\kappa` of two views at which `ratio` is a neuron's stationary ratio.

    Parameters
    ----------
    ratio : float, in [0, 1]
        The neuron's smaller overlap with the two views divided by the larger one. At 1, the result is the overlap from
        which on the neuron responds equally to both views.
    q : int, >= 3
        Power of the activation.

    Returns
    -------
    float
        In [0, (q - 2) / q].

    Examples
    --------
    >>> overlap_at(0.5, q=4), overlap_at(1, q=4)
    (0.4, 0.5)
    """
    r, q = check_number("ratio", ratio, low=0, high=1), check_int("q", q, low=3)
    # Numerator and denominator are divided by 1 - r, so that r = 1 is no special case.
    return r * sum(r**p for p in range(q - 2)) / sum(r**p for p in range(q))


def resting_ratio(overlap: float | int, q: int) -> float:
    """Return the stationary ratio of a neuron's overlaps with the two views of its class, the inverse of `overlap_at`.

    Parameters
    ----------
    overlap : float, in [0, 1]
        Overlap of the two views.
    q : int, >= 3
        Power of the activation.

    Returns
    -------
    float
        In [0, 1]; 1 if the neuron responds equally to both views.

    Examples
    --------
    >>> round(resting_ratio(0.4, q=4), 6), resting_ratio(0.6, q=4)
    (0.5, 1.0)
    """
    c, end = check_number("overlap", overlap, low=0, high=1), overlap_at(1, q)
    if c >= end:
        return 1.0
    return float(scipy.optimize.brentq(lambda r: overlap_at(r, q) - c, 0.0, 1.0))


def predicted_gain(overlap: float | int, Gamma: float | int, q: int, main: tuple[float, float]) -> float:
    """Return the predicted gain of an ensemble on single-view inputs, from the stationary ratio.

    Half of the inputs have the view that a net has not learned. It responds to them as to the strength ``ratio * z``,
    with z uniform in `main`, and errs if this is below `Gamma`, the strength of other classes. In the ensemble, another
    net has learned the view.

    Parameters
    ----------
    overlap : float, in [0, 1]
        Overlap of the two views.
    Gamma : float, >= 0
        Strength of other classes' views in single-view inputs.
    q : int, >= 3
        Power of the activation.
    main : (float, float), 0 < low <= high
        Range of the strength of the view that is present.

    Returns
    -------
    float
        In [0, 0.5].

    Examples
    --------
    >>> [round(predicted_gain(c, 0.4, 4, (1.0, 1.1)), 2) for c in (0.0, 0.3, 0.33, 0.4)]
    [0.5, 0.5, 0.31, 0.0]
    """
    low, high = main[0], main[1]
    check_number("main[0]", low, low=0, open_low=True)
    check_number("main[1]", high, low=low)
    bound, ratio = check_number("Gamma", Gamma, low=0), resting_ratio(overlap, q)
    if ratio * high < bound or ratio * low >= bound:
        return 0.5 * (ratio * high < bound)
    return 0.5 * (bound / ratio - low) / (high - low)

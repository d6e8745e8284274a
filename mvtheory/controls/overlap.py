r"""A dial from two views to one: views of a class that overlap, and what a net then sees of the view that lost.

Let the two views of a class overlap by :math:`\omega = \langle v_{i,1}, v_{i,2} \rangle`. A neuron with overlaps
:math:`\lambda_\ell = \langle w, v_{i,\ell} \rangle` that grows by both views of its class obeys
:math:`\dot\lambda_1 = g\,(\lambda_1^{q-1} + \omega\,\lambda_2^{q-1})` and the same with 1 and 2 exchanged. The ratio
:math:`\beta = \lambda_2 / \lambda_1` comes to rest where

.. math:: \omega = \kappa(\beta) = \frac{\beta\,(1 - \beta^{q-2})}{1 - \beta^q}, \qquad \kappa(1) = \frac{q-2}{q}.

Below :math:`\omega = (q-2)/q` there is one such ratio under 1; above it both views are seen alike.
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
    r"""Multi-view data of two views a class that overlap: at 0 orthogonal, at 1 the same direction twice.

    Parameters
    ----------
    overlap : float, in [0, 1]
        The inner product :math:`\langle v_{i,1}, v_{i,2} \rangle` of the views of a class. Views of different classes
        stay orthogonal.

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
        """The views v_{i,l}, of length 1."""
        first, other = super().views.unbind(1)
        return torch.stack([first, self.overlap * first + math.sqrt(1 - self.overlap**2) * other], 1)


def overlap_at(ratio: float | int, q: int) -> float:
    r"""Return the overlap :math:`\kappa` of two views at which a neuron's ratio comes to rest at `ratio`.

    Parameters
    ----------
    ratio : float, in [0, 1]
        Overlap with the weaker seen view, divided by that with the stronger seen one. At 1: the overlap from which
        on both views are seen alike.
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
    # Numerator and denominator without their common factor 1 - r, so that r = 1 is no special case.
    return r * sum(r**p for p in range(q - 2)) / sum(r**p for p in range(q))


def resting_ratio(overlap: float | int, q: int) -> float:
    """Return the ratio at which a winner's overlaps with its two views come to rest; 1 if it sees both alike.

    Parameters
    ----------
    overlap : float, in [0, 1]
        Overlap of the two views.
    q : int, >= 3
        Power of the activation.

    Returns
    -------
    float
        In [0, 1].

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
    """Return what an ensemble gains on single-view inputs, by the ratio at rest.

    Half of the inputs kept the view that a net did not win. There it sees ``ratio * z``, z uniform in `main`, and errs
    if that is below `Gamma`, the strength at which it sees other classes. The ensemble has a net that won the view.

    Parameters
    ----------
    overlap : float, in [0, 1]
        Overlap of the two views.
    Gamma : float, >= 0
        Strength of other classes' views in single-view inputs.
    q : int, >= 3
        Power of the activation.
    main : (float, float), 0 < low <= high
        Range of the strength of the kept view.

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

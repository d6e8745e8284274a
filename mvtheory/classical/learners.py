r"""Learners for classical ensembles: scikit-learn estimators on the data of the theory.

For scikit-learn, an input is a row of numbers. `tree_features` returns rows that are suitable for trees, and
`TangentClassifier` is a net with fixed features whose inputs are concatenated patches.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from torch import Tensor

from mvtheory._check import check_finite, check_int, check_number, check_shape
from mvtheory.data import Sample
from mvtheory.linear.feature_maps import one_hot, tangent_features
from mvtheory.model import PatchNets, SReLU

__all__ = ["TangentClassifier", "tree_features"]


def tree_features(data: Sample, axes: Float[Tensor, "f d"] | None = None) -> Float[np.ndarray, "n two_f"]:
    r"""Return the largest and the total coordinate over the patches, for each axis.

    Both are invariant to the order of the patches, which is random.

    Parameters
    ----------
    data : Sample
        Inputs.
    axes : Tensor, shape [f, d], optional
        Unit vectors: :math:`\max_p \langle a, x_p \rangle` and :math:`\sum_p \langle a, x_p \rangle` for each of
        them. By default the coordinate axes, which are independent of the views. With the views themselves the
        features are an oracle.

    Returns
    -------
    array, shape [n, 2 f]
        The largest coordinates of all axes, then the total ones.
    """
    check_finite("data.x", data.x)
    coordinates = data.x
    if axes is not None:
        check_shape("axes", axes, ("f", data.x.shape[-1]))
        coordinates = data.x @ axes.T
    return torch.cat([coordinates.amax(1), coordinates.sum(1)], 1).numpy()


class TangentClassifier(ClassifierMixin, BaseEstimator):
    r"""A patch network with fixed features, as a classifier of scikit-learn.

    Ridge regression to one-hot labels in the features of :func:`mvtheory.linear.feature_maps.tangent_features`, one
    regression per class, with weights :math:`w_a` of the inputs that sum to 1:

    .. math:: \sum_a w_a \big(F_i(X_a) - \mathbb 1\{y_a = i\}\big)^2 + \lambda\, \bar K_i \,\|\delta_i\|^2,
              \qquad \bar K_i = \sum_a w_a \|\varphi_i(X_a)\|^2.

    With n equal weights it is :class:`mvtheory.linear.feature_maps.TangentRidge` with the ridge :math:`n \lambda`.

    Parameters
    ----------
    patches : int, >= 1
        Number of patches in a row of `X`, concatenated.
    m : int, >= 1
        Neurons per class.
    ridge : float, > 0
        The ridge :math:`\lambda`.
    q : int, >= 1
        Power of the activation.
    varrho : float, > 0
        Cut of the activation.
    sigma_0 : float, > 0
        Standard deviation of the neurons' weights.
    seed : int, optional
        Seed of the features; by default drawn from `random_state`. Ensembles of scikit-learn set the `random_state`
        of each member, but not `seed`: with a given seed, all members have the same features.
    random_state : int, RandomState or None
        Source of the seed where none is given.

    Attributes
    ----------
    classes_ : array, shape [k]
        The labels.
    n_features_in_ : int
        Length of a row.
    nets_ : PatchNets
        One net at its initialisation, which defines the features.
    delta_ : Tensor, shape [k, m d]
        The learned weights.

    Examples
    --------
    >>> from mvtheory.data import MultiView
    >>> data = MultiView(k=3, P=6, d=12, s=1).sample(60, seed=0)
    >>> model = TangentClassifier(patches=6, m=4, seed=0).fit(data.x.flatten(1), data.y)
    >>> model.predict_proba(data.x.flatten(1)).shape
    (60, 3)
    """

    def __init__(
        self,
        patches: int = 1,
        m: int = 10,
        ridge: float = 0.002,
        q: int = 3,
        varrho: float = 12.0,
        sigma_0: float = 0.3,
        seed: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.patches = patches
        self.m = m
        self.ridge = ridge
        self.q = q
        self.varrho = varrho
        self.sigma_0 = sigma_0
        self.seed = seed
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> TangentClassifier:
        """Draw the features and fit the weights.

        Parameters
        ----------
        X : array, shape [n, patches * d]
            Inputs.
        y : array, shape [n]
            Labels of at least two classes.
        sample_weight : array, shape [n], optional
            Weights of the inputs, up to a common factor; by default equal.
        """
        check_int("patches", self.patches, low=1)
        ridge = check_number("ridge", self.ridge, low=0, open_low=True)
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        k, width = len(self.classes_), X.shape[1]
        if k < 2:
            raise ValueError(f"y must hold at least 2 classes; got one class: {self.classes_[0]!r}")
        if width % self.patches:
            raise ValueError(f"patches must divide the {width} numbers of a row; got {self.patches!r}")
        weights = torch.as_tensor(_check_sample_weight(sample_weight, X, dtype=np.float64))
        if not weights.sum() > 0:
            raise ValueError(f"sample_weight must have a positive sum; got {float(weights.sum())}")
        weights = weights / weights.sum()
        seed = self.seed if self.seed is not None else int(check_random_state(self.random_state).randint(2**31 - 1))
        activation = SReLU(self.q, self.varrho)
        self.nets_ = PatchNets.init(
            1, k=k, m=self.m, d=width // self.patches, sigma_0=self.sigma_0, seed=seed, activation=activation
        ).to(torch.float64)
        self.delta_ = _ridge(self._features(X), torch.as_tensor(codes), weights, ridge)
        return self

    def outputs(self, X: Any) -> Float[np.ndarray, "n k"]:
        """Return the outputs F, regressions to the one-hot labels."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return (self._features(X) @ self.delta_[..., None])[..., 0].T.numpy()

    def predict_proba(self, X: Any) -> Float[np.ndarray, "n k"]:
        """Return the outputs projected on the probability simplex."""
        return _nearest_probabilities(self.outputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Return the label with the largest output."""
        index = self.outputs(X).argmax(-1)  # first, so that an unfitted classifier raises its own error
        return self.classes_[index]

    def _features(self, X: np.ndarray) -> Tensor:
        return tangent_features(self.nets_, torch.tensor(X).reshape(len(X), self.patches, -1))[0]


def _ridge(
    features: Float[Tensor, "k n f"], y: Int[Tensor, " n"], weights: Float[Tensor, " n"], ridge: float
) -> Float[Tensor, "k f"]:
    """Return the ridge regression weights of each class on its own features; the input `weights` sum to 1."""
    weighted = features * weights[:, None]
    gram = features.transpose(1, 2) @ weighted
    # A class without any active neuron has zero features, and its outputs are 0.
    scale = gram.diagonal(dim1=1, dim2=2).sum(-1).clamp(min=torch.finfo(gram.dtype).tiny)
    gram.diagonal(dim1=1, dim2=2).add_(ridge * scale[:, None])
    targets = one_hot(y, len(features), features.dtype)[0]
    right = weighted.transpose(1, 2) @ targets.T[..., None]
    return torch.cholesky_solve(right, torch.linalg.cholesky(gram))[..., 0]


def _nearest_probabilities(F: np.ndarray) -> np.ndarray:
    """Project the rows of F, shape [n, k], on the probability simplex, in squared distance."""
    falling = -np.sort(-F, axis=-1)
    excess = (falling.cumsum(-1) - 1) / np.arange(1, F.shape[-1] + 1)  # the shift that leaves the j largest classes
    positive = (falling > excess).sum(-1)
    return np.maximum(F - excess[np.arange(len(F)), positive - 1, None], 0.0)

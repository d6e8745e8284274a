"""Nets of the ordinary kind on the digits of scikit-learn: three hidden layers, Adam, Hinton's rule."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as nnf
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["deep_net", "digit_split", "fit", "outputs_of"]


def digit_split(number: int = 71, n: int = 300) -> list[np.ndarray]:
    """Split the 1797 digits of scikit-learn into training and test images, each class in its proportion.

    Parameters
    ----------
    number : int, >= 0
        Decides the split.
    n : int
        Training images.

    Returns
    -------
    x, x_test : array of float32, shape [images, 64]
        Pixels in [0, 1].
    y, y_test : array of int, shape [images]
        Classes.
    """
    from sklearn.datasets import load_digits  # takes a second to import
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    x, y = digits.data.astype("float32") / 16, digits.target
    parts: list[np.ndarray] = train_test_split(x, y, train_size=n, stratify=y, random_state=number)
    return parts


def deep_net(seed: int, width: int = 32) -> nn.Sequential:
    """Return a net of three hidden layers at its initialisation.

    Parameters
    ----------
    seed : int
        Decides the initial weights.
    width : int, >= 1
        Units of a hidden layer.

    Returns
    -------
    Sequential
        From 64 pixels to 10 logits.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hidden = [layer for size in (64, width, width) for layer in (nn.Linear(size, width), nn.ReLU())]
        return nn.Sequential(*hidden, nn.Linear(width, 10))


def fit(
    net: nn.Module,
    x: Float[np.ndarray, "n 64"],
    y: np.ndarray,
    teacher: Float[Tensor, "n 10"] | None = None,
    steps: int = 150,
    T: float = 4.0,
    weight: float = 9.0,
) -> nn.Module:
    """Train a net in place by Adam on the labels and, if there is one, on the teacher's outputs by Hinton's rule.

    Parameters
    ----------
    net : Module
        From pixels to logits.
    x : array of float32, shape [n, 64]
        Pixels.
    y : array of int, shape [n]
        Classes.
    teacher : Tensor, shape [n, 10], optional
        Logits for the same images.
    steps : int
        Steps, each on all images.
    T, weight : float
        Temperature of the rule, and its weight.

    Returns
    -------
    Module
        The net.
    """
    inputs, labels = torch.tensor(x), torch.tensor(y)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        F = net(inputs)
        loss = nnf.cross_entropy(F, labels)
        if teacher is not None:
            soft = nnf.kl_div((F / T).log_softmax(-1), (teacher / T).softmax(-1), reduction="batchmean")
            loss = loss + weight * T**2 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net


def outputs_of(nets: Sequence[nn.Module], x: Float[np.ndarray, "n 64"]) -> Float[Tensor, "L n 10"]:
    """Return the logits of several nets for the images `x` [n, 64]."""
    return torch.stack([net(torch.tensor(x)) for net in nets]).detach()

"""All that is counted in one pass over the outputs: by input, so that intervals can be made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from mvtheory.decision.inputs import Stack, read_scale, row_blocks
from mvtheory.decision.scores import SMALLEST, ScoreCounter, Scores, fit_temperature, log_softmax
from mvtheory.decision.subsets import SubsetCounter, Subsets

__all__ = ["Evidence", "Others", "Scaled", "gather", "scale_temperature"]

_MOST_FITTED = 2000  # inputs on which a temperature is fitted


@dataclass(frozen=True)
class Others:
    """Nets that are compared with the average: students, or single nets of the same cost.

    Attributes
    ----------
    errs : array of bool, shape [S, n]
        Which inputs each of them misclassifies.
    nll : array of shape [S, n]
        Minus log-probability of the label.
    agree : array of bool, shape [S, n]
        Where it chooses the class of the average.
    """

    errs: Bool[np.ndarray, "S n"]
    nll: Float[np.ndarray, "S n"]
    agree: Bool[np.ndarray, "S n"]


@dataclass(frozen=True)
class Scaled:
    """Scores after each net, and the average of all, was divided by its own temperature.

    Attributes
    ----------
    T : array of shape [L]
        Temperature of each net.
    T_all : float
        Temperature of the average.
    nll_one, nll_all : array of shape [m]
        Minus log-probability of the label, of one net (a mean) and of the average, on the inputs that were not used
        to fit temperatures.
    """

    T: Float[np.ndarray, " L"]
    T_all: float
    nll_one: Float[np.ndarray, " m"]
    nll_all: Float[np.ndarray, " m"]


@dataclass(frozen=True)
class Evidence:
    """What was counted.

    Attributes
    ----------
    names : tuple of str
        Names of the nets.
    scale : str
        What the outputs are, ``"logits"`` or ``"probabilities"``: the way in which they are averaged.
    subsets : Subsets
        Errors of averages of the outputs as they are.
    scores : dict of str to Scores
        By way of averaging.
    students, larger : Others or None
        Nets beside the ensemble.
    agree_one : array of shape [n]
        Share of the nets that choose the class of the average.
    scaled : Scaled or None
        After temperature scaling.
    copies : tuple of tuple of str
        Names of nets that give the same outputs on all inputs, those that are alike together.
    """

    names: tuple[str, ...]
    scale: str
    subsets: Subsets
    scores: Mapping[str, Scores]
    students: Others | None
    larger: Others | None
    agree_one: Float[np.ndarray, " n"]
    scaled: Scaled | None
    copies: tuple[tuple[str, ...], ...] = ()


def gather(
    nets: Stack,
    y: Int[np.ndarray, " n"],
    scale: str | None = None,
    students: Stack | None = None,
    larger: Stack | None = None,
    held_out: float = 0.0,
    seed: int = 0,
) -> Evidence:
    """Count errors and scores of nets, of all averages of them, and of the nets beside them.

    Parameters
    ----------
    nets : Stack
        The members of the ensemble.
    y : array of int, shape [n]
        True classes.
    scale : {"logits", "probabilities"}, optional
        What the outputs are; found from their values if not given.
    students, larger : Stack, optional
        Nets beside the ensemble.
    held_out : float, in [0, 1)
        Share of the inputs on which temperatures are fitted; none if 0.
    seed : int
        Decides samples of subsets, and which inputs are held out.

    Returns
    -------
    Evidence
    """
    L, n, k = nets.shape
    beside = {name: stack for name, stack in (("students", students), ("larger", larger)) if stack is not None}
    scales = {name: read_scale("scale", scale, stack.block(_first(n))) for name, stack in beside.items()}
    scale = read_scale("scale", scale, nets.block(_first(n)))
    counter, scores = SubsetCounter(L, n, seed), ScoreCounter(L, n, k, scale)
    found = {name: [np.zeros((stack.shape[0], n)) for _ in range(3)] for name, stack in beside.items()}
    agree, first = np.zeros(n), np.zeros(L, int)
    for rows in row_blocks(n, (L + sum(stack.shape[0] for stack in beside.values())) * k):
        F, labels = nets.block(rows), y[rows]
        if scale == "probabilities" and F.min() < 0:
            raise ValueError(f"{nets.name} must be logits or probabilities; got probabilities and values below 0")
        counter.add(rows, F, labels)
        scores.add(rows, F, labels)
        first = _first_alike(F, first)
        chosen = F.mean(0).argmax(-1)
        agree[rows] = (F.argmax(-1) == chosen).mean(0)
        for name, stack in beside.items():
            G = stack.block(rows)
            own = np.take_along_axis(G, np.broadcast_to(labels[None, :, None], (len(G), len(labels), 1)), -1)
            log_p = np.take_along_axis(log_softmax(G, scales[name]), labels[None, :, None], -1)[..., 0]
            errs = (own <= G).sum(-1) > 1  # the label's output is not strictly largest
            for part, values in zip(found[name], (errs, log_p, G.argmax(-1) == chosen), strict=True):
                part[:, rows] = values
    others = {
        name: Others(errs > 0, -np.maximum(log_p, np.log(SMALLEST)), same > 0)
        for name, (errs, log_p, same) in found.items()
    }
    scaled = scale_temperature(nets, y, scale, held_out, seed) if held_out else None
    return Evidence(
        nets.names,
        scale,
        counter.result(),
        scores.result(),
        others.get("students"),
        others.get("larger"),
        agree,
        scaled,
        tuple(
            tuple(name for name, one in zip(nets.names, first, strict=True) if one == net)
            for net in np.flatnonzero(np.bincount(first) > 1)
        ),
    )


def _first_alike(F: Float[np.ndarray, "L b k"], first: Int[np.ndarray, " L"]) -> Int[np.ndarray, " L"]:
    """Return, for each net, the first one that gives the same outputs here and was alike before."""
    alike = np.arange(len(F))
    for net in range(1, len(F)):
        others = (other for other in range(net) if first[other] == first[net] and alike[other] == other)
        alike[net] = next((other for other in others if np.array_equal(F[other], F[net])), net)
    return alike


def _first(n: int) -> slice:
    """Return the inputs by which outputs are told to be probabilities."""
    return slice(0, min(n, 64))


def scale_temperature(nets: Stack, y: Int[np.ndarray, " n"], scale: str, held_out: float, seed: int = 0) -> Scaled:
    """Fit temperatures on a part of the inputs, at most 2000, and measure on those that were not held out.

    Parameters
    ----------
    nets : Stack
        The members.
    y : array of int, shape [n]
        True classes.
    scale : {"logits", "probabilities"}
        What the outputs are. In this way they are averaged.
    held_out : float, in (0, 1)
        Share of the inputs that are held out.
    seed : int
        Decides which.

    Returns
    -------
    Scaled
    """
    L, n, k = nets.shape
    count = min(max(1, round(held_out * n)), n - 2)
    order = np.random.default_rng(seed).permutation(n)
    fitted = np.sort(order[: min(count, _MOST_FITTED)])
    F = nets.block(fitted)
    T = np.array([fit_temperature(net, y[fitted], scale) for net in F])
    T_all = fit_temperature(F.mean(0), y[fitted], scale)
    rest = np.sort(order[count:])
    one, whole = np.zeros(len(rest)), np.zeros(len(rest))
    for rows in row_blocks(len(rest), L * k):
        inputs = rest[rows]
        F = nets.block(inputs)
        label = y[inputs][:, None]
        for net, temperature in zip(F, T, strict=True):
            one[rows] -= _log_label(net, label, scale, temperature) / L
        whole[rows] = -_log_label(F.mean(0), label, scale, T_all)
    return Scaled(T, T_all, one, whole)


def _log_label(F: np.ndarray, label: np.ndarray, scale: str, T: float) -> Float[np.ndarray, " b"]:
    own = np.take_along_axis(log_softmax(F, scale, T), label, -1)[:, 0]
    return np.maximum(own, np.log(SMALLEST))

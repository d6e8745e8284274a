"""The book's methods for models on fixed features: single, ensemble, trained average, students."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mvtheory._check import check_shape
from mvtheory.ensemble import average
from mvtheory.linear.feature_maps import one_hot
from mvtheory.linear.ridge import Ridge, choose_ridge, share_in_span, side_by_side
from mvtheory.measurement import error_rate

__all__ = ["METHODS", "bias_and_variance", "compare", "to_outputs", "to_targets"]

METHODS = (
    "single", "ensemble", "growing ensemble", "trained average", "distilled", "self-distilled", "wide student",
)  # fmt: skip


def to_targets(F: Float[Tensor, "L n k"], rows: int, blocks: int) -> Float[Tensor, "L B r c"]:
    """Arrange outputs as the targets of ridge regressions.

    Features come in three forms: separate features for each class (k blocks of n rows), features shared by all classes
    (one block of n rows), or weights shared by all classes (one block of n k rows, those of an input consecutive).

    Parameters
    ----------
    F : Tensor, shape [L, n, k]
    rows, blocks : int
        Sizes of the features, [L, blocks, rows, f].
    """
    L, n, k = F.shape
    shapes = {(n, k): (2, 1), (n, 1): (1, k), (n * k, 1): (1, 1)}
    if (rows, blocks) not in shapes:
        raise ValueError(f"(rows, blocks) must be one of {', '.join(map(str, shapes))}; got {(rows, blocks)}")
    return F.mT[..., None] if blocks == k else F.reshape(L, 1, rows, shapes[rows, blocks][1])


def to_outputs(values: Float[Tensor, "L B r c"], k: int) -> Float[Tensor, "L n k"]:
    """Return the outputs from targets, the inverse of `to_targets`."""
    L, blocks, _, _ = values.shape
    return values[..., 0].mT if blocks == k else values.reshape(L, -1, k)


def compare(
    features: Callable[[Tensor], Float[Tensor, "L B r f"]],
    x: Tensor,
    y: Int[Tensor, " n"],
    tests: Sequence[tuple[Tensor, Tensor]],
    *,
    k: int,
    held: Bool[Tensor, " n"],
) -> tuple[dict[str, Tensor], dict[str, list[Tensor]]]:
    """Fit models on fixed features by all methods, and test them.

    The teacher of each model is the average of all others (*distilled*) or the next model (*self-distilled*). The
    *wide student* has the features of all models, like the *trained average*, and their average as its teacher. Each
    method has its own ridge, the best on the held-out inputs when models and teachers are fitted to the other inputs.
    With this ridge they are then fitted to all training inputs.

    Parameters
    ----------
    features : callable
        Returns the features of L models on inputs, in one of the forms of `to_targets`.
    x, y : Tensor
        Training inputs and labels.
    tests : sequence of (inputs, labels)
        Bias, variance and share are those of the last test.
    k : int
        Number of classes.
    held : Tensor of bool, shape [n]
        Training inputs held out to choose the ridges.

    Returns
    -------
    found : dict of str to Tensor
        Errors by method, shape [tests, nets], ``"bias"``, ``"variance"``, ``"share"`` and ``"ridge"``: see
        :class:`mvtheory.experiments.fixed_features.FeatureStudy`.
    outputs : dict of str to list of Tensors
        Outputs [L, n, k] on each test, by method; the trained average and the wide student are one model each.
    """
    check_shape("held", held, (len(y),))
    phi = features(x)
    L, blocks, rows, _ = phi.shape
    target = to_targets(one_hot(y, k, x.dtype), rows, blocks)
    weights, ridges = _fit(phi, target, held.repeat_interleave(rows // len(y)))
    outputs: dict[str, list[Tensor]] = {name: [] for name in weights}
    for inputs, _ in tests:
        psi = features(inputs)
        for name, weight in weights.items():
            used = psi if len(weight) == L else side_by_side(psi)
            outputs[name].append(to_outputs(used @ weight, k))
    number = torch.arange(1, L + 1)[:, None, None]
    outputs["growing ensemble"] = [F.cumsum(0) / number for F in outputs["single"]]
    outputs["ensemble"] = [average(F)[None] for F in outputs["single"]]
    found = {name: _errors(each, tests) for name, each in outputs.items()}
    truth = one_hot(tests[-1][1], k, x.dtype)
    bias, variance = bias_and_variance(outputs["single"][-1], truth[0])
    share = share_in_span(psi, to_targets(truth - truth.mean(1, keepdim=True), psi.shape[2], blocks)).mean()
    return found | {"ridge": ridges, "bias": bias, "variance": variance, "share": share}, outputs


def _fit(
    phi: Float[Tensor, "L B r f"], target: Float[Tensor, "1 B r c"], held: Bool[Tensor, " r"]
) -> tuple[dict[str, Tensor], Tensor]:
    """Return weights by method, and the ridges of the five fits."""

    def teachers(outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs of the average of the other models, of the next model, and of the average of all."""
        return (outputs.sum(0) - outputs) / (len(phi) - 1), outputs.roll(-1, 0), outputs.mean(0, keepdim=True)

    joint = side_by_side(phi)
    (on_labels,) = choose_ridge(phi, [target], target, held)
    others, following, all_models = teachers(phi @ Ridge(phi[:, :, ~held]).solve(target[:, :, ~held], on_labels))
    on_others, on_next = choose_ridge(phi, [others, following], target, held)
    joint_on_labels, joint_on_all = choose_ridge(joint, [target, all_models], target, held)

    separate, together = Ridge(phi), Ridge(joint)
    single = separate.solve(target, on_labels)
    others, following, all_models = teachers(phi @ single)
    weights = {
        "single": single,
        "distilled": separate.solve(others, on_others),
        "self-distilled": separate.solve(following, on_next),
        "trained average": together.solve(target, joint_on_labels),
        "wide student": together.solve(all_models, joint_on_all),
    }
    return weights, torch.tensor([on_labels, on_others, on_next, joint_on_labels, joint_on_all])


def bias_and_variance(F: Float[Tensor, "L n k"], truth: Float[Tensor, "n k"]) -> tuple[Tensor, Tensor]:
    r"""Return squared bias and variance over models, each summed over classes and averaged over inputs.

    Their sum is the mean squared error of a model. The squared error of the average of L models contains an L-th of
    the variance, which is subtracted from it to estimate the squared bias.

    Parameters
    ----------
    F : Tensor, shape [L, n, k]
        Outputs of at least two models that differ by seed.
    truth : Tensor, shape [n, k]
        Targets.
    """
    variance = F.var(0).sum(-1).mean()
    bias = (F.mean(0) - truth).square().sum(-1).mean() - variance / len(F)
    return bias, variance


def _errors(outputs: list[Tensor], tests: Sequence[tuple[Tensor, Tensor]]) -> Float[Tensor, "tests nets"]:
    return torch.stack([torch.as_tensor(error_rate(F, y)) for F, (_, y) in zip(outputs, tests, strict=True)])

"""More that the chapter on practice diagnoses: boosted trees, small nets on photographs, students on other inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as nnf
import xarray as xr
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mvtheory._check import check_int
from mvtheory.experiments.base import Experiment, check_draws, labelled
from mvtheory.experiments.ordinary_nets import deep_net, digit_split, fit, outputs_of
from mvtheory.images import fashion

__all__ = ["BoostedTrees", "OtherInputs", "PhotoNets"]


@dataclass(frozen=True)
class BoostedTrees(Experiment):
    """Gradient boosting on digits; seeds decide which columns each tree may split.

    :meth:`run` returns the ``"output"``, axes ``seed``, ``input`` and ``class``, and the ``"label"`` of each image.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits of the images; one is enough.
    seeds, rounds : int
        Models, trees of each class of a model.
    n : int
        Training images.
    """

    draws: tuple[int, ...] = (71,)
    seeds: int = 5
    rounds: int = 50
    n: int = 300

    def __post_init__(self) -> None:
        check_draws(self.draws, least=1)
        check_int("seeds", self.seeds, low=2)
        check_int("rounds", self.rounds, low=1)

    def on(self, number: int) -> xr.Dataset:
        """Return outputs and labels on the split of this number."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        x, x_test, y, y_test = digit_split(number, self.n)
        models = [
            HistGradientBoostingClassifier(max_iter=self.rounds, max_features=0.3, random_state=seed).fit(x, y)
            for seed in range(self.seeds)
        ]
        outputs = np.stack([model.predict_proba(x_test) for model in models])
        return labelled({"output": ("seed input class", outputs), "label": ("input", y_test)})


@dataclass(frozen=True)
class PhotoNets(Experiment):
    """Small convolutional nets on photographs of Fashion-MNIST, and the last checkpoints of one of them.

    :meth:`run` returns outputs on test images, axes ``seed``, ``input`` and ``class``: ``"nets"`` of several seeds, and
    ``"checkpoints"`` of the first, after each of the last epochs, as many; and the ``"label"`` of each image.

    Attributes
    ----------
    draws : tuple of int
        Numbers of samples of training images; one is enough.
    seeds, epochs : int
        Nets, passes over the training images.
    n, test : int
        Training images, test images.
    """

    draws: tuple[int, ...] = (71,)
    seeds: int = 5
    epochs: int = 15
    n: int = 2000
    test: int = 4000

    def __post_init__(self) -> None:
        check_draws(self.draws, least=1)
        check_int("seeds", self.seeds, low=2)
        check_int("epochs", self.epochs, low=self.seeds)

    def on(self, number: int) -> xr.Dataset:
        """Return outputs and labels for the sample of this number."""
        data = fashion.load()
        chosen = torch.randperm(len(data.train_y), generator=torch.Generator().manual_seed(number))[: self.n]
        x, y = _pixels(data.train_images[chosen]), data.train_y[chosen]
        x_test, y_test = _pixels(data.test_images[: self.test]), data.test_y[: self.test]
        histories = [_by_epoch(seed, x, y, x_test, self.epochs) for seed in range(self.seeds)]
        return labelled(
            {
                "nets": ("seed input class", torch.stack([history[-1] for history in histories])),
                "checkpoints": ("seed input class", torch.stack(histories[0][-self.seeds :])),
                "label": ("input", y_test),
            }
        )


def _pixels(images: UInt8[Tensor, "n 28 28"]) -> Float[Tensor, "n 1 28 28"]:
    return images[:, None].float() / 255


def _by_epoch(seed: int, x: Tensor, y: Tensor, x_test: Tensor, epochs: int) -> list[Float[Tensor, "n 10"]]:
    """Train one net by Adam, and return its outputs on the test images after each epoch."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(16 * 7 * 7, 10),
        )  # fmt: skip
        optimizer, history = torch.optim.Adam(net.parameters(), 0.003), []
        for _ in range(epochs):
            for rows in torch.randperm(len(y)).split(50):
                optimizer.zero_grad()
                nnf.cross_entropy(net(x[rows]), y[rows]).backward()
                optimizer.step()
            history.append(net(x_test).detach())
    return history


@dataclass(frozen=True)
class OtherInputs(Experiment):
    """Students of a teacher that fits the training set: on its images, or on other ones without labels.

    Teachers and students are the nets of :class:`~mvtheory.experiments.failed_students.FailedStudents`. The temperature
    is 1 for all students, and all see the labels of the training images. :meth:`run` returns outputs on test images:
    ``"nets"`` of the ensemble, axes ``seed``, ``input`` and ``class``; students that match the teacher on the
    ``"training images"`` and on ``"other images"``, axes ``student``, ``input`` and ``class``; the ``"label"`` of each
    image; and by ``where``, the same two, the ``"confidence"`` of the teacher: its largest probability, a mean.

    Attributes
    ----------
    draws : tuple of int
        Numbers of the splits of the images; one is enough.
    seeds, students : int
        Nets of the ensemble, students of a kind.
    n, other : int
        Training images, images without labels; the rest is for the test.
    """

    draws: tuple[int, ...] = (71,)
    seeds: int = 10
    students: int = 4
    n: int = 300
    other: int = 300

    def __post_init__(self) -> None:
        check_draws(self.draws, least=1)
        check_int("seeds", self.seeds, low=2)
        check_int("students", self.students, low=1)
        check_int("other", self.other, low=1, high=1400)

    def on(self, number: int) -> xr.Dataset:
        """Return outputs, labels and confidences on the split of this number."""
        x, rest, y, y_rest = digit_split(number, self.n)
        other, x_test, y_test = rest[: self.other], rest[self.other :], y_rest[self.other :]
        nets = [fit(deep_net(seed), x, y) for seed in range(self.seeds)]
        taught = {"training images": x, "other images": other}
        teacher = {where: outputs_of(nets, images).mean(0) for where, images in taught.items()}
        students = {
            where: [_match(deep_net(100 + i), x, y, images, teacher[where]) for i in range(self.students)]
            for where, images in taught.items()
        }
        confidence = [float(G.softmax(-1).amax(-1).mean()) for G in teacher.values()]
        return labelled(
            {where: ("student input class", outputs_of(found, x_test)) for where, found in students.items()}
            | {"nets": ("seed input class", outputs_of(nets, x_test)), "label": ("input", y_test)}
            | {"confidence": ("where", confidence)},
            where=list(taught),
        )


def _match(
    net: nn.Module, x: np.ndarray, y: np.ndarray, other: np.ndarray, teacher: Float[Tensor, "m 10"], steps: int = 400
) -> nn.Module:
    """Train by Adam on the labels of some images and on the teacher's probabilities for others."""
    inputs, labels, unlabelled = torch.tensor(x), torch.tensor(y), torch.tensor(other)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        soft = nnf.kl_div(net(unlabelled).log_softmax(-1), teacher.softmax(-1), reduction="batchmean")
        loss = nnf.cross_entropy(net(inputs), labels) + 9 * soft
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net

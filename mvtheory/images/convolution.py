"""Small convolutional nets, many at a time: ordinary torch modules, trained by stochastic gradient descent.

L nets are one module whose convolutions are grouped, so that no net sees what another computes. What they are trained
for is an :class:`~mvtheory.training.Objective`, as everywhere in the package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from mvtheory._check import check_choice, check_finite, check_int, check_labels, check_number, check_seed, check_shape
from mvtheory._tensors import check_tensor
from mvtheory.training import Objective

__all__ = ["FILTERS", "MIXTURES", "ConvNets", "fit", "outputs"]

#: What the filters of the first layer read: each one picture of an input, or all of them, stacked as channels.
FILTERS = ("separate", "stacked")

#: How much of an input the first of two inputs makes up that are mixed, by the name of the method.
MIXTURES: dict[str, Callable[[torch.Generator], float]] = {
    "midpoint": lambda rng: 0.5,
    "uniform": lambda rng: float(torch.rand((), generator=rng)),
}


class ConvNets(nn.Module):
    r"""L small convolutional nets; each is initialised from its own seed.

    A picture goes through ``conv 5x5, stride 2``, ReLU, ``conv 3x3, stride 2``, an activation; a linear layer gives the
    logits.
    With separate filters each picture of an input has convolutions of its own, and the linear layer sums over them.
    The initial weights are `scale` times those of He et al. (normal, variance 2 / inputs), the biases 0.

    Parameters
    ----------
    seeds : sequence of int, >= 0
        One per net, on which alone its initial weights depend.
    pictures : int, >= 1
        Pictures of an input.
    side : int, >= 4
        Pixels on a side of a picture.
    k : int, >= 2
        Classes.
    channels : (int, int)
        Filters of the two convolutions, for each picture or, if they are stacked, for all together.
    scale : float, > 0
        Scale of the initial weights.
    filters : {"separate", "stacked"}
        See `FILTERS`.
    activation : callable
        That of the second convolution, elementwise: the ReLU, or the theory's :class:`~mvtheory.model.SReLU`.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        *,
        pictures: int = 2,
        side: int = 28,
        k: int = 10,
        channels: tuple[int, int] = (4, 8),
        scale: float = 1.0,
        filters: str = "separate",
        activation: Callable[[Tensor], Tensor] = torch.relu,
    ) -> None:
        super().__init__()
        numbers = [check_seed("seeds", seed) for seed in seeds]
        if not numbers:
            raise ValueError("seeds must not be empty; got no seed")
        self.pictures, self.side = check_int("pictures", pictures, 1), check_int("side", side, 4)
        check_int("k", k, 2)
        first, second = (check_int("channels", channel, 1) for channel in channels)
        check_number("scale", scale, 0, open_low=True)
        self.activation, L = activation, len(numbers)
        # Streams are what goes through the convolutions side by side, each of `inputs` pictures.
        streams = pictures if check_choice("filters", filters, FILTERS) == "separate" else 1
        inputs = pictures // streams
        self.first = nn.Conv2d(pictures, streams * L * first, 5, 2, 2, groups=streams)
        self.second = nn.Conv2d(streams * L * first, streams * L * second, 3, 2, 1, groups=streams * L)
        features = second * (-(-side // 4)) ** 2  # two strides of 2, rounded up
        self.head = nn.Parameter(torch.empty(streams, L, features, k))
        self.bias = nn.Parameter(torch.zeros(L, 1, k))
        layers = {
            self.first.weight: ((streams, first, inputs, 5, 5), inputs * 25),
            self.second.weight: ((streams, second, first, 3, 3), first * 9),
            self.head: ((streams, features, k), streams * features),
        }
        with torch.no_grad():
            for weight, (shape, fan_in) in layers.items():
                of_nets = weight.view(streams, L, *shape[1:])
                for net, seed in enumerate(numbers):
                    rng = torch.Generator().manual_seed(seed)
                    of_nets[:, net] = scale * (2 / fan_in) ** 0.5 * torch.randn(shape, generator=rng)
            for layer in (self.first, self.second):
                assert layer.bias is not None
                layer.bias.zero_()

    def __len__(self) -> int:
        return len(self.bias)

    def forward(self, x: Float[Tensor, "n pictures side side"]) -> Float[Tensor, "L n k"]:
        """Return the logits of all nets on the same inputs."""
        streams, L, _, k = self.head.shape
        each = self.activation(self._second(x)).view(len(x), streams * L, -1).transpose(0, 1)
        return torch.bmm(each, self.head.flatten(0, 1)).view(streams, L, len(x), k).sum(0) + self.bias

    def responses(self, x: Float[Tensor, "n pictures side side"]) -> Float[Tensor, "n streams L channels"]:
        """Return the largest pre-activation of each filter of the last convolution, over all places of an input.

        Parameters
        ----------
        x : Tensor, shape [n, pictures, side, side]
            Inputs.

        Returns
        -------
        Tensor, shape [n, streams, L, channels]
            A stream is a picture where filters are separate; else there is one.
        """
        streams, L = self.head.shape[:2]
        return self._second(x).amax((-2, -1)).view(len(x), streams, L, -1)

    def _second(self, x: Tensor) -> Tensor:
        check_shape("x", x, ("n", self.pictures, self.side, self.side))
        return self.second(self.first(x).relu())

    def without(self, channels: Int[Tensor, " _"]) -> ConvNets:
        """Return copies of the nets that do not hear some channels of their last convolution.

        Parameters
        ----------
        channels : Tensor of int
            Numbers of channels, those of each picture or of all together; below the second of `channels`.

        Returns
        -------
        ConvNets
        """
        deaf = deepcopy(self)
        width = self.second.out_channels // (self.head.shape[0] * len(self))
        check_labels("channels", channels, width)
        with torch.no_grad():
            deaf.head.unflatten(2, (width, -1))[:, :, channels] = 0
        return deaf


@torch.no_grad()
def outputs(nets: ConvNets, x: Float[Tensor, "n pictures side side"], block: int = 500) -> Float[Tensor, "L n k"]:
    """Return the logits of all nets, computed for some inputs at a time.

    Parameters
    ----------
    nets : ConvNets
        L nets.
    x : Tensor, shape [n, pictures, side, side]
        Inputs.
    block : int, >= 1
        Inputs at a time.

    Returns
    -------
    Tensor, shape [L, n, k]
    """
    return torch.cat([nets(part) for part in x.split(check_int("block", block, 1))], 1)


def fit(
    nets: ConvNets,
    x: Float[Tensor, "n pictures side side"],
    objective: Objective,
    *,
    steps: int,
    rate: float,
    batch: int = 100,
    momentum: float = 0.9,
    seed: int = 0,
    mixture: str | None = None,
) -> ConvNets:
    r"""Train all nets in place, by stochastic gradient descent with momentum; they see the same batches.

    Parameters
    ----------
    nets : ConvNets
        L nets.
    x : Tensor, shape [n, pictures, side, side]
        Inputs.
    objective : Objective
        What they are trained for.
    steps : int, >= 0
        Number of steps.
    rate : float, > 0
        Learning rate. Where the objective couples the nets it is multiplied by L: the gradient of their average is
        smaller by that factor, and so the steps of a net are as large as in separate training.
    batch : int, >= 1
        Inputs of a step.
    momentum : float, in [0, 1)
        Momentum.
    seed : int, >= 0
        Seed of the order of the inputs and of mixtures.
    mixture : {"midpoint", "uniform"}, optional
        Train on mixtures :math:`\lambda x + (1 - \lambda) x'` of two inputs of a batch and, in the same way, of their
        losses, with :math:`\lambda = 1/2` or uniform in [0, 1].

    Returns
    -------
    ConvNets
        `nets`, trained.
    """
    check_int("steps", steps, 0)
    check_int("batch", batch, 1, len(x))
    check_number("rate", rate, 0, open_low=True)
    check_number("momentum", momentum, 0, 1, open_high=True)
    check_shape("objective.y", check_tensor("objective.y", objective.y), (len(check_finite("x", x)),))
    mix = None if mixture is None else MIXTURES[check_choice("mixture", mixture, MIXTURES)]
    rng, everyone = torch.Generator().manual_seed(check_seed("seed", seed)), torch.arange(len(nets))
    optimizer = torch.optim.SGD(nets.parameters(), rate * (len(nets) if objective.joint else 1), momentum=momentum)
    for rows in _batches(len(x), batch, steps, rng):
        share = mix(rng) if mix else 1.0
        partners = rows[torch.randperm(batch, generator=rng)] if mix else rows
        F = nets(share * x[rows] + (1 - share) * x[partners] if mix else x[rows])
        seen = F.detach().transpose(0, 1)
        dF = objective(seen, rows, everyone)[1]
        if mix:
            dF = share * dF + (1 - share) * objective(seen, partners, everyone)[1]
        optimizer.zero_grad()
        F.backward(dF.transpose(0, 1) / batch)
        optimizer.step()
    return nets


def _batches(n: int, batch: int, steps: int, rng: torch.Generator) -> Iterator[Tensor]:
    """Yield the inputs of each step: all of them in a new order, then again; a remainder is left out."""
    while steps > 0:
        for rows in torch.randperm(n, generator=rng)[: n // batch * batch].split(batch)[:steps]:
            yield rows
            steps -= 1

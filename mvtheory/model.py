"""The learner: a two-layer patch network with a smoothed ReLU, L nets at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from mvtheory._check import check_choice, check_finite, check_int, check_number, check_seed, check_shape
from mvtheory._tensors import FLOATS, check_tensor, check_views
from mvtheory.engine.choice import obstacle, use_compiled
from mvtheory.engine.compiled import CompiledStep, Gate, check_output_grad, too_narrow
from mvtheory.engine.elementwise import pool, weigh

__all__ = ["Activation", "PatchNets", "SReLU"]

# A block of about this many pre-activations stays in the cache between the two matrix products that use it, and
# is large enough that what is done once per block does not count.
BLOCK = 2**20


@runtime_checkable
class Activation(Protocol):
    """The activation function of a neuron, applied to its inner product with a patch.

    Compiled code supports :class:`SReLU`; any other class, those derived from it too, is computed by its own method.
    """

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and derivative at `z`, elementwise: two tensors of the shape and dtype of `z`."""
        ...


@dataclass(frozen=True)
class SReLU:
    r"""The smoothed ReLU.

    .. math::

       \widetilde{\mathrm{ReLU}}(z) = \begin{cases} 0 & z \le 0 \\
       z^q / (q \varrho^{q-1}) & 0 \le z \le \varrho \\
       z - (1 - 1/q) \varrho & z \ge \varrho \end{cases}

    Parameters
    ----------
    q : int, >= 1
        The power. The theory requires q >= 3; q = 1 is the plain ReLU.
    varrho : float, > 0
        The cut between the power and the linear part.

    Examples
    --------
    >>> SReLU(q=3, varrho=1.0)(torch.tensor([-1.0, 0.5, 2.0]))
    tensor([0.0000, 0.0417, 1.3333])
    """

    q: int = 4
    varrho: float = 4.0

    def __post_init__(self) -> None:
        check_int("q", self.q, low=1)
        check_number("varrho", self.varrho, low=0, open_low=True)

    def __call__(self, z: Tensor) -> Tensor:
        """Return the value at `z`, elementwise."""
        return self.value_and_slope(z)[0]

    def value_and_slope(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return value and derivative at `z`, elementwise."""
        if self.q == 1:
            return z.clamp(min=0), (z > 0).to(z.dtype)
        t = z.clamp(0, self.varrho)
        slope = (t / self.varrho) ** (self.q - 1)
        return z.clamp(min=0) - t + t * slope / self.q, slope


def activation_obstacle(activation: Activation, *tensors: Tensor) -> str | None:
    """Return what keeps compiled code from the activation of numbers in such tensors, or None."""
    if type(activation) is not SReLU:
        return f"for the activation {type(activation).__name__} (compiled code supports SReLU alone)"
    if reason := obstacle(*tensors):
        return reason
    tiny = torch.finfo(tensors[0].dtype).tiny
    if not tiny <= activation.varrho <= 1 / tiny:  # else varrho or its inverse is rounded to 0 or infinity
        return f"for varrho = {activation.varrho} in {tensors[0].dtype}"
    return None


def pooled(
    activation: Activation, z: Float[Tensor, "b P g m"]
) -> tuple[Float[Tensor, "b g"], Float[Tensor, "b P g m"]]:
    """Return the values at `z` summed over patches and neurons, and the slopes; both and `z` may be overwritten.

    This is done between the two matrix products of a training step; compiled code takes one pass instead of ten.
    """
    if use_compiled(activation_obstacle(activation, z)):
        assert isinstance(activation, SReLU)
        return pool(z, activation.q, activation.varrho), z
    value, slope = activation.value_and_slope(z)
    if type(activation) is not SReLU:
        for name, result in {"value": value, "slope": slope}.items():
            check_shape(f"{name} of {type(activation).__name__}", result, tuple(z.shape))
            check_choice(f"{name}.dtype of {type(activation).__name__}", result.dtype, (z.dtype,))
        slope = slope.clone(memory_format=torch.contiguous_format)  # what it is made of may be needed again
    return value.sum((1, 3)), slope


@dataclass(frozen=True)
class PatchNets:
    r"""L nets of one architecture, stacked.

    .. math:: F_i(X) = \sum_{r \le m} \sum_{p \le P}
              \widetilde{\mathrm{ReLU}}(\langle w_{i,r}, x_p \rangle)

    Parameters
    ----------
    W : Tensor, shape [L, k, m, d]
        The weights w_{i,r} of the nets, in half, single or double precision; training takes the last two.
    activation : Activation
        The activation, shared by all nets.
    """

    W: Float[Tensor, "L k m d"]
    activation: Activation = SReLU()

    def __post_init__(self) -> None:
        check_shape("W", check_tensor("W", self.W, FLOATS), ("L", "k", "m", "d"))
        if not isinstance(self.activation, Activation) or isinstance(self.activation, type):
            raise TypeError(f"activation must have a method value_and_slope(z); got {self.activation!r}")

    @classmethod
    def init(
        cls,
        L: int,
        *,
        k: int,
        m: int,
        d: int,
        sigma_0: float,
        seed: int,
        activation: Activation = SReLU(),
    ) -> PatchNets:
        """Draw w_{i,r} from N(0, sigma_0^2 I); net l uses seed ``seed + l`` alone.

        Parameters
        ----------
        L, k, m, d : int, >= 1
            Nets, classes, neurons per class, dimension of a patch.
        sigma_0 : float, > 0
            Standard deviation of each weight.
        seed : int, >= 0
            Net l is the same in any stack that holds it.
        activation : Activation
            The activation of all nets.

        Returns
        -------
        PatchNets
        """
        for name, value in {"L": L, "k": k, "m": m, "d": d}.items():
            check_int(name, value, low=1)
        check_number("sigma_0", sigma_0, low=0, open_low=True)
        seed = check_seed("seed", seed, L)
        rngs = [torch.Generator().manual_seed(seed + net) for net in range(L)]
        draws = [torch.randn(k, m, d, generator=rng, dtype=torch.float32) for rng in rngs]
        return cls(sigma_0 * torch.stack(draws), activation)

    def __len__(self) -> int:
        return len(self.W)

    def __getitem__(self, nets: slice | Tensor | list[int]) -> PatchNets:
        """Return the stack of the nets picked by a slice, a list or a mask."""
        return replace(self, W=self.W[nets])

    def to(self, *args: Any, **kwargs: Any) -> PatchNets:
        """Return the nets with their weights moved or converted, as :meth:`torch.Tensor.to`."""
        return replace(self, W=self.W.to(*args, **kwargs))

    def __call__(self, x: Float[Tensor, "n P d"]) -> Float[Tensor, "L n k"]:
        """Return the outputs F of all nets on the inputs `x`."""
        return self._outputs(x)

    def _outputs(self, x: Tensor) -> Tensor:
        self.check_inputs("x", x)
        if self.compiled(x):
            return self._step(x).outputs().transpose(0, 1)
        outputs = [value for _, value, _ in self.forward_blocks(x)]
        return torch.cat(outputs).transpose(0, 1)

    def compiled(self, x: Tensor) -> bool:
        """Return whether compiled code does all work, see :func:`mvtheory.engine.backend`; else torch multiplies."""
        return use_compiled(activation_obstacle(self.activation, self.W, x)) and use_compiled(too_narrow())

    def _step(self, x: Tensor) -> CompiledStep:
        assert isinstance(self.activation, SReLU)
        return CompiledStep(self.W, x, self.activation.q, self.activation.varrho, BLOCK)

    def gradient(self, x: Tensor, output_grad: Callable[[slice, Tensor], Tensor]) -> Float[Tensor, "L k m d"]:
        """Return the sum over inputs of the outputs' derivative in the weights times a gradient of the outputs.

        Parameters
        ----------
        x : Tensor, shape [n, P, d]
            The inputs.
        output_grad : callable
            Called with a block of rows and their outputs F [b, L, k]; returns the gradient with respect to F, of its
            shape and dtype. Several threads may call it at once, each for rows of its own.

        Returns
        -------
        Tensor, shape [L, k, m, d]
        """
        if self.compiled(x):
            return self._step(x).gradient(output_grad)
        gradient = torch.zeros_like(self.W)
        for rows, F, slope in self.forward_blocks(x):
            dF = check_output_grad("output_grad(rows, F)", output_grad(rows, F), F)
            self.add_gradient(gradient, x[rows], slope, dF)
        return gradient

    def label_gradient(
        self, x: Tensor, y: Tensor, joint: bool = False, gate: Gate | None = None
    ) -> tuple[Float[Tensor, "n L k"], Float[Tensor, "L k m d"]]:
        """Return the outputs, and the gradient of each net's mean loss, by compiled code from end to end.

        Parameters
        ----------
        x : Tensor, shape [n, P, d]
            Inputs of which :meth:`compiled` is true.
        y : Tensor of int, shape [n]
            Their labels, from 0 to k - 1: the loss is their cross-entropy.
        joint : bool
            The loss is that of the average of all nets.
        gate : Gate, optional
            Adds the penalty of the on/off rule.

        Returns
        -------
        F : Tensor, shape [n, L, k]
        gradient : Tensor, shape [L, k, m, d]
        """
        if not self.compiled(x):
            raise ValueError("x must be inputs that compiled code supports; got others (see mvtheory.engine.backend)")
        return self._step(x).label_gradient(y, joint, gate)

    def check_inputs(self, name: str, x: Tensor, n: int | str = "n") -> None:
        """Raise an error that names `x` unless the nets can read it as `n` inputs."""
        check_shape(name, check_tensor(name, x), (n, "P", self.W.shape[-1]))
        check_choice(f"{name}.dtype (that of the weights)", x.dtype, (self.W.dtype,))
        check_finite(name, x)

    def forward_blocks(self, x: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Yield blocks of rows, outputs [b, L, k] and slopes [b, P, L k, m]; the next block overwrites the slopes."""
        L, k, m, d = self.W.shape
        n, P, _ = x.shape
        weights = self.W.reshape(-1, d)
        block = BLOCK if x.device.type == "cpu" else 16 * BLOCK
        size = max(1, min(n, block // (P * len(weights))))
        buffer = None if self.W.requires_grad or x.requires_grad else x.new_empty(size * P, len(weights))
        for start in range(0, n, size):
            rows = slice(start, min(start + size, n))
            patches = x[rows].reshape(-1, d)
            z = torch.mm(patches, weights.T, out=None if buffer is None else buffer[: len(patches)])
            outputs, slope = pooled(self.activation, z.view(-1, P, L * k, m))
            yield rows, outputs.view(-1, L, k), slope

    def add_gradient(self, gradient: Tensor, x: Tensor, slope: Tensor, dF: Tensor) -> None:
        """Add to `gradient` [L, k, m, d] what the block `x` [b, P, d] adds, given dF [b, L, k]; overwrites `slope`."""
        b, P, d = x.shape
        weigh(slope, dF.reshape(b, -1))
        gradient.view(-1, d).addmm_(slope.view(b * P, -1).T, x.reshape(-1, d))

    def products(self, views: Float[Tensor, "j M d"]) -> Float[Tensor, "L k m j M"]:
        """Return the inner products <w_{i,r}, v_{j,l}> of every neuron with every view."""
        return torch.einsum("lkrd,jvd->lkrjv", self.W, check_views("views", views, self.W, classes="j"))

    def own_view_overlap(self, views: Float[Tensor, "k M d"]) -> Float[Tensor, "L k M"]:
        r"""Return Lambda_{i,l} = max_r [<w_{i,r}, v_{i,l}>]^+ of every class and view."""
        own = torch.einsum("lkrd,kvd->lkrv", self.W, check_views("views", views, self.W))
        return own.amax(2).clamp(min=0)
